#include "operators/kafka/kafka_consumer.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <charconv>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"

namespace headway::internal {
namespace {

// For lists during the run: the worker waits for them.
constexpr absl::Duration kRelistTimeout = absl::Seconds(1);

// Missing partitions are looked for so often.
constexpr absl::Duration kLookInterval = absl::Seconds(1);

// A client that waits checks so often whether the brokers refuse it.
constexpr absl::Duration kRefusalInterval = absl::Milliseconds(500);

// The end of a source waits so long for the last offsets of its group.
constexpr absl::Duration kLastOffsetsTimeout = absl::Seconds(1);

constexpr absl::Duration kLagInterval = absl::Seconds(1);

// A reader whose queue was full and is empty waits so long before it seeks.
constexpr absl::Duration kFirstSeekDelay = absl::Milliseconds(5);

struct DestroyList {
  void operator()(rd_kafka_topic_partition_list_t* list) const {
    rd_kafka_topic_partition_list_destroy(list);
  }
};
using TopicPartitions = std::unique_ptr<rd_kafka_topic_partition_list_t, DestroyList>;

TopicPartitions ListOf(const std::string& topic, int32_t partition, int64_t offset) {
  TopicPartitions list(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), partition)->offset = offset;
  return list;
}

absl::Status Validate(const KafkaSourceOptions& options) {
  if (options.topics.empty()) {
    return absl::InvalidArgumentError(
        "Kafka: KafkaSourceOptions::topics is empty; name a topic, or a pattern that begins with "
        "'^'");
  }
  for (const auto& [partition, offset] : options.start.offsets) {
    const size_t slash = partition.rfind('/');
    int32_t number = 0;
    if (slash == std::string::npos || offset < 0 ||
        !absl::SimpleAtoi(partition.substr(slash + 1), &number)) {
      return absl::InvalidArgumentError(
          absl::StrFormat("Kafka: KafkaStart::Offsets has %d for '%s'; it needs an offset from 0 "
                          "on, for \"topic/partition\"",
                          offset, partition));
    }
  }
  return absl::OkStatus();
}

std::string_view Bytes(const void* data, size_t size) {
  return {static_cast<const char*>(data), size};
}

}  // namespace

KafkaGroupOffsets::KafkaGroupOffsets(rd_kafka_t* client)
    : client_(client), answers_(rd_kafka_queue_new(client)) {}

KafkaGroupOffsets::~KafkaGroupOffsets() {
  Send(kLastOffsetsTimeout);
  if (under_way_)
    rd_kafka_event_destroy(rd_kafka_queue_poll(answers_, KafkaTimeout(kLastOffsetsTimeout)));
  rd_kafka_queue_destroy(answers_);
}

void KafkaGroupOffsets::Commit(const CommittedPositions& positions) {
  for (const auto& [partition, position] : positions) waiting_[partition] = position;
  Send(absl::ZeroDuration());
}

void KafkaGroupOffsets::Send(absl::Duration timeout) {
  if (under_way_) {
    rd_kafka_event_t* const answer =
        rd_kafka_queue_poll(answers_, static_cast<int>(absl::ToInt64Milliseconds(timeout)));
    if (answer == nullptr) return;
    // A refusal has no consequence: the positions of the run are in its recovery store.
    rd_kafka_event_destroy(answer);
    under_way_ = false;
  }
  const TopicPartitions list(rd_kafka_topic_partition_list_new(static_cast<int>(waiting_.size())));
  for (const auto& [partition, position] : waiting_) {
    int64_t offset = 0;
    if (!absl::SimpleAtoi(position, &offset)) continue;  // nothing was read
    const size_t slash = partition.rfind('/');
    rd_kafka_topic_partition_list_add(list.get(), partition.substr(0, slash).c_str(),
                                      std::stoi(partition.substr(slash + 1)))
        ->offset = offset;
  }
  waiting_.clear();
  if (list->cnt == 0) return;
  under_way_ = rd_kafka_commit_queue(client_, list.get(), answers_, nullptr, nullptr) ==
               RD_KAFKA_RESP_ERR_NO_ERROR;
}

