#ifndef HEADWAY_OPERATORS_KAFKA_KAFKA_SINK_H_
#define HEADWAY_OPERATORS_KAFKA_KAFKA_SINK_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "comm/codec/codec.h"
#include "engine/step/sink.h"
#include "operators/kafka/kafka_message.h"
#include "operators/kafka/kafka_producer.h"

namespace headway {

namespace internal {

template <class F, class D>
concept MakesKafkaRecord =
    std::is_convertible_v<std::invoke_result_t<F&, const D&>, absl::StatusOr<KafkaRecord>>;

template <class F>
class KafkaSinkOf {
 public:
  class Writer {
   public:
    Writer(std::unique_ptr<KafkaProducer> producer, F encode)
        : producer_(std::move(producer)), encode_(std::move(encode)) {}

    template <class D>
      requires MakesKafkaRecord<F, D>
    absl::Status Write(const D& record) {
      const absl::StatusOr<KafkaRecord> message = encode_(record);
      return message.ok() ? producer_->Produce(*message) : message.status();
    }
    absl::StatusOr<FlushState> Flush() { return producer_->Flush(); }

   private:
    std::unique_ptr<KafkaProducer> producer_;
    F encode_;
  };

  KafkaSinkOf(KafkaSinkOptions options, F encode)
      : options_(std::move(options)), encode_(std::move(encode)) {}

  absl::StatusOr<Writer> Open(const SinkContext& context) {
    auto producer = KafkaProducer::Open(options_, "");
    if (!producer.ok()) return producer.status();
    (*producer)->WakeBy(context.activator);
    return Writer(*std::move(producer), encode_);
  }

 private:
  KafkaSinkOptions options_;
  F encode_;
};

// The transactional id of a lane. It is the same in all runs with a recovery store, and belongs to
// one run without.
std::string TransactionalId(const SinkContext& context, const std::string& lane);

// All records are in one lane.
struct OneKafkaLane {};

template <class F, class LaneFunction>
class TransactionalKafkaSinkOf {
 public:
  class Lane {
   public:
    Lane(std::unique_ptr<KafkaTransactions> transactions, F encode)
        : transactions_(std::move(transactions)), encode_(std::move(encode)) {}

    template <class D>
      requires MakesKafkaRecord<F, D>
    absl::Status Write(const D& record, Outbox& outbox) {
      const absl::StatusOr<KafkaRecord> message = encode_(record);
      if (!message.ok()) return message.status();
      Encoder encoder;
      Codec<KafkaRecord>::Encode(*message, encoder);
      const std::vector<std::byte> bytes = encoder.Take();
      outbox.Add({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
      return absl::OkStatus();
    }
    absl::StatusOr<std::optional<uint64_t>> LastMark() { return transactions_->LastMark(); }
    absl::StatusOr<FlushState> Publish(const Transaction& transaction) {
      return transactions_->Publish(transaction);
    }

   private:
    std::unique_ptr<KafkaTransactions> transactions_;
    F encode_;
  };

  TransactionalKafkaSinkOf(KafkaSinkOptions options, F encode, LaneFunction lane_of)
      : options_(std::move(options)), encode_(std::move(encode)), lane_of_(std::move(lane_of)) {}

  template <class D>
    requires std::is_convertible_v<std::invoke_result_t<const LaneFunction&, const D&>, std::string>
  std::string LaneOf(const D& record) const {
    return lane_of_(record);
  }

  absl::StatusOr<Lane> OpenLane(const SinkContext& context, const std::string& lane) {
    auto transactions =
        KafkaTransactions::Open(options_, TransactionalId(context, lane), context.activator);
    if (!transactions.ok()) return transactions.status();
    return Lane(*std::move(transactions), encode_);
  }

 private:
  KafkaSinkOptions options_;
  F encode_;
  LaneFunction lane_of_;
};

}  // namespace internal

// Produces a message for each record: encode(record) returns a KafkaRecord, or absl::StatusOr of
// it, of which a failure ends the run. Each worker has a producer. An epoch is complete when the
// brokers have acknowledged its messages; a message that cannot be delivered within
// message.timeout.ms ends the run. So each record is in its topic at least once. Messages of one
// worker to one partition keep their order.
//
// While the client's queue is full (queue.buffering.max.messages) the worker waits.
template <class F>
auto KafkaSink(KafkaSinkOptions options, F encode) {
  return internal::KafkaSinkOf<F>(std::move(options), std::move(encode));
}

// Produces each record once, by transactions of Kafka (transactional_sink.h): consumers with
// isolation.level=read_committed see an epoch as a whole, when it is committed. A lane is a
// transactional id: worker 0 has the only one, or lane_of(record) names the lane of a record. The
// id is that of the recovery store, the step and the lane, and so is the consumer group that keeps
// the mark. A process of an earlier generation is fenced. A transaction that takes longer than
// transaction.timeout.ms is aborted by the broker, and ends the run.
template <class F>
auto TransactionalKafkaSink(KafkaSinkOptions options, F encode) {
  return internal::TransactionalKafkaSinkOf<F, internal::OneKafkaLane>(std::move(options),
                                                                       std::move(encode), {});
}
template <class F, class LaneFunction>
auto TransactionalKafkaSink(KafkaSinkOptions options, F encode, LaneFunction lane_of) {
  return internal::TransactionalKafkaSinkOf<F, LaneFunction>(std::move(options), std::move(encode),
                                                             std::move(lane_of));
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_KAFKA_KAFKA_SINK_H_
