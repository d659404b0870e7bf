#ifndef HEADWAY_OPERATORS_PARQUET_PARQUET_TYPE_H_
#define HEADWAY_OPERATORS_PARQUET_PARQUET_TYPE_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ratio>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "comm/codec/shapes.h"
#include "operators/io/columns.h"

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
  kStruct,  // of its children
};

// The C++ side of a column: the name and type of a member.
struct ParquetField {
  std::string name;
  ParquetKind kind = ParquetKind::kBool;
  bool is_optional = false;
  std::vector<ParquetField> children = {};
};

template <class T>
concept ParquetTime =
    TimePointLike<T> && std::is_same_v<typename T::clock, std::chrono::system_clock>;

template <class T>
constexpr bool IsParquetInteger() {
  return std::is_integral_v<T> && sizeof(T) <= 8 && !std::is_same_v<T, bool> &&
         !std::is_same_v<T, char> && !std::is_same_v<T, wchar_t> && !std::is_same_v<T, char8_t> &&
         !std::is_same_v<T, char16_t> && !std::is_same_v<T, char32_t>;
}

// REQUIRES: a bool, an integer, a floating point number, a string or a time.
template <class T>
constexpr ParquetKind ParquetKindOf() {
  if constexpr (std::is_same_v<T, bool>) {
    return ParquetKind::kBool;
  } else if constexpr (std::is_integral_v<T>) {
    constexpr ParquetKind kSigned[] = {ParquetKind::kInt8, ParquetKind::kInt16, ParquetKind::kInt32,
                                       ParquetKind::kInt64};
    constexpr ParquetKind kUnsigned[] = {ParquetKind::kUInt8, ParquetKind::kUInt16,
                                         ParquetKind::kUInt32, ParquetKind::kUInt64};
    constexpr size_t kLog = sizeof(T) == 1 ? 0 : sizeof(T) == 2 ? 1 : sizeof(T) == 4 ? 2 : 3;
    return std::is_signed_v<T> ? kSigned[kLog] : kUnsigned[kLog];
  } else if constexpr (std::is_floating_point_v<T>) {
    return sizeof(T) == 4 ? ParquetKind::kFloat : ParquetKind::kDouble;
  } else if constexpr (ParquetTime<T>) {
    using Period = typename T::duration::period;
    return std::is_same_v<Period, std::milli>   ? ParquetKind::kMilliseconds
           : std::is_same_v<Period, std::micro> ? ParquetKind::kMicroseconds
           : std::is_same_v<Period, std::nano>  ? ParquetKind::kNanoseconds
                                                : ParquetKind::kDate;
  } else {
    return ParquetKind::kString;
  }
}

template <class T>
constexpr bool HasParquetType();

template <class T, auto... members>
constexpr bool HaveParquetTypes(const ColumnList<members...>&) {
  return (HasParquetType<std::remove_cvref_t<decltype(std::declval<T&>().*members)>>() && ...);
}

// True if a member of the type T can be a column.
template <class T>
constexpr bool HasParquetType() {
  if constexpr (IsParquetInteger<T>() || std::is_same_v<T, bool> || std::is_same_v<T, float> ||
                std::is_same_v<T, double> || std::is_same_v<T, std::string>) {
    return true;
  } else if constexpr (ParquetTime<T>) {
    using Period = typename T::duration::period;
    return std::is_integral_v<typename T::rep> &&
           (std::is_same_v<Period, std::milli> || std::is_same_v<Period, std::micro> ||
            std::is_same_v<Period, std::nano> || std::is_same_v<T, std::chrono::sys_days>);
  } else if constexpr (OptionalLike<T>) {
    return !OptionalLike<typename T::value_type> && HasParquetType<typename T::value_type>();
  } else if constexpr (HasColumns<T>) {
    return HaveParquetTypes<T>(ColumnsOf<T>());
  } else if constexpr (SequenceLike<T>) {
    return HasParquetType<typename T::value_type>();
  } else {
    return false;
  }
}

// True if T is a row: a struct all of whose columns have a type.
template <class T>
constexpr bool IsParquetRow() {
  if constexpr (HasColumns<T>) {
    return HasParquetType<T>();
  } else {
    return false;
  }
}

template <class T>
ParquetField ParquetFieldOf(std::string_view name);

// The columns of a struct.
template <class T, auto... members>
std::vector<ParquetField> ParquetFieldsOf(const ColumnList<members...>& columns) {
  std::vector<ParquetField> fields;
  size_t index = 0;
  (fields.push_back(ParquetFieldOf<std::remove_cvref_t<decltype(std::declval<T&>().*members)>>(
       columns.names[index++])),
   ...);
  return fields;
}

template <class T>
ParquetField ParquetFieldOf(std::string_view name) {
  if constexpr (OptionalLike<T>) {
    ParquetField field = ParquetFieldOf<typename T::value_type>(name);
    field.is_optional = true;
    return field;
  } else if constexpr (HasColumns<T>) {
    return {.name = std::string(name),
            .kind = ParquetKind::kStruct,
            .children = ParquetFieldsOf<T>(ColumnsOf<T>())};
  } else if constexpr (SequenceLike<T>) {
    ParquetField field{.name = std::string(name), .kind = ParquetKind::kList};
    field.children.push_back(ParquetFieldOf<typename T::value_type>("element"));
    return field;
  } else {
    return {.name = std::string(name), .kind = ParquetKindOf<T>()};
  }
}

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
