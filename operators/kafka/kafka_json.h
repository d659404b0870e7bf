#ifndef HEADWAY_OPERATORS_KAFKA_KAFKA_JSON_H_
#define HEADWAY_OPERATORS_KAFKA_KAFKA_JSON_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "comm/codec/shapes.h"
#include "engine/runtime/status_macros.h"
#include "operators/io/json_text.h"
#include "operators/io/json_value.h"
#include "operators/io/line_reader.h"
#include "operators/kafka/kafka_message.h"

namespace headway {

// The function of a KafkaSource whose messages are JSON: the record is the value of a message.
//
//   KafkaSource({.brokers = "kafka:9092", .topics = {"trades"}}, KafkaJson<Trade>())
//
// The record has one of the types of JsonValue::Read (json_value.h): most often a struct with
// HEADWAY_COLUMNS. A message without a value, a tombstone, is an error, but for a std::optional,
// which has no value then. InvalidArgument: the value is malformed, or lacks a field. A copy has a
// parser of its own, and belongs to one thread.
template <class Record>
class KafkaJson {
  static constexpr bool kReads = internal::HasJsonValue<Record>();
  static_assert(kReads,
                "KafkaJson: write HEADWAY_COLUMNS(Type, members...) behind the record's struct, or "
                "give KafkaSource a function of const KafkaView&");
  static_assert(!internal::HasViewColumn<Record>(),
                "KafkaJson: the members of the record must own their text: std::string, not "
                "std::string_view");

 public:
  KafkaJson() = default;
  KafkaJson(const KafkaJson& /*other*/) {}
  KafkaJson& operator=(const KafkaJson&) = delete;

  absl::StatusOr<Record> operator()(const KafkaView& message) {
    Record record{};
    if (!message.value.has_value()) {
      if constexpr (internal::OptionalLike<Record>) return record;
      return absl::InvalidArgumentError("the message has no value, and JSON is expected");
    }
    text_.assign(*message.value);
    const size_t size = text_.size();
    text_.append(internal::LineReader::kPadding, '\0');
    const absl::StatusOr<JsonValue> value = parser_.Parse(std::string_view(text_).substr(0, size));
    if (!value.ok()) return value.status();
    HEADWAY_RETURN_IF_ERROR(value->Read(record));
    return record;
  }

 private:
  internal::JsonParser parser_;
  std::string text_;
};

// The JSON text of a record (json_text.h), for the value of a KafkaRecord.
template <class Record>
std::string KafkaJsonText(const Record& record) {
  constexpr bool kWrites = internal::HasJsonText<Record>();
  static_assert(
      kWrites,
      "KafkaJsonText: write HEADWAY_COLUMNS(Type, members...) behind the record's struct, "
      "or std::string ToString(const Record&) beside it");
  std::string text;
  if constexpr (kWrites) internal::AppendJson(text, record);
  return text;
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_KAFKA_KAFKA_JSON_H_
