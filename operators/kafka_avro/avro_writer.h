#ifndef HEADWAY_OPERATORS_KAFKA_AVRO_AVRO_WRITER_H_
#define HEADWAY_OPERATORS_KAFKA_AVRO_AVRO_WRITER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "operators/kafka_avro/avro_error.h"
#include "operators/kafka_avro/avro_plan.h"

namespace headway::internal {

// Appends values in the binary encoding of Avro. Functions that return a bool return false after a
// failure: the value does not fit the schema.
class AvroWriter {
 public:
  // Appends to `bytes`.
  explicit AvroWriter(std::string bytes) : bytes_(std::move(bytes)) {}

  // An int or a long, a count, an index.
  void WriteLong(int64_t value);
  void WriteBoolean(bool value) { bytes_.push_back(value ? 1 : 0); }
  void WriteFloat(float value);
  void WriteDouble(double value);
  // A string, or bytes.
  void WriteBytes(std::string_view value);
  // A string, bytes, fixed, or the symbol of an enum.
  bool WriteText(const AvroPlan& plan, std::string_view value);
  // A date or a timestamp, `count` in units of the member.
  bool WriteTime(const AvroPlan& plan, int64_t count);

  bool Unfit(std::string reason) {
    return error_.Set(absl::StatusCode::kInvalidArgument, std::move(reason));
  }
  bool AddField(const std::string& name) { return error_.AddField(name); }

  std::string Take() { return std::move(bytes_); }
  // REQUIRES: a failure.
  absl::Status status() const { return error_.ToStatus(); }

 private:
  std::string bytes_;
  AvroError error_;
};

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_KAFKA_AVRO_AVRO_WRITER_H_
