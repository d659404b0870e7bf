#ifndef HEADWAY_OPERATORS_POSTGRES_POSTGRES_ROW_H_
#define HEADWAY_OPERATORS_POSTGRES_POSTGRES_ROW_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "comm/codec/shapes.h"
#include "operators/io/columns.h"
#include "operators/io/text_value.h"
#include "operators/record_text.h"

// Rows of PostgreSQL and their records. The columns of a record are the members of a struct with
// HEADWAY_COLUMNS, or the elements of a pair or tuple, whose elements may be such again. A column
// is
//
//    bool, numbers              a number
//    char, strings              the characters
//    ranges of std::byte        bytea
//    absl::Time, sys_time       timestamptz
//    std::optional              the value, or NULL
//    others                     to write: the result of std::string ToString(const Type&) beside
//    the
//                               type; to read: bool FromText(std::string_view, Type&)
//
// The server converts the text of a value to the type of the column.

namespace headway::internal {

template <class T>
concept PostgresBytesLike = RangeLike<T> && std::is_same_v<typename T::value_type, std::byte> &&
                            requires(const T& value) { value.data(); };

template <class T>
inline constexpr bool kIsPostgresTime = std::is_same_v<T, absl::Time> || TimePointLike<T>;

template <class T>
constexpr bool IsPostgresValue() {
  if constexpr (HasToString<T> || TextLike<T> || kIsPostgresTime<T> || PostgresBytesLike<T>) {
    return true;
  } else if constexpr (OptionalLike<T>) {
    return IsPostgresValue<typename T::value_type>();
  } else {
    return std::is_arithmetic_v<T> || (std::is_enum_v<T> && std::is_convertible_v<T, int64_t>);
  }
}

template <class T>
constexpr bool IsPostgresRecord();

template <class T, size_t... indices>
constexpr bool ArePostgresRecords(std::index_sequence<indices...>) {
  return (IsPostgresRecord<std::remove_cvref_t<std::tuple_element_t<indices, T>>>() && ...);
}

// Whether a record of type T has columns.
template <class T>
constexpr bool IsPostgresRecord() {
  if constexpr (HasColumns<T>) {
    return true;
  } else if constexpr (TupleLike<T> && !ArrayLike<T>) {
    return ArePostgresRecords<T>(std::make_index_sequence<std::tuple_size<T>::value>());
  } else {
    return IsPostgresValue<T>();
  }
}

// Calls f(value) for each column of the record.
template <class T, class F>
void ForEachPostgresValue(T& record, F&& f) {
  using Record = std::remove_const_t<T>;
  if constexpr (HasColumns<Record>) {
    ColumnsOf<Record>().ForEach(record, [&f](std::string_view, auto& value) { f(value); });
  } else if constexpr (TupleLike<Record> && !ArrayLike<Record>) {
    std::apply([&f](auto&... parts) { (ForEachPostgresValue(parts, f), ...); }, record);
  } else {
    f(record);
  }
}

// The number of columns of a T.
template <class T>
constexpr size_t PostgresColumnCount() {
  if constexpr (HasColumns<T>) {
    return ColumnsOf<T>().names.size();
  } else if constexpr (TupleLike<T> && !ArrayLike<T>) {
    return []<size_t... indices>(std::index_sequence<indices...>) {
      return (PostgresColumnCount<std::remove_cvref_t<std::tuple_element_t<indices, T>>>() + ... +
              0);
    }(std::make_index_sequence<std::tuple_size<T>::value>());
  } else {
    return 1;
  }
}

// The names of the columns of T's: those that are given, or those of the struct.
template <class T>
absl::StatusOr<std::vector<std::string>> PostgresColumnNames(
    const std::vector<std::string>& given) {
  std::vector<std::string> names = given;
  if constexpr (HasColumns<T>) {
    if (names.empty()) {
      for (const std::string_view name : ColumnsOf<T>().names) names.emplace_back(name);
    }
  }
  if (names.size() == PostgresColumnCount<T>()) return names;
  return absl::InvalidArgumentError(
      absl::StrCat("a record has ", PostgresColumnCount<T>(), " columns, and ", names.size(),
                   " are named: name the columns of the table in the order of the record"));
}

// ---- To write: lines of COPY ----

void AppendCopyText(std::string& row, std::string_view text);
void AppendCopyBytes(std::string& row, std::span<const std::byte> bytes);
void AppendCopyTime(std::string& row, absl::Time time);

// REQUIRES: IsPostgresValue<T>().
template <class T>
void AppendCopyValue(std::string& row, const T& value) {
  if constexpr (std::is_same_v<T, absl::Time>) {
    AppendCopyTime(row, value);
  } else if constexpr (HasToString<T>) {
    AppendCopyText(row, ToString(value));
  } else if constexpr (TextLike<T>) {
    AppendCopyText(row, std::string_view(value));
  } else if constexpr (std::is_same_v<T, char>) {
    AppendCopyText(row, std::string_view(&value, 1));
  } else if constexpr (TimePointLike<T>) {
    AppendCopyTime(row,
                   absl::FromChrono(std::chrono::time_point_cast<std::chrono::nanoseconds>(
                       std::chrono::sys_time<typename T::duration>(value.time_since_epoch()))));
  } else if constexpr (OptionalLike<T>) {
    if (value.has_value()) {
      AppendCopyValue(row, *value);
    } else {
      row.append("\\N");
    }
  } else if constexpr (PostgresBytesLike<T>) {
    AppendCopyBytes(row, {value.data(), value.size()});
  } else {
    AppendText(row, value);
  }
}

// Appends the columns, without the end of the line.
template <class T>
void AppendCopyRow(std::string& row, const T& record) {
  bool is_first = true;
  ForEachPostgresValue(record, [&](const auto& value) {
    if (!std::exchange(is_first, false)) row.push_back('\t');
    AppendCopyValue(row, value);
  });
}

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_POSTGRES_POSTGRES_ROW_H_
