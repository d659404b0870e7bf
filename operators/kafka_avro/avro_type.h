#ifndef HEADWAY_OPERATORS_KAFKA_AVRO_AVRO_TYPE_H_
#define HEADWAY_OPERATORS_KAFKA_AVRO_AVRO_TYPE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "operators/io/column_types.h"

// The types of C++ that fields of Avro have:
//
//    bool                             boolean
//    int8_t to int64_t, uint8_t to    int, long; a value that does not fit is an error. Written as
//      uint64_t                         an int if each value fits in one, else as a long
//    float                            float, and from int and long
//    double                           double, and from int, long and float
//    std::string                      string, bytes, fixed, and the symbol of an enum
//    std::chrono::sys_days            date
//    std::chrono::sys_time            timestamp-millis, -micros, -nanos; from coarser units too
//    std::optional                    a union with null, or a field that the schema may lack
//    std::vector                      array
//    maps of std::string              map
//    structs with HEADWAY_COLUMNS     record, by the names of the fields

namespace headway::internal {

enum class AvroKind {
  kBool,
  kInt,   // an integer, all of whose values fit in Avro's int
  kLong,  // another integer
  kFloat,
  kDouble,
  kString,
  kDate,
  kMilliseconds,  // timestamps
  kMicroseconds,
  kNanoseconds,
  kList,  // of its only child
  kMap,   // to its only child
  kRecord,
};

// The C++ side of a field.
using AvroField = ColumnField<AvroKind>;

struct AvroTypes {
  using Kind = AvroKind;
  static constexpr bool kHasMaps = true;

  template <class T>
  static constexpr AvroKind KindOf() {
    if constexpr (std::is_same_v<T, bool>) {
      return AvroKind::kBool;
    } else if constexpr (std::is_integral_v<T>) {
      return sizeof(T) < 4 || std::is_same_v<T, int32_t> ? AvroKind::kInt : AvroKind::kLong;
    } else if constexpr (std::is_floating_point_v<T>) {
      return sizeof(T) == 4 ? AvroKind::kFloat : AvroKind::kDouble;
    } else if constexpr (ColumnTime<T>) {
      return TimeKindOf<AvroKind, T>();
    } else {
      return AvroKind::kString;
    }
  }
  // A record in a list or a map has the name of the field.
  static std::string_view ItemName(std::string_view name) { return name; }
};

// The schema of a record: its columns in their order, with null first in the union of an optional
// one. The name of the record is `record.name`, with each character that names cannot have as '_'.
// Each nested record has the name of its field, in the namespace of the record around it.
std::string AvroSchemaText(const AvroField& record);

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_KAFKA_AVRO_AVRO_TYPE_H_
