#ifndef HEADWAY_OPERATORS_KAFKA_KAFKA_FLATBUFFERS_H_
#define HEADWAY_OPERATORS_KAFKA_KAFKA_FLATBUFFERS_H_

#include <flatbuffers/flatbuffers.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "operators/kafka/kafka_message.h"
#include "operators/value_or_status.h"

// A program that includes this header needs those of FlatBuffers (libflatbuffers-dev).

namespace headway {

namespace internal {

template <class Table, class F>
class KafkaFlatBufferOf {
  static_assert(std::is_invocable_v<F&, const Table&>,
                "KafkaFlatBuffer: the function must take a const reference to the table, and "
                "return the record, or absl::StatusOr of it");
  using Result = std::invoke_result_t<F&, const Table&>;

 public:
  explicit KafkaFlatBufferOf(F f) : f_(std::move(f)) {}

  absl::StatusOr<typename ValueOrStatus<Result>::Value> operator()(const KafkaView& message) {
    const std::string_view value = message.value.value_or(std::string_view());
    // The value of a message is not aligned.
    aligned_.resize(value.size() / sizeof(std::max_align_t) + 1);
    if (!value.empty()) std::memcpy(aligned_.data(), value.data(), value.size());
    const auto* const bytes = reinterpret_cast<const uint8_t*>(aligned_.data());
    flatbuffers::Verifier verifier(bytes, value.size());
    if (!verifier.VerifyBuffer<Table>(nullptr)) {
      return absl::DataLossError("the value of the message is no FlatBuffer of this table");
    }
    return f_(*flatbuffers::GetRoot<Table>(bytes));
  }

 private:
  F f_;
  std::vector<std::max_align_t> aligned_;
};

}  // namespace internal

// The function of a KafkaSource whose messages are FlatBuffers with this table as the root:
// f(const Table&) returns the record, or absl::StatusOr of it. The table is valid in the call.
//
//   KafkaSource({.brokers = "kafka:9092", .topics = {"orders"}},
//               KafkaFlatBuffer<shop::Order>([](const shop::Order& order) { return order.id(); }))
//
// The whole value is verified first. Errors: DataLoss for a damaged or missing value. A sink sends
// the bytes of a FlatBufferBuilder as the value of a KafkaRecord.
template <class Table, class F>
auto KafkaFlatBuffer(F f) {
  return internal::KafkaFlatBufferOf<Table, F>(std::move(f));
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_KAFKA_KAFKA_FLATBUFFERS_H_
