#ifndef HEADWAY_OPERATORS_KAFKA_KAFKA_SOURCE_H_
#define HEADWAY_OPERATORS_KAFKA_KAFKA_SOURCE_H_

#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "engine/step/source.h"
#include "operators/kafka/kafka_consumer.h"
#include "operators/kafka/kafka_message.h"

namespace headway {

namespace internal {

template <class Result>
struct KafkaDecoded {
  using Record = Result;
  static constexpr bool kMayFail = false;
};
template <class Value>
struct KafkaDecoded<absl::StatusOr<Value>> {
  using Record = Value;
  static constexpr bool kMayFail = true;
};

template <class F>
class KafkaSourceOf {
  static_assert(std::is_invocable_v<F&, const KafkaView&>,
                "KafkaSource: the function must take const KafkaView& and return the record, or "
                "absl::StatusOr of it");
  using Decoded = KafkaDecoded<std::invoke_result_t<F&, const KafkaView&>>;

 public:
  using Record = typename Decoded::Record;

  class Reader {
   public:
    Reader(std::unique_ptr<KafkaFetcher> fetcher, F decode)
        : fetcher_(std::move(fetcher)), decode_(std::move(decode)) {}

    absl::StatusOr<SourceState> Poll(SourceOutput<Record>& out) {
      fetcher_->TellLag();
      while (out.WantsMore()) {
        const KafkaView* const message = fetcher_->Next();
        if (message == nullptr) return fetcher_->state();
        if constexpr (Decoded::kMayFail) {
          absl::StatusOr<Record> record = decode_(*message);
          if (!record.ok()) {
            return absl::Status(record.status().code(), absl::StrCat(fetcher_->Describe(), ": ",
                                                                     record.status().message()));
          }
          out.Emit(*std::move(record));
        } else {
          out.Emit(decode_(*message));
        }
        fetcher_->Advance();
      }
      return SourceState::More();
    }
    std::string Snapshot() const { return fetcher_->Position(); }

   private:
    std::unique_ptr<KafkaFetcher> fetcher_;
    F decode_;
  };

  KafkaSourceOf(KafkaSourceOptions options, F decode)
      : options_(std::move(options)), decode_(std::move(decode)) {}
  // Each worker has a consumer of its own.
  KafkaSourceOf(const KafkaSourceOf& other) : options_(other.options_), decode_(other.decode_) {}
  KafkaSourceOf(KafkaSourceOf&&) noexcept = default;

  absl::StatusOr<std::vector<std::string>> Partitions(const SourceContext&) {
    absl::Status status = Connect();
    if (!status.ok()) return status;
    return consumer_->Partitions();
  }
  absl::Duration list_interval() const {
    return options_.stops_at_end ? absl::InfiniteDuration() : options_.list_interval;
  }
  absl::Status Committed(const CommittedPositions& positions) {
    if (consumer_ != nullptr) consumer_->Committed(positions);
    return absl::OkStatus();
  }
  VanishedPartitions vanished_partitions() const { return options_.vanished_partitions; }

  absl::StatusOr<Reader> OpenPartition(const SourceContext& context, const std::string& partition,
                                       std::optional<std::string> position) {
    absl::Status status = Connect();
    if (!status.ok()) return status;
    auto fetcher = KafkaFetcher::Open(consumer_, partition, std::move(position), context.activator);
    if (!fetcher.ok()) return fetcher.status();
    return Reader(*std::move(fetcher), decode_);
  }

 private:
  absl::Status Connect() {
    if (consumer_ != nullptr) return absl::OkStatus();
    auto consumer = KafkaConsumer::Open(options_);
    if (!consumer.ok()) return consumer.status();
    consumer_ = *std::move(consumer);
    return absl::OkStatus();
  }

  KafkaSourceOptions options_;
  F decode_;
  std::shared_ptr<KafkaConsumer> consumer_;
};

}  // namespace internal

// The messages of topics of Kafka, in the order of each partition. `decode` makes a record of a
// message, const KafkaView&, or returns absl::StatusOr of it: a failure ends the run, and names the
// topic, the partition and the offset. To continue behind such a message, let the function return a
// std::variant, and use Split.
//
// Partitions are divided among the workers, also those that appear during the run. Their
// positions are offsets in the recovery store. The offsets of a consumer group are never read. If
// the properties have a group.id, they are written when an epoch is committed, for tools that show
// the lag of the group. Event time: EventClock of KafkaView::timestamp_ms, or of a field of the
// record.
//
// Errors, as statuses that end the run: NotFound: no such topic, or it was deleted
// (KafkaSourceOptions::vanished_partitions). OutOfRange: the next message is gone
// (KafkaSourceOptions::lost_offset). Unavailable: no broker answers at the start within the
// timeout; later the source waits for the brokers without end. InvalidArgument: a property that
// librdkafka refuses, no topics or brokers, or a name or an offset that cannot be one. Each worker
// has a client of librdkafka, with threads of its own.
template <class F>
auto KafkaSource(KafkaSourceOptions options, F decode) {
  return internal::KafkaSourceOf<F>(std::move(options), std::move(decode));
}

// The same with KafkaMessage as the record.
inline auto KafkaSource(KafkaSourceOptions options) {
  return KafkaSource(std::move(options), &ToKafkaMessage);
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_KAFKA_KAFKA_SOURCE_H_
