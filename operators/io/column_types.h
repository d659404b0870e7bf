#ifndef HEADWAY_OPERATORS_IO_COLUMN_TYPES_H_
#define HEADWAY_OPERATORS_IO_COLUMN_TYPES_H_

#include <chrono>
#include <cstddef>
#include <ratio>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "comm/codec/shapes.h"
#include "operators/io/columns.h"

// Structs with HEADWAY_COLUMNS as formats with typed fields see them: Parquet, Avro. `Types` says
// how a format does:
//
//   using Kind = ...;                       an enum with kMilliseconds, kMicroseconds,
//   kNanoseconds,
//                                           kDate, kList and kRecord, and kMap if it has maps
//   static constexpr bool kHasMaps = ...;   of std::string
//   template <class T>
//   static constexpr Kind KindOf();         of a type that IsColumnScalar
//   static std::string_view ItemName(std::string_view name);  of the items of the list `name`

namespace headway::internal {

// A field: the name and type of a member.
template <class KindOfFormat>
struct ColumnField {
  std::string name;
  KindOfFormat kind = {};
  bool is_optional = false;
  std::vector<ColumnField> children = {};  // of a list or map: the only item
};

template <class T>
concept ColumnTime =
    TimePointLike<T> && std::is_same_v<typename T::clock, std::chrono::system_clock>;

// Not a character.
template <class T>
constexpr bool IsColumnInteger() {
  return std::is_integral_v<T> && sizeof(T) <= 8 && !std::is_same_v<T, bool> &&
         !std::is_same_v<T, char> && !std::is_same_v<T, wchar_t> && !std::is_same_v<T, char8_t> &&
         !std::is_same_v<T, char16_t> && !std::is_same_v<T, char32_t>;
}

// A bool, an integer, a floating point number, a std::string, a std::chrono::sys_days, or a
// std::chrono::sys_time of milliseconds, microseconds or nanoseconds.
template <class T>
constexpr bool IsColumnScalar() {
  if constexpr (ColumnTime<T>) {
    using Period = typename T::duration::period;
    return std::is_integral_v<typename T::rep> &&
           (std::is_same_v<Period, std::milli> || std::is_same_v<Period, std::micro> ||
            std::is_same_v<Period, std::nano> || std::is_same_v<T, std::chrono::sys_days>);
  } else {
    return IsColumnInteger<T>() || std::is_same_v<T, bool> || std::is_same_v<T, float> ||
           std::is_same_v<T, double> || std::is_same_v<T, std::string>;
  }
}

template <class Kind, ColumnTime T>
constexpr Kind TimeKindOf() {
  using Period = typename T::duration::period;
  return std::is_same_v<Period, std::milli>   ? Kind::kMilliseconds
         : std::is_same_v<Period, std::micro> ? Kind::kMicroseconds
         : std::is_same_v<Period, std::nano>  ? Kind::kNanoseconds
                                              : Kind::kDate;
}

template <class Types, class T>
constexpr bool HasColumnType();

template <class Types, class T, auto... members>
constexpr bool HaveColumnTypes(const ColumnList<members...>&) {
  return (HasColumnType<Types, std::remove_cvref_t<decltype(std::declval<T&>().*members)>>() &&
          ...);
}

// True if a member of the type T can be a field.
template <class Types, class T>
constexpr bool HasColumnType() {
  if constexpr (OptionalLike<T>) {
    return !OptionalLike<typename T::value_type> && HasColumnType<Types, typename T::value_type>();
  } else if constexpr (HasColumns<T>) {
    return HaveColumnTypes<Types, T>(ColumnsOf<T>());
  } else if constexpr (IsColumnScalar<T>()) {
    return true;
  } else if constexpr (MapLike<T>) {
    if constexpr (Types::kHasMaps) {
      return std::is_same_v<typename T::key_type, std::string> &&
             HasColumnType<Types, typename T::mapped_type>();
    } else {
      return false;
    }
  } else if constexpr (SequenceLike<T>) {
    return HasColumnType<Types, typename T::value_type>();
  } else {
    return false;
  }
}

// True if T is a record: a struct all of whose columns have a type.
template <class Types, class T>
constexpr bool IsColumnRecord() {
  if constexpr (HasColumns<T>) {
    return HasColumnType<Types, T>();
  } else {
    return false;
  }
}

template <class Types, class T>
ColumnField<typename Types::Kind> ColumnFieldOf(std::string_view name);

template <class Types, class T, auto... members>
auto ColumnFieldsOf(const ColumnList<members...>& columns) {
  std::vector<ColumnField<typename Types::Kind>> fields;
  size_t index = 0;
  (fields.push_back(
       ColumnFieldOf<Types, std::remove_cvref_t<decltype(std::declval<T&>().*members)>>(
           columns.names[index++])),
   ...);
  return fields;
}

// The fields of a record. REQUIRES: IsColumnRecord.
template <class Types, class T>
std::vector<ColumnField<typename Types::Kind>> ColumnFieldsOf() {
  return ColumnFieldsOf<Types, T>(ColumnsOf<T>());
}

// REQUIRES: HasColumnType.
template <class Types, class T>
ColumnField<typename Types::Kind> ColumnFieldOf(std::string_view name) {
  using Kind = typename Types::Kind;
  ColumnField<Kind> field{.name = std::string(name)};
  if constexpr (OptionalLike<T>) {
    field = ColumnFieldOf<Types, typename T::value_type>(name);
    field.is_optional = true;
  } else if constexpr (HasColumns<T>) {
    field.kind = Kind::kRecord;
    field.children = ColumnFieldsOf<Types, T>();
  } else if constexpr (IsColumnScalar<T>()) {
    field.kind = Types::template KindOf<T>();
  } else if constexpr (MapLike<T>) {
    field.kind = Kind::kMap;
    field.children.push_back(ColumnFieldOf<Types, typename T::mapped_type>(Types::ItemName(name)));
  } else {
    field.kind = Kind::kList;
    field.children.push_back(ColumnFieldOf<Types, typename T::value_type>(Types::ItemName(name)));
  }
  return field;
}

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_IO_COLUMN_TYPES_H_