absl::StatusOr<std::shared_ptr<KafkaConsumer>> KafkaConsumer::Open(
    const KafkaSourceOptions& options) {
  absl::Status status = Validate(options);
  if (!status.ok()) return status;
  KafkaProperties properties = {
      {"isolation.level", "read_committed"},
      {"topic.metadata.refresh.interval.ms", "1000"},
      {"reconnect.backoff.max.ms", "1000"},
      {"queued.max.messages.kbytes", "16384"},  // of each partition
      {"auto.offset.reset", options.lost_offset == KafkaLostOffset::kFail        ? "error"
                            : options.lost_offset == KafkaLostOffset::kBeginning ? "earliest"
                                                                                 : "latest"},
  };
  // An end is seen when a fetch finds nothing: brokers are not to wait for more then.
  if (options.stops_at_end) properties["fetch.wait.max.ms"] = "10";
  for (const auto& [name, value] : options.properties) properties[name] = value;
  properties["bootstrap.servers"] = options.brokers;
  properties["enable.partition.eof"] = "true";
  properties["enable.auto.commit"] = "false";  // epochs are committed, not messages
  properties["auto.commit.enable"] = "false";
  std::shared_ptr<KafkaConsumer> consumer(new KafkaConsumer(options));
  for (const std::string& topic : options.topics) {
    if (!topic.starts_with('^')) continue;
    try {
      consumer->patterns_.emplace(topic, std::regex(topic, std::regex::extended));
    } catch (const std::regex_error& error) {
      return absl::InvalidArgumentError(
          absl::StrFormat("Kafka: '%s' is no regular expression: %s", topic, error.what()));
    }
  }
  auto client = KafkaClient::Open(KafkaRole::kConsumer, properties);
  if (!client.ok()) return client.status();
  consumer->client_ = *std::move(client);
  consumer->queue_limits_ = {
      .messages = consumer->client_->IntegerProperty("queued.min.messages"),
      .bytes = consumer->client_->IntegerProperty("queued.max.messages.kbytes") * 1024};
  if (options.properties.contains("group.id")) {
    consumer->group_offsets_ = std::make_unique<KafkaGroupOffsets>(consumer->client_->handle());
  }
  return consumer;
}

absl::StatusOr<std::vector<std::string>> KafkaConsumer::Partitions() {
  std::string missing;
  absl::StatusOr<std::vector<std::string>> list =
      List(has_listed_ ? kRelistTimeout : options_.timeout, &missing);
  if (!list.ok() && has_listed_) return listed_;  // the brokers may be away for a while
  if (!list.ok()) return list;
  if (!missing.empty() && !has_listed_) {
    return absl::NotFoundError(
        absl::StrFormat("Kafka: there is no topic '%s' at '%s'; create it, or correct the name",
                        missing, options_.brokers));
  }
  has_listed_ = true;
  listed_ = *list;
  return list;
}

bool KafkaConsumer::IsGone(const std::string& partition) {
  if (!client_->misses_partitions()) return false;
  if (absl::Now() >= look_at_) {
    LookForMissing();
    look_at_ = absl::Now() + kLookInterval;
  }
  return absl::Now() - missing_since_.at(partition) >= options_.timeout;
}

void KafkaConsumer::LookForMissing() {
  std::string missing;
  const absl::StatusOr<std::vector<std::string>> list = List(kRelistTimeout, &missing);
  if (!list.ok()) return;  // the brokers are away
  bool misses_any = false;
  for (auto& [partition, since] : missing_since_) {
    if (std::ranges::binary_search(*list, partition)) {
      since = absl::InfiniteFuture();
    } else {
      since = std::min(since, absl::Now());
      misses_any = true;
    }
  }
  if (!misses_any) client_->ForgetMissing();
}

