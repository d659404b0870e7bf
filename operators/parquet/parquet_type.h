#ifndef HEADWAY_OPERATORS_PARQUET_PARQUET_TYPE_H_
#define HEADWAY_OPERATORS_PARQUET_PARQUET_TYPE_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "operators/io/column_types.h"

// The types of C++ that columns of Parquet have:
//
//    bool                                  boolean
//    int8_t to int64_t, uint8_t to ...     integers; from narrower columns too
//    float, double                         floating point; a double from a float column too
//    std::string                           string, binary, fixed-size binary, a dictionary of these
//    std::chrono::sys_days                 date
//    std::chrono::sys_time                 timestamp; one of coarser units too
//    std::optional                         a column that may have nulls, or be missing in a file
//    std::vector                           list; it may not be null itself, unless it is optional
//    structs with HEADWAY_COLUMNS          struct, whose other fields are not read

namespace headway::internal {

enum class ParquetKind {
  kBool,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kUInt8,
  kUInt16,
  kUInt32,
  kUInt64,
  kFloat,
  kDouble,
  kString,
  kDate,
  kMilliseconds,  // timestamps
  kMicroseconds,
  kNanoseconds,
  kList,    // of its only child
  kRecord,  // a struct of its children
};

// The C++ side of a column.
using ParquetField = ColumnField<ParquetKind>;

struct ParquetTypes {
  using Kind = ParquetKind;
  static constexpr bool kHasMaps = false;

  template <class T>
  static constexpr ParquetKind KindOf() {
    if constexpr (std::is_same_v<T, bool>) {
      return ParquetKind::kBool;
    } else if constexpr (std::is_integral_v<T>) {
      constexpr ParquetKind kSigned[] = {ParquetKind::kInt8, ParquetKind::kInt16,
                                         ParquetKind::kInt32, ParquetKind::kInt64};
      constexpr ParquetKind kUnsigned[] = {ParquetKind::kUInt8, ParquetKind::kUInt16,
                                           ParquetKind::kUInt32, ParquetKind::kUInt64};
      constexpr size_t kLog = sizeof(T) == 1 ? 0 : sizeof(T) == 2 ? 1 : sizeof(T) == 4 ? 2 : 3;
      return std::is_signed_v<T> ? kSigned[kLog] : kUnsigned[kLog];
    } else if constexpr (std::is_floating_point_v<T>) {
      return sizeof(T) == 4 ? ParquetKind::kFloat : ParquetKind::kDouble;
    } else if constexpr (ColumnTime<T>) {
      return TimeKindOf<ParquetKind, T>();
    } else {
      return ParquetKind::kString;
    }
  }
  static std::string_view ItemName(std::string_view) { return "element"; }
};

// Appends all that the encoded rows and the files depend on.
inline void AppendDescription(const std::vector<ParquetField>& fields, std::string& text) {
  for (const ParquetField& field : fields) {
    text += field.name;
    text.push_back('\0');
    text += std::to_string(static_cast<int>(field.kind));
    text += field.is_optional ? "?(" : "(";
    AppendDescription(field.children, text);
    text.push_back(')');
  }
}

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_PARQUET_PARQUET_TYPE_H_
