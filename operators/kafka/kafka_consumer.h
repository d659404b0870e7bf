#ifndef HEADWAY_OPERATORS_KAFKA_KAFKA_CONSUMER_H_
#define HEADWAY_OPERATORS_KAFKA_KAFKA_CONSUMER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <regex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine/step/source.h"
#include "operators/kafka/kafka_client.h"
#include "operators/kafka/kafka_message.h"

struct rd_kafka_message_s;
struct rd_kafka_queue_s;
struct rd_kafka_topic_s;

namespace headway {

// Where a partition without a stored position begins.
struct KafkaStart {
  static KafkaStart Beginning() { return {}; }
  static KafkaStart End() { return {.kind = Kind::kEnd}; }
  // At the first message that is not earlier.
  static KafkaStart At(absl::Time time) { return {.kind = Kind::kTime, .time = time}; }
  // By "topic/partition". Other partitions begin at the beginning. Negative ones are refused.
  static KafkaStart Offsets(std::map<std::string, int64_t> offsets) {
    return {.kind = Kind::kOffsets, .offsets = std::move(offsets)};
  }

  enum class Kind { kBeginning, kEnd, kTime, kOffsets };
  Kind kind = Kind::kBeginning;
  absl::Time time = absl::InfinitePast();
  std::map<std::string, int64_t> offsets = {};
};

// The choice of a reader whose next message is gone from the topic, because retention removed it or
// the topic was made anew.
enum class KafkaLostOffset { kFail, kBeginning, kEnd };

// The messages of a partition that the source has not emitted yet, as of the last answer of the
// brokers. Messages of open transactions do not count.
struct KafkaLag {
  std::string_view topic;
  int32_t partition = 0;
  int64_t messages = 0;
};

struct KafkaSourceOptions {
  std::string brokers = {};  // "host:port,host:port"
  // Names, or regular expressions that begin with '^'.
  std::vector<std::string> topics = {};
  KafkaStart start = KafkaStart::Beginning();
  // A partition is done when its end is reached; otherwise the source follows the topic for ever.
  bool stops_at_end = false;
  // The time after which the source looks for new partitions and topics, unless it stops at the
  // end.
  absl::Duration list_interval = absl::Seconds(10);
  // Of a stored position whose partition is gone, and of a partition that is deleted while it is
  // read: the run fails once it has been gone for `timeout`. With kForget its reader waits for the
  // topic to be made anew, and is done if the source stops at the end.
  VanishedPartitions vanished_partitions = VanishedPartitions::kFail;
  KafkaLostOffset lost_offset = KafkaLostOffset::kFail;
  // The time after which a call that the start waits for fails: Unavailable. A partition that is
  // read may be gone for as long.
  absl::Duration timeout = absl::Seconds(30);
  // Called for each partition, once a second while the source is polled, on the worker that reads
  // the partition. Must not block.
  std::function<void(const KafkaLag&)> on_lag = nullptr;
  // With a group.id the offsets of that group follow the committed epochs.
  KafkaProperties properties = {};
};

namespace internal {

// Commits positions as the offsets of a client's consumer group. One request at a time is under
// way, and none is waited for before the end. Belongs to the worker's thread.
class KafkaGroupOffsets {
 public:
  explicit KafkaGroupOffsets(rd_kafka_s* client);
  // Waits for the last request, for a second at most.
  ~KafkaGroupOffsets();
  KafkaGroupOffsets(const KafkaGroupOffsets&) = delete;
  KafkaGroupOffsets& operator=(const KafkaGroupOffsets&) = delete;

  void Commit(const CommittedPositions& positions);

 private:
  // Sends the positions that wait, unless a request is under way after `timeout`.
  void Send(absl::Duration timeout);

  rd_kafka_s* const client_;
  rd_kafka_queue_s* const answers_;
  bool under_way_ = false;
  CommittedPositions waiting_;
};

// The client fetches no more of a partition while its queue has so much.
struct KafkaQueueLimits {
  int64_t messages = 0;
  int64_t bytes = 0;
};

// The consumer of a source on a worker, which its readers share. Belongs to the worker's thread.
class KafkaConsumer {
 public:
  static absl::StatusOr<std::shared_ptr<KafkaConsumer>> Open(const KafkaSourceOptions& options);

  // "topic/partition" of all partitions that there are. Once it has succeeded, a failure repeats
  // the last result, and topics may be missing.
  absl::StatusOr<std::vector<std::string>> Partitions();
  // A reader of the partition is opened, or closed.
  void Opened(const std::string& partition) { missing_since_[partition] = absl::InfiniteFuture(); }
  void Closed(const std::string& partition) { missing_since_.erase(partition); }
  // Whether an open partition has been gone from the brokers for the timeout. If the client misses
  // any, looks for them, once a second: it waits for the brokers for a second at most.
  bool IsGone(const std::string& partition);
  // The offset at which a partition without a position begins, or -2 for the beginning.
  absl::StatusOr<int64_t> FirstOffset(const std::string& topic, int32_t partition);