absl::StatusOr<std::vector<std::string>> KafkaConsumer::List(absl::Duration timeout,
                                                             std::string* missing) {
  std::vector<std::string> partitions;
  for (const std::string& wanted : options_.topics) {
    const auto pattern = patterns_.find(wanted);
    const bool is_pattern = pattern != patterns_.end();
    rd_kafka_topic_t* const topic =
        is_pattern ? nullptr : rd_kafka_topic_new(client_->handle(), wanted.c_str(), nullptr);
    const rd_kafka_metadata_t* metadata = nullptr;
    rd_kafka_resp_err_t error;
    absl::Duration left = timeout;
    do {  // a client that is refused need not wait for the timeout
      error = rd_kafka_metadata(client_->handle(), is_pattern ? 1 : 0, topic, &metadata,
                                KafkaTimeout(std::min(left, kRefusalInterval)));
      left -= kRefusalInterval;
      client_->Serve();
    } while (error != RD_KAFKA_RESP_ERR_NO_ERROR && left > absl::ZeroDuration() &&
             !client_->is_refused());
    if (topic != nullptr) rd_kafka_topic_destroy(topic);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
      return client_->ErrorOf(error,
                              absl::StrCat("cannot list the topics of '", options_.brokers, "'"));
    }
    const std::unique_ptr<const rd_kafka_metadata_t, void (*)(const rd_kafka_metadata_t*)> owner(
        metadata, rd_kafka_metadata_destroy);
    for (int i = 0; i < metadata->topic_cnt; ++i) {
      const rd_kafka_metadata_topic_t& found = metadata->topics[i];
      const std::string name = found.topic;
      // Topics that begin with "__" are the brokers' own.
      if (is_pattern && (name.starts_with("__") || !std::regex_search(name, pattern->second)))
        continue;
      if (found.err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
        if (missing->empty() && !is_pattern) *missing = name;
        continue;
      }
      if (found.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return KafkaError(found.err, absl::StrCat("cannot look up the topic '", name, "'"));
      }
      for (int p = 0; p < found.partition_cnt; ++p) {
        partitions.push_back(absl::StrCat(name, "/", found.partitions[p].id));
      }
    }
  }
  std::sort(partitions.begin(), partitions.end());
  partitions.erase(std::unique(partitions.begin(), partitions.end()), partitions.end());
  return partitions;
}

absl::StatusOr<int64_t> KafkaConsumer::FirstOffset(const std::string& topic, int32_t partition) {
  const std::string name = absl::StrCat(topic, "/", partition);
  const KafkaStart& start = options_.start;
  const int timeout_ms = KafkaTimeout(options_.timeout);
  switch (start.kind) {
    case KafkaStart::Kind::kBeginning:
      break;
    case KafkaStart::Kind::kOffsets: {
      const auto found = start.offsets.find(name);
      if (found != start.offsets.end()) return found->second;
      break;
    }
    case KafkaStart::Kind::kTime: {
      // No message is earlier than 1970, and the protocol has other meanings for such times.
      const TopicPartitions list =
          ListOf(topic, partition, std::max<int64_t>(0, absl::ToUnixMillis(start.time)));
      rd_kafka_resp_err_t error =
          rd_kafka_offsets_for_times(client_->handle(), list.get(), timeout_ms);
      if (error == RD_KAFKA_RESP_ERR_NO_ERROR) error = list->elems[0].err;
      if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return client_->ErrorOf(error, absl::StrCat("cannot look up a time in ", name));
      }
      if (list->elems[0].offset >= 0) return list->elems[0].offset;
      [[fallthrough]];  // all messages are earlier
    }
    case KafkaStart::Kind::kEnd: {
      int64_t low = 0;
      int64_t high = 0;
      const rd_kafka_resp_err_t error = rd_kafka_query_watermark_offsets(
          client_->handle(), topic.c_str(), partition, &low, &high, timeout_ms);
      if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return client_->ErrorOf(error, absl::StrCat("cannot look up the end of ", name));
      }
      return high;
    }
  }
  return RD_KAFKA_OFFSET_BEGINNING;
}

KafkaFetcher::KafkaFetcher(std::shared_ptr<KafkaConsumer> consumer, std::string topic,
                           int32_t partition)
    : consumer_(std::move(consumer)),
      topic_(std::move(topic)),
      partition_(partition),
      stall_(consumer_->queue_limits()) {
  consumer_->Opened(Name());
}

absl::StatusOr<std::unique_ptr<KafkaFetcher>> KafkaFetcher::Open(
    std::shared_ptr<KafkaConsumer> consumer, const std::string& partition,
    std::optional<std::string> position, const ThreadActivator& activator) {
  const size_t slash = partition.rfind('/');
  std::unique_ptr<KafkaFetcher> fetcher(new KafkaFetcher(
      std::move(consumer), partition.substr(0, slash), std::stoi(partition.substr(slash + 1))));
  int64_t offset = RD_KAFKA_OFFSET_BEGINNING;
  if (!position.has_value()) {
    absl::StatusOr<int64_t> first =
        fetcher->consumer_->FirstOffset(fetcher->topic_, fetcher->partition_);
    if (!first.ok()) return first.status();
    offset = *first;
  } else if (*position != "beginning") {
    const char* const end = position->data() + position->size();
    const auto [parsed, error] = std::from_chars(position->data(), end, offset);
    if (error != std::errc() || parsed != end || offset < 0) {
      return absl::DataLossError(absl::StrFormat(
          "the stored position '%s' of %s is no offset of Kafka", *position, partition));
    }
  }
  if (offset >= 0) fetcher->next_offset_ = offset;
  fetcher->activator_ = activator;
  absl::Status status = fetcher->Start(offset);
  if (!status.ok()) return status;
  return fetcher;
}

