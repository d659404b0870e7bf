#ifndef HEADWAY_OPERATORS_KAFKA_AVRO_AVRO_TYPE_H_
#define HEADWAY_OPERATORS_KAFKA_AVRO_AVRO_TYPE_H_

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

// The C++ side of a field: the name and type of a member.
struct AvroField {
  std::string name;
  AvroKind kind = AvroKind::kBool;
  bool is_optional = false;
  std::vector<AvroField> children = {};
};

template <class T>
concept AvroTime = TimePointLike<T> && std::is_same_v<typename T::clock, std::chrono::system_clock>;

template <class T>
constexpr bool IsAvroInteger() {
  return std::is_integral_v<T> && sizeof(T) <= 8 && !std::is_same_v<T, bool> &&
         !std::is_same_v<T, char> && !std::is_same_v<T, wchar_t> && !std::is_same_v<T, char8_t> &&
         !std::is_same_v<T, char16_t> && !std::is_same_v<T, char32_t>;
}

// REQUIRES: a bool, an integer, a floating point number, a string or a time.
template <class T>
constexpr AvroKind AvroKindOf() {
  if constexpr (std::is_same_v<T, bool>) {
    return AvroKind::kBool;
  } else if constexpr (std::is_integral_v<T>) {
    return sizeof(T) < 4 || std::is_same_v<T, int32_t> ? AvroKind::kInt : AvroKind::kLong;
  } else if constexpr (std::is_floating_point_v<T>) {
    return sizeof(T) == 4 ? AvroKind::kFloat : AvroKind::kDouble;
  } else if constexpr (AvroTime<T>) {
    using Period = typename T::duration::period;
    return std::is_same_v<Period, std::milli>   ? AvroKind::kMilliseconds
           : std::is_same_v<Period, std::micro> ? AvroKind::kMicroseconds
           : std::is_same_v<Period, std::nano>  ? AvroKind::kNanoseconds
                                                : AvroKind::kDate;
  } else {
    return AvroKind::kString;
  }
}

template <class T>
constexpr bool HasAvroType();

template <class T, auto... members>
constexpr bool HaveAvroTypes(const ColumnList<members...>&) {
  return (HasAvroType<std::remove_cvref_t<decltype(std::declval<T&>().*members)>>() && ...);
}

// True if a member of the type T can be a field.
template <class T>
constexpr bool HasAvroType() {
  if constexpr (IsAvroInteger<T>() || std::is_same_v<T, bool> || std::is_same_v<T, float> ||
                std::is_same_v<T, double> || std::is_same_v<T, std::string>) {
    return true;
  } else if constexpr (AvroTime<T>) {
    using Period = typename T::duration::period;
    return std::is_integral_v<typename T::rep> &&
           (std::is_same_v<Period, std::milli> || std::is_same_v<Period, std::micro> ||
            std::is_same_v<Period, std::nano> || std::is_same_v<T, std::chrono::sys_days>);
  } else if constexpr (OptionalLike<T>) {
    return !OptionalLike<typename T::value_type> && HasAvroType<typename T::value_type>();
  } else if constexpr (HasColumns<T>) {
    return HaveAvroTypes<T>(ColumnsOf<T>());
  } else if constexpr (MapLike<T>) {
    return std::is_same_v<typename T::key_type, std::string> &&
           HasAvroType<typename T::mapped_type>();
  } else if constexpr (SequenceLike<T>) {
    return HasAvroType<typename T::value_type>();
  } else {
    return false;
  }
}

// True if T is a record: a struct all of whose columns have a type.
template <class T>
constexpr bool IsAvroRecord() {
  if constexpr (HasColumns<T>) {
    return HasAvroType<T>();
  } else {
    return false;
  }
}

template <class T>
AvroField AvroFieldOf(std::string_view name);

// The fields of a record.
template <class T, auto... members>
std::vector<AvroField> AvroFieldsOf(const ColumnList<members...>& columns) {
  std::vector<AvroField> fields;
  size_t index = 0;
  (fields.push_back(AvroFieldOf<std::remove_cvref_t<decltype(std::declval<T&>().*members)>>(
       columns.names[index++])),
   ...);
  return fields;
}

template <class T>
AvroField AvroFieldOf(std::string_view name) {
  if constexpr (OptionalLike<T>) {
    AvroField field = AvroFieldOf<typename T::value_type>(name);
    field.is_optional = true;
    return field;
  } else if constexpr (HasColumns<T>) {
    return {.name = std::string(name),
            .kind = AvroKind::kRecord,
            .children = AvroFieldsOf<T>(ColumnsOf<T>())};
  } else if constexpr (MapLike<T>) {
    AvroField field{.name = std::string(name), .kind = AvroKind::kMap};
    field.children.push_back(AvroFieldOf<typename T::mapped_type>(name));
    return field;
  } else if constexpr (SequenceLike<T>) {
    AvroField field{.name = std::string(name), .kind = AvroKind::kList};
    field.children.push_back(AvroFieldOf<typename T::value_type>(name));
    return field;
  } else {
    return {.name = std::string(name), .kind = AvroKindOf<T>()};
  }
}

// The schema of a record: its columns in their order, with null first in the union of an optional
// one. The name of the record is `record.name`, with each character that names cannot have as '_'.
// Each nested record has the name of its field, in the namespace of the record around it.
std::string AvroSchemaText(const AvroField& record);

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_KAFKA_AVRO_AVRO_TYPE_H_
