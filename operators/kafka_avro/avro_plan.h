#ifndef HEADWAY_OPERATORS_KAFKA_AVRO_AVRO_PLAN_H_
#define HEADWAY_OPERATORS_KAFKA_AVRO_AVRO_PLAN_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "operators/kafka_avro/avro_schema.h"
#include "operators/kafka_avro/avro_type.h"

namespace headway::internal {

// The way in which values of a type of a schema become values of a C++ type, or the reverse:
// computed once, so that no record needs a name. It has the shape of the C++ type, with a node for
// each union, so it is a tree.
struct AvroPlan {
  static constexpr int kSkipped = -1;

  AvroType type = AvroType::kNull;
  // The node of the schema. Null: the schema lacks this field, and its member has no value.
  const AvroNode* node = nullptr;
  // Of a time: one unit of the schema (to read) or of the member (to write) in that of the other.
  int64_t factor = 1;
  // The branches of a union, the fields of a record in the order of the schema, or the items.
  std::vector<AvroPlan> children = {};
  // Of a record: for each child the index of its column, or kSkipped.
  std::vector<int> columns = {};
  // Of a branch of a union that no value of the C++ type can have: the reason.
  std::string mismatch = {};
  // Of a union to write: the branches for no value and for a value.
  size_t null_branch = 0;
  size_t value_branch = 0;
};

enum class AvroDirection { kRead, kWrite };

// A plan with the schema that it refers to.
struct AvroRecordPlan {
  std::shared_ptr<const AvroSchema> schema;
  AvroPlan plan;
};

// Resolves a schema to a record. To read: a column that the schema lacks must be optional; fields
// that the record lacks are skipped. To write: both have the same fields. InvalidArgument: the two
// do not fit; names the field.
absl::StatusOr<AvroRecordPlan> ResolveAvro(AvroDirection direction, const AvroField& record,
                                           std::shared_ptr<const AvroSchema> schema);

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_KAFKA_AVRO_AVRO_PLAN_H_