absl::Status KafkaFetcher::Start(int64_t offset) {
  rd_kafka_t* const client = consumer_->client().handle();
  queue_ = rd_kafka_queue_new(client);
  rd_kafka_queue_cb_event_enable(
      queue_, [](rd_kafka_t*, void* opaque) { static_cast<ThreadActivator*>(opaque)->Activate(); },
      &activator_);
  of_topic_ = rd_kafka_topic_new(client, topic_.c_str(), nullptr);
  if (of_topic_ != nullptr) {
    // The partition may have appeared after this client looked at its topic, which it does every
    // few minutes.
    const rd_kafka_metadata_t* metadata = nullptr;
    const rd_kafka_resp_err_t error = rd_kafka_metadata(client, 0, of_topic_, &metadata,
                                                        KafkaTimeout(consumer_->options().timeout));
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) rd_kafka_metadata_destroy(metadata);
    if (rd_kafka_consume_start_queue(of_topic_, partition_, offset, queue_) == 0) {
      return absl::OkStatus();
    }
  }
  const rd_kafka_resp_err_t error = rd_kafka_last_error();
  if (of_topic_ != nullptr) rd_kafka_topic_destroy(std::exchange(of_topic_, nullptr));
  return KafkaError(error, absl::StrCat("cannot read ", Name()));
}

KafkaFetcher::~KafkaFetcher() {
  consumer_->Closed(Name());
  for (size_t i = taken_; i < messages_.size(); ++i) rd_kafka_message_destroy(messages_[i]);
  if (queue_ != nullptr) rd_kafka_queue_cb_event_enable(queue_, nullptr, nullptr);
  if (of_topic_ != nullptr) {
    rd_kafka_consume_stop(of_topic_, partition_);
    rd_kafka_topic_destroy(of_topic_);
  }
  if (queue_ != nullptr) rd_kafka_queue_destroy(queue_);
}

bool KafkaFetcher::Fetch() {
  messages_.resize(kBatch);
  const ssize_t count = rd_kafka_consume_batch_queue(queue_, 0, messages_.data(), kBatch);
  messages_.resize(count < 0 ? 0 : static_cast<size_t>(count));
  taken_ = 0;
  // The client tells of the end after a fetch that waits for more, half a second by default.
  if (messages_.empty() && next_offset_.has_value() && next_offset_ == HighWatermark()) {
    at_end_ = true;
  }
  if (!messages_.empty() || at_end_) {
    stall_.End();
  } else if (next_offset_.has_value() && stall_.MustSeek(*next_offset_)) {
    (void)rd_kafka_seek(of_topic_, partition_, *next_offset_, 0);  // tried again if it fails
  }
  return !messages_.empty();
}

bool KafkaStall::MustSeek(int64_t next_offset) {
  const bool was_full = messages_taken_ >= limits_.messages || bytes_taken_ >= limits_.bytes;
  messages_taken_ = 0;
  bytes_taken_ = 0;
  const absl::Time now = absl::Now();
  if (was_full) {
    delay_ = kFirstSeekDelay;
    seek_at_ = now + delay_;
  }
  if (now < seek_at_) return false;
  // The client may miss a seek, and the answer of a slow broker must not be given up for ever.
  delay_ = std::min(2 * delay_, absl::Seconds(1));
  seek_at_ = now + delay_;
  fetched_again_from_ = next_offset;
  return true;
}

