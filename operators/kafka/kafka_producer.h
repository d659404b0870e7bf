#ifndef HEADWAY_OPERATORS_KAFKA_KAFKA_PRODUCER_H_
#define HEADWAY_OPERATORS_KAFKA_KAFKA_PRODUCER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine/step/activator.h"
#include "engine/step/flush_state.h"
#include "engine/step/lane_thread.h"
#include "engine/step/step_context.h"
#include "engine/step/transactional_sink.h"
#include "operators/kafka/kafka_client.h"
#include "operators/kafka/kafka_message.h"

struct rd_kafka_error_s;

namespace headway {

struct KafkaSinkOptions {
  std::string brokers = {};  // "host:port,host:port"
  std::string topic = {};    // of records that name none
  // The time after which a call that the start of a transactional sink waits for fails.
  absl::Duration timeout = absl::Seconds(60);
  KafkaProperties properties = {};
};

namespace internal {

// Produces messages, and waits for their acknowledgement. Belongs to one thread.
class KafkaProducer {
 public:
  // `transactional_id`: empty for a producer without transactions.
  static absl::StatusOr<std::unique_ptr<KafkaProducer>> Open(const KafkaSinkOptions& options,
                                                             const std::string& transactional_id);

  void WakeBy(const ThreadActivator& activator) { client_->WakeBy(activator); }
  // Waits while the client's queue is full. A failure may be one of an earlier message.
  absl::Status Produce(const KafkaRecord& record);
  // Done when all messages are acknowledged.
  absl::StatusOr<FlushState> Flush();

  KafkaClient& client() { return *client_; }

 private:
  explicit KafkaProducer(std::string topic) : topic_(std::move(topic)) {}

  const std::string topic_;
  std::unique_ptr<KafkaClient> client_;
};

// Publishes transactions of one lane, on a thread of its own. The mark is an offset that the
// transaction commits for a consumer group of the lane, in partition 0 of the sink's topic.
class KafkaTransactions {
 public:
  // Fences the lane's producers of earlier generations. Waits for the brokers.
  static absl::StatusOr<std::unique_ptr<KafkaTransactions>> Open(const KafkaSinkOptions& options,
                                                                 const std::string& id,
                                                                 const ThreadActivator& activator);
  ~KafkaTransactions();
  KafkaTransactions(const KafkaTransactions&) = delete;
  KafkaTransactions& operator=(const KafkaTransactions&) = delete;

  absl::StatusOr<std::optional<uint64_t>> LastMark();
  // As Lane::Publish, for items that are encoded KafkaRecords.
  absl::StatusOr<FlushState> Publish(const Transaction& transaction) {
    return thread_.Publish(transaction);
  }

 private:
  KafkaTransactions(KafkaSinkOptions options, std::string id, ThreadActivator activator)
      : options_(std::move(options)),
        id_(std::move(id)),
        thread_(
            [this](const Transaction& transaction) {
              return Commit(transaction.items, transaction.mark);
            },
            std::move(activator)) {}

  // On the thread, as the three functions below: commits one transaction, and begins it again if it
  // was aborted.
  absl::Status Commit(std::span<const std::string_view> items, std::optional<uint64_t> mark);
  // Repeats a call that the interface lets repeat, until the object is destroyed.
  absl::Status Repeat(absl::FunctionRef<rd_kafka_error_s*()> call, std::string_view context,
                      bool* try_again);
  absl::Status TryOnce(std::span<const std::string_view> items, std::optional<uint64_t> mark,
                       bool* try_again);

  const KafkaSinkOptions options_;
  const std::string id_;
  std::unique_ptr<KafkaProducer> producer_;  // the thread's, once it runs
  LaneThread thread_;
};

}  // namespace internal

}  // namespace headway

#endif  // HEADWAY_OPERATORS_KAFKA_KAFKA_PRODUCER_H_
