#include "operators/kafka/kafka_producer.h"

#include <librdkafka/rdkafka.h>

#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "comm/codec/codec.h"
#include "engine/store/store.h"

namespace headway::internal {
namespace {

// A transaction that was aborted is tried again so often.
constexpr int kTries = 5;
// A call of the transactional interface returns after this time, and is repeated.
constexpr int kCallMs = 1000;

// The status of an error of the transactional calls, which it takes.
absl::Status Take(rd_kafka_error_t* error, std::string_view context, bool* try_again) {
  if (error == nullptr) return absl::OkStatus();
  if (try_again != nullptr) {
    *try_again = !rd_kafka_error_is_fatal(error) &&
                 (rd_kafka_error_txn_requires_abort(error) || rd_kafka_error_is_retriable(error));
  }
  absl::Status status = KafkaError(rd_kafka_error_code(error),
                                   absl::StrCat(absl::string_view(context.data(), context.size()),
                                                ": ", rd_kafka_error_string(error)));
  rd_kafka_error_destroy(error);
  return status;
}

}  // namespace

std::string TransactionalId(const SinkContext& context, const std::string& lane) {
  // Lengths, so that no two steps and lanes have one id.
  const std::string store = context.store_id.empty() ? RandomStoreId() : context.store_id;
  return absl::StrCat("headway/", store, "/", context.step_id.size(), ":", context.step_id, "/",
                      lane);
}

absl::StatusOr<std::unique_ptr<KafkaProducer>> KafkaProducer::Open(
    const KafkaSinkOptions& options, const std::string& transactional_id) {
  KafkaProperties properties = {
      {"enable.idempotence", "true"},     // a repeated send is no second message
      {"partitioner", "murmur2_random"},  // that of Java's clients
      {"linger.ms", "5"},
      {"reconnect.backoff.max.ms", "1000"},
  };
  if (!transactional_id.empty()) {
    properties["transactional.id"] = transactional_id;
    properties["retry.backoff.ms"] = "10";  // the coordinator asks for retries between transactions
  }
  for (const auto& [name, value] : options.properties) properties[name] = value;
  properties["bootstrap.servers"] = options.brokers;
  std::unique_ptr<KafkaProducer> producer(new KafkaProducer(options.topic));
  auto client = KafkaClient::Open(KafkaRole::kProducer, properties);
  if (!client.ok()) return client.status();
  producer->client_ = *std::move(client);
  return producer;
}

absl::Status KafkaProducer::Produce(const KafkaRecord& record) {
  const std::string& topic = record.topic.empty() ? topic_ : record.topic;
  rd_kafka_t* const handle = client_->handle();
  while (true) {
    absl::InlinedVector<rd_kafka_vu_t, 16> arguments;  // more are for many headers
    auto add = [&](rd_kafka_vtype_t type) -> rd_kafka_vu_t& {
      rd_kafka_vu_t& argument = arguments.emplace_back();
      argument.vtype = type;
      return argument;
    };
    add(RD_KAFKA_VTYPE_TOPIC).u.cstr = topic.c_str();
    add(RD_KAFKA_VTYPE_MSGFLAGS).u.i = RD_KAFKA_MSG_F_COPY;
    if (record.value.has_value()) {
      rd_kafka_vu_t& value = add(RD_KAFKA_VTYPE_VALUE);
      value.u.mem.ptr = const_cast<char*>(record.value->data());
      value.u.mem.size = record.value->size();
    }
    if (record.key.has_value()) {
      rd_kafka_vu_t& key = add(RD_KAFKA_VTYPE_KEY);
      key.u.mem.ptr = const_cast<char*>(record.key->data());
      key.u.mem.size = record.key->size();
    }
    if (record.partition >= 0) add(RD_KAFKA_VTYPE_PARTITION).u.i32 = record.partition;
    if (record.timestamp_ms > 0) add(RD_KAFKA_VTYPE_TIMESTAMP).u.i64 = record.timestamp_ms;
    for (const auto& [name, value] : record.headers) {
      rd_kafka_vu_t& header = add(RD_KAFKA_VTYPE_HEADER);
      header.u.header.name = name.c_str();
      header.u.header.val = value.data();
      header.u.header.size = static_cast<ssize_t>(value.size());
    }
    rd_kafka_error_t* const error = rd_kafka_produceva(handle, arguments.data(), arguments.size());
    if (error == nullptr) {
      client_->CountProduced();
      return absl::OkStatus();
    }
    const bool is_full = rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR__QUEUE_FULL;
    absl::Status status = Take(error, absl::StrCat("cannot produce to '", topic, "'"), nullptr);
    if (!is_full) return status;
    rd_kafka_poll(handle, 10);  // messages leave the queue, or fail after message.timeout.ms
    if (!client_->failure().ok()) return client_->failure();
  }
}

absl::StatusOr<FlushState> KafkaProducer::Flush() {
  client_->Serve();
  if (!client_->failure().ok()) return client_->failure();
  if (client_->unacknowledged() == 0) return FlushState::Done();
  return FlushState::Pending(absl::Milliseconds(100));
}

absl::StatusOr<std::unique_ptr<KafkaTransactions>> KafkaTransactions::Open(
    const KafkaSinkOptions& options, const std::string& id, const ThreadActivator& activator) {
  if (options.topic.empty()) {
    return absl::InvalidArgumentError(
        "Kafka: a transactional sink needs KafkaSinkOptions::topic, where its marks are");
  }
  std::unique_ptr<KafkaTransactions> transactions(new KafkaTransactions(options, id, activator));
  auto producer = KafkaProducer::Open(options, id);
  if (!producer.ok()) return producer.status();
  transactions->producer_ = *std::move(producer);
  KafkaClient& client = transactions->producer_->client();
  rd_kafka_error_t* const error =
      rd_kafka_init_transactions(client.handle(), KafkaTimeout(options.timeout));
  if (error == nullptr) return transactions;
  const absl::Cleanup destroy = [error] { rd_kafka_error_destroy(error); };
  return client.ErrorOf(
      rd_kafka_error_code(error),
      absl::StrCat("cannot begin transactions of '", id, "': ", rd_kafka_error_string(error)));
}

KafkaTransactions::~KafkaTransactions() {
  thread_.End();
  if (producer_ == nullptr) return;
  // A full queue has room then. The other calls return within kCallMs.
  rd_kafka_purge(producer_->client().handle(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
}

absl::StatusOr<std::optional<uint64_t>> KafkaTransactions::LastMark() {
  KafkaProperties properties = options_.properties;
  // Properties of producers alone are in the way of a consumer.
  for (const char* name : {"enable.idempotence", "acks", "compression.codec", "linger.ms",
                           "transaction.timeout.ms", "message.timeout.ms"}) {
    properties.erase(name);
  }
  properties["bootstrap.servers"] = options_.brokers;
  properties["group.id"] = id_;
  auto client = KafkaClient::Open(KafkaRole::kConsumer, properties);
  if (!client.ok()) return client.status();
  rd_kafka_topic_partition_list_t* const list = rd_kafka_topic_partition_list_new(1);
  const absl::Cleanup destroy = [list] { rd_kafka_topic_partition_list_destroy(list); };
  rd_kafka_topic_partition_list_add(list, options_.topic.c_str(), 0);
  const rd_kafka_resp_err_t error =
      rd_kafka_committed((*client)->handle(), list, KafkaTimeout(options_.timeout));
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return (*client)->ErrorOf(error, absl::StrCat("cannot read the last mark of '", id_, "'"));
  }
  if (list->elems[0].err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return KafkaError(list->elems[0].err, absl::StrCat("cannot read the last mark of '", id_, "'"));
  }
  const int64_t offset = list->elems[0].offset;
  return offset < 0 ? std::nullopt : std::optional(static_cast<uint64_t>(offset));
}

absl::Status KafkaTransactions::Commit(std::span<const std::string_view> items,
                                       std::optional<uint64_t> mark) {
  absl::Status status;
  for (int i = 0; i < kTries; ++i) {
    bool try_again = false;
    status = TryOnce(items, mark, &try_again);
    if (status.ok() || thread_.ends()) return status;
    KafkaClient& client = producer_->client();
    // The reports say more than the commit.
    client.Serve();
    if (!client.failure().ok()) {
      status = client.failure();
      try_again = try_again && absl::IsUnavailable(status);
    }
    if (!try_again) return status;
    rd_kafka_t* const handle = client.handle();
    const absl::Status aborted = Repeat([&] { return rd_kafka_abort_transaction(handle, kCallMs); },
                                        "cannot abort a transaction", nullptr);
    if (!aborted.ok()) return status;
    client.ForgetDeliveries();
  }
  return status;
}

absl::Status KafkaTransactions::Repeat(absl::FunctionRef<rd_kafka_error_s*()> call,
                                       std::string_view context, bool* try_again) {
  while (true) {
    rd_kafka_error_t* const error = call();
    if (error == nullptr) return absl::OkStatus();
    const bool repeats = rd_kafka_error_is_retriable(error) && !rd_kafka_error_is_fatal(error) &&
                         !rd_kafka_error_txn_requires_abort(error);
    if (!repeats || thread_.ends()) return Take(error, context, try_again);
    rd_kafka_error_destroy(error);
  }
}

absl::Status KafkaTransactions::TryOnce(std::span<const std::string_view> items,
                                        std::optional<uint64_t> mark, bool* try_again) {
  rd_kafka_t* const handle = producer_->client().handle();
  const std::string of_id = absl::StrCat(" of '", id_, "'");
  absl::Status status = Take(rd_kafka_begin_transaction(handle),
                             absl::StrCat("cannot begin a transaction", of_id), nullptr);
  if (!status.ok()) return status;
  KafkaRecord record;
  for (std::string_view item : items) {
    if (thread_.ends()) return absl::CancelledError("the run ends");
    if (!DecodeFromBytes(std::as_bytes(std::span(item)), &record)) {
      return absl::DataLossError("an item of the outbox is no message of this sink");
    }
    status = producer_->Produce(record);
    if (!status.ok()) {
      *try_again = absl::IsUnavailable(status);
      return status;
    }
  }
  if (mark.has_value()) {
    rd_kafka_topic_partition_list_t* const offsets = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(offsets, options_.topic.c_str(), 0)->offset =
        static_cast<int64_t>(*mark);
    rd_kafka_consumer_group_metadata_t* const group =
        rd_kafka_consumer_group_metadata_new(id_.c_str());
    status = Repeat(
        [&] { return rd_kafka_send_offsets_to_transaction(handle, offsets, group, kCallMs); },
        absl::StrCat("cannot add the mark to a transaction", of_id), try_again);
    rd_kafka_consumer_group_metadata_destroy(group);
    rd_kafka_topic_partition_list_destroy(offsets);
    if (!status.ok()) return status;
  }
  return Repeat([&] { return rd_kafka_commit_transaction(handle, kCallMs); },
                absl::StrCat("cannot commit a transaction", of_id), try_again);
}

}  // namespace headway::internal