const KafkaView* KafkaFetcher::Next() {
  if (filled_) return &view_;
  at_end_ = false;
  while (taken_ < messages_.size() || Fetch()) {
    const rd_kafka_message_t& message = *messages_[taken_];
    if (message.err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      if (!stall_.IsRepeated(message.offset, next_offset_.value_or(0))) {
        Fill(message);
        return &view_;
      }
    } else {
      TakeError(message);
    }
    rd_kafka_message_destroy(messages_[taken_++]);
    if ((at_end_ && consumer_->options().stops_at_end) || !failure_.ok()) return nullptr;
  }
  consumer_->client().Serve();
  if (failure_.ok()) failure_ = consumer_->client().failure();
  if (failure_.ok()) NoteDeletion();
  return nullptr;
}

void KafkaFetcher::Fill(const rd_kafka_message_t& message) {
  view_.topic = topic_;
  view_.partition = partition_;
  view_.offset = message.offset;
  rd_kafka_timestamp_type_t kind;
  view_.timestamp_ms = rd_kafka_message_timestamp(&message, &kind);
  view_.key.reset();
  view_.value.reset();
  if (message.key != nullptr) view_.key = Bytes(message.key, message.key_len);
  if (message.payload != nullptr) view_.value = Bytes(message.payload, message.len);
  view_.headers.clear();
  rd_kafka_headers_t* headers = nullptr;
  if (rd_kafka_message_headers(&message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
    const char* name = nullptr;
    const void* value = nullptr;
    size_t size = 0;
    for (size_t i = 0;
         rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
         ++i) {
      view_.headers.emplace_back(name, Bytes(value, size));
    }
  }
  filled_ = true;
}

void KafkaFetcher::Advance() {
  stall_.TakeMessage(messages_[taken_]->len + messages_[taken_]->key_len);
  next_offset_ = view_.offset + 1;
  filled_ = false;
  rd_kafka_message_destroy(messages_[taken_++]);
}

void KafkaFetcher::TakeError(const rd_kafka_message_t& message) {
  switch (message.err) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
      at_end_ = true;
      return;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
      failure_ = absl::OutOfRangeError(absl::StrFormat(
          "Kafka: the message at %s of %s is gone: retention has removed it, or the topic was made "
          "anew; choose KafkaSourceOptions::lost_offset to continue without it",
          next_offset_.has_value() ? absl::StrCat("offset ", *next_offset_) : "the beginning",
          Name()));
      return;
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
      return;  // the client tries again by itself
    default:
      failure_ = KafkaError(message.err, absl::StrCat("cannot read ", Name()));
  }
}

void KafkaFetcher::NoteDeletion() {
  if (!consumer_->IsGone(Name())) return;
  if (consumer_->options().vanished_partitions == VanishedPartitions::kForget) {
    at_end_ = true;
    return;
  }
  failure_ = absl::NotFoundError(absl::StrFormat(
      "Kafka: %s, which this run reads, is gone from '%s': its topic was deleted; resume the run "
      "when there is such a topic, or allow VanishedPartitions::kForget",
      Name(), consumer_->options().brokers));
}

absl::StatusOr<SourceState> KafkaFetcher::state() const {
  if (!failure_.ok()) return failure_;
  if (at_end_ && consumer_->options().stops_at_end) return SourceState::Done();
  return SourceState::Idle(stall_.wait());
}

std::string KafkaFetcher::Position() const {
  return next_offset_.has_value() ? absl::StrCat(*next_offset_) : "beginning";
}

void KafkaFetcher::TellLag() {
  const auto& on_lag = consumer_->options().on_lag;
  if (on_lag == nullptr || !next_offset_.has_value()) return;
  const absl::Time now = absl::Now();
  if (now < lag_due_) return;
  const std::optional<int64_t> high = HighWatermark();
  if (!high.has_value()) return;
  lag_due_ = now + kLagInterval;
  on_lag({.topic = topic_,
          .partition = partition_,
          .messages = std::max<int64_t>(0, *high - *next_offset_)});
}

std::optional<int64_t> KafkaFetcher::HighWatermark() const {
  int64_t low = 0;
  int64_t high = 0;
  if (rd_kafka_get_watermark_offsets(consumer_->client().handle(), topic_.c_str(), partition_, &low,
                                     &high) != RD_KAFKA_RESP_ERR_NO_ERROR ||
      high < 0) {
    return std::nullopt;
  }
  return high;
}

std::string KafkaFetcher::Describe() const {
  return absl::StrCat(Name(), " at offset ", view_.offset);
}

std::string KafkaFetcher::Name() const { return absl::StrCat(topic_, "/", partition_); }

}  // namespace headway::internal
