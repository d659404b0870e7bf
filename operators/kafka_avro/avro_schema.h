#ifndef HEADWAY_OPERATORS_KAFKA_AVRO_AVRO_SCHEMA_H_
#define HEADWAY_OPERATORS_KAFKA_AVRO_AVRO_SCHEMA_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace headway::internal {

// The types of Avro. The first ones are the primitive types.
enum class AvroType {
  kNull,
  kBoolean,
  kInt,
  kLong,
  kFloat,
  kDouble,
  kBytes,
  kString,
  kFixed,
  kEnum,
  kArray,
  kMap,
  kRecord,
  kUnion,
};

// The logical types that are read as times. Values of all others are those of the type below.
enum class AvroLogicalType {
  kNone,
  kDate,  // of an int; the others of a long
  kTimestampMillis,
  kTimestampMicros,
  kTimestampNanos,
};

// A type in a schema.
struct AvroNode {
  AvroType type = AvroType::kNull;
  AvroLogicalType logical_type = AvroLogicalType::kNone;
  std::string name = {};  // of a record, an enum or a fixed, with its namespace
  size_t fixed_size = 0;
  std::vector<std::string> labels = {};        // the symbols of an enum, the fields of a record
  std::vector<const AvroNode*> children = {};  // fields, branches of a union, or the items
};

// The name of the type, and that of the logical type: "a long (timestamp-millis)".
std::string DescribeAvro(const AvroNode& node);

// A parsed schema. Its nodes form a graph: a record may contain itself.
//
// Thread safety: it is immutable.
class AvroSchema {
 public:
  // InvalidArgument: the text is no schema of Avro.
  static absl::StatusOr<std::shared_ptr<const AvroSchema>> Parse(std::string_view text);
  AvroSchema(const AvroSchema&) = delete;
  AvroSchema& operator=(const AvroSchema&) = delete;

  const AvroNode& root() const { return *root_; }

 private:
  AvroSchema() = default;

  std::deque<AvroNode> nodes_;  // they do not move
  const AvroNode* root_ = nullptr;
};

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_KAFKA_AVRO_AVRO_SCHEMA_H_