  // The epochs up to these positions are committed.
  void Committed(const CommittedPositions& positions) {
    if (group_offsets_ != nullptr) group_offsets_->Commit(positions);
  }

  KafkaClient& client() { return *client_; }
  const KafkaSourceOptions& options() const { return options_; }
  const KafkaQueueLimits& queue_limits() const { return queue_limits_; }

 private:
  explicit KafkaConsumer(const KafkaSourceOptions& options) : options_(options) {}
  // The first topic that does not exist, if any, is in `missing`; the others are listed.
  absl::StatusOr<std::vector<std::string>> List(absl::Duration timeout, std::string* missing);
  // Looks for the open partitions.
  void LookForMissing();

  const KafkaSourceOptions options_;
  std::map<std::string, std::regex> patterns_;
  KafkaQueueLimits queue_limits_;
  bool has_listed_ = false;
  std::vector<std::string> listed_;
  std::map<std::string, absl::Time> missing_since_;  // of open partitions
  absl::Time look_at_ = absl::InfinitePast();
  std::unique_ptr<KafkaClient> client_;
  std::unique_ptr<KafkaGroupOffsets> group_offsets_;  // null without a group.id
};

// Decides when the reader of a partition seeks. The client looks at a queue that was full after a
// second only, unless a fetch for another partition wakes it. To seek where the reader is wakes it
// at once, but gives up a fetch that is under way: so the reader waits a little before it does.
class KafkaStall {
 public:
  explicit KafkaStall(const KafkaQueueLimits& limits) : limits_(limits) {}

  void TakeMessage(size_t bytes) {
    ++messages_taken_;
    bytes_taken_ += static_cast<int64_t>(bytes);
  }
  // The queue has messages, or is at the end of the partition.
  void End() { seek_at_ = absl::InfiniteFuture(); }
  // The queue is empty. Returns true if the reader is to seek to `next_offset` now.
  bool MustSeek(int64_t next_offset);
  // The time after which the reader asks again, if the queue is still empty.
  absl::Duration wait() const {
    return seek_at_ == absl::InfiniteFuture() ? absl::Seconds(1) : delay_;
  }
  // Returns true if a message was emitted already, before it was fetched again after a seek.
  bool IsRepeated(int64_t offset, int64_t next_offset) const {
    return fetched_again_from_.has_value() && offset >= *fetched_again_from_ &&
           offset < next_offset;
  }

 private:
  const KafkaQueueLimits limits_;
  int64_t messages_taken_ = 0;  // since the queue was empty
  int64_t bytes_taken_ = 0;
  absl::Duration delay_;
  absl::Time seek_at_ = absl::InfiniteFuture();
  std::optional<int64_t> fetched_again_from_;
};

// Reads the messages of a partition. Belongs to the worker's thread.
class KafkaFetcher {
 public:
  // `position`: the decimal offset of the next message, or "beginning".
  static absl::StatusOr<std::unique_ptr<KafkaFetcher>> Open(std::shared_ptr<KafkaConsumer> consumer,
                                                            const std::string& partition,
                                                            std::optional<std::string> position,
                                                            const ThreadActivator& activator);
  ~KafkaFetcher();
  KafkaFetcher(const KafkaFetcher&) = delete;
  KafkaFetcher& operator=(const KafkaFetcher&) = delete;

  // The next message, valid until Advance. Null: the queue is empty, and state() has the reason.
  const KafkaView* Next();
  void Advance();
  // The reason why Next had no message.
  absl::StatusOr<SourceState> state() const;
  std::string Position() const;
  // Tells KafkaSourceOptions::on_lag, if it is due.
  void TellLag();
  // "topic/partition at offset N", of the message that Next returned.
  std::string Describe() const;

 private:
  KafkaFetcher(std::shared_ptr<KafkaConsumer> consumer, std::string topic, int32_t partition);
  std::string Name() const;  // topic/partition
  absl::Status Start(int64_t offset);
  // Takes messages from the client's queue. Returns false if there are none.
  bool Fetch();
  // The end of the partition in the last answer to a fetch; nullopt before the first one.
  std::optional<int64_t> HighWatermark() const;
  void Fill(const rd_kafka_message_s& message);
  void TakeError(const rd_kafka_message_s& message);
  void NoteDeletion();

  static constexpr size_t kBatch = 256;

  const std::shared_ptr<KafkaConsumer> consumer_;
  const std::string topic_;
  const int32_t partition_;
  std::optional<int64_t> next_offset_;  // nullopt: the beginning
  rd_kafka_topic_s* of_topic_ = nullptr;
  rd_kafka_queue_s* queue_ = nullptr;
  ThreadActivator activator_;
  std::vector<rd_kafka_message_s*> messages_;
  size_t taken_ = 0;  // of messages_
  KafkaStall stall_;
  bool filled_ = false;
  bool at_end_ = false;
  absl::Status failure_;
  absl::Time lag_due_ = absl::InfinitePast();
  KafkaView view_;
};

}  // namespace internal

}  // namespace headway

#endif  // HEADWAY_OPERATORS_KAFKA_KAFKA_CONSUMER_H_
