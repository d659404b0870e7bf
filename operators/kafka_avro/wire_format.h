#ifndef HEADWAY_OPERATORS_KAFKA_AVRO_WIRE_FORMAT_H_
#define HEADWAY_OPERATORS_KAFKA_AVRO_WIRE_FORMAT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "operators/kafka_avro/avro_reader.h"

namespace headway::internal {

// A message begins with a byte 0 and the id of its schema, big endian.
inline constexpr size_t kAvroHeaderBytes = 5;

// DataLoss: the message does not begin with a header.
absl::StatusOr<int32_t> SchemaIdOf(std::string_view message);
std::string AvroHeader(int32_t id);

// Returns false, and fails, if bytes of the message are left.
bool IsAtEnd(AvroReader& in);

// A failure of a message, or of a record to encode.
absl::Status WithSchema(int32_t id, const absl::Status& status);
absl::Status WithSubject(const std::string& subject, const absl::Status& status);

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_KAFKA_AVRO_WIRE_FORMAT_H_
