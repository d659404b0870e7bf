#ifndef HEADWAY_OPERATORS_POSTGRES_POSTGRES_ROW_H_
#define HEADWAY_OPERATORS_POSTGRES_POSTGRES_ROW_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
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
//    absl::Time, sys_time       timestamptz or date
//    std::optional              the value, or NULL
//    others                     to write: the result of std::string ToString(const Type&) beside
//                               the type; to read: bool FromText(std::string_view, Type&)
//
// The server converts the text of a value to the type of the column.

namespace headway::internal {

class PostgresResult;

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

// ---- To write ----

void AppendPostgresBytes(std::string& out, std::span<const std::byte> bytes);
void AppendPostgresTime(std::string& out, absl::Time time);

// The time of a unit of T, a sys_time.
template <class T>
absl::Duration PostgresUnitOf() {
  using Period = typename T::duration::period;
  return absl::Seconds(Period::num) / Period::den;
}

// Whether the server takes the text: it is UTF-8, and has no NUL.
bool IsPostgresText(std::string_view text);
// Appends the text with the escapes of COPY.
void AppendCopyText(std::string& row, std::string_view text);

// Appends the text of a value that is not NULL. REQUIRES: IsPostgresValue<T>(), not optional.
template <class T>
void AppendPostgresText(std::string& out, const T& value) {
  if constexpr (std::is_same_v<T, absl::Time>) {
    AppendPostgresTime(out, value);
  } else if constexpr (HasToString<T> || TextLike<T>) {
    AppendText(out, value);
  } else if constexpr (TimePointLike<T>) {
    AppendPostgresTime(out,
                       absl::UnixEpoch() + PostgresUnitOf<T>() * value.time_since_epoch().count());
  } else if constexpr (PostgresBytesLike<T>) {
    AppendPostgresBytes(out, {value.data(), value.size()});
  } else {
    AppendText(out, value);
  }
}

// Appends a column of a line of COPY.
template <class T>
void AppendCopyValue(std::string& row, const T& value) {
  if constexpr (std::is_same_v<T, absl::Time>) {
    AppendPostgresTime(row, value);
  } else if constexpr (HasToString<T>) {
    AppendCopyText(row, ToString(value));
  } else if constexpr (TextLike<T>) {
    AppendCopyText(row, std::string_view(value));
  } else if constexpr (std::is_same_v<T, char>) {
    AppendCopyText(row, std::string_view(&value, 1));
  } else if constexpr (OptionalLike<T>) {
    if (value.has_value()) {
      AppendCopyValue(row, *value);
    } else {
      row.append("\\N");
    }
  } else {
    if constexpr (PostgresBytesLike<T>) row.push_back('\\');  // of the one that follows
    AppendPostgresText(row, value);
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

template <class T>
bool IsPostgresNull(const T& value) {
  if constexpr (OptionalLike<T>) {
    return !value.has_value() || IsPostgresNull(*value);
  } else {
    return false;
  }
}

// Returns the index of the first column that is NULL and is_wanted, or the number of columns.
template <class T>
size_t FirstPostgresNull(const T& record, const std::vector<bool>& is_wanted) {
  size_t found = is_wanted.size();
  size_t column = 0;
  ForEachPostgresValue(record, [&](const auto& value) {
    if (found == is_wanted.size() && is_wanted[column] && IsPostgresNull(value)) found = column;
    ++column;
  });
  return found;
}

// ---- To read ----

// A column of a row. Its text is valid as long as the call that receives it.
struct PostgresField {
  std::string_view column;
  std::optional<std::string_view> text;  // or NULL
};

// Sets `fields` to the columns of a row from `first` on, which have these names.
void ReadPostgresFields(const PostgresResult& rows, int row, int first,
                        const std::vector<std::string>& names, std::vector<PostgresField>& fields);

bool ReadPostgresTime(std::string_view text, absl::Time& time);
// The whole units since 1970, rounded down. Returns false if an int64_t cannot count them.
bool CountPostgresUnits(absl::Time time, absl::Duration unit, int64_t& count);
bool ReadPostgresBytes(std::string_view text, std::vector<std::byte>& bytes);

template <class T>
bool ReadPostgresText(std::string_view text, T& value) {
  if constexpr (std::is_same_v<T, absl::Time>) {
    return ReadPostgresTime(text, value);
  } else if constexpr (TimePointLike<T>) {
    using Count = typename T::rep;
    absl::Time time;
    if (!ReadPostgresTime(text, time)) return false;
    if constexpr (std::is_floating_point_v<Count>) {
      const double count = absl::FDivDuration(time - absl::UnixEpoch(), PostgresUnitOf<T>());
      value = T(typename T::duration(static_cast<Count>(count)));
      return true;
    } else {
      int64_t count = 0;
      if (!CountPostgresUnits(time, PostgresUnitOf<T>(), count)) return false;
      if (!std::in_range<Count>(count)) return false;
      value = T(typename T::duration(static_cast<Count>(count)));
      return true;
    }
  } else if constexpr (std::is_same_v<T, std::vector<std::byte>>) {
    return ReadPostgresBytes(text, value);
  } else if constexpr (std::is_same_v<T, bool>) {
    value = text == "t";
    return value || text == "f";
  } else {
    return TextToValue(text, value);
  }
}

template <class T>
constexpr bool IsPostgresReadable() {
  if constexpr (OptionalLike<T>) {
    return IsPostgresReadable<typename T::value_type>();
  } else {
    return kIsPostgresTime<T> || std::is_same_v<T, std::vector<std::byte>> ||
           (HasTextValue<T>() && !std::is_same_v<T, std::string_view>);
  }
}

// Sets the value to that of the field. InvalidArgument, which names the column: it is NULL or has
// another type.
template <class T>
absl::Status ReadPostgresValue(const PostgresField& field, T& value) {
  constexpr bool kReads = IsPostgresReadable<T>();
  static_assert(kReads,
                "PostgresTable: a column must be a bool, a number, a std::string, a "
                "std::vector<std::byte>, a time, a std::optional of these, or have a function bool "
                "FromText(std::string_view, Type&) beside it");
  if constexpr (!kReads) {
  } else if constexpr (OptionalLike<T>) {
    if (field.text.has_value()) return ReadPostgresValue(field, value.emplace());
    value.reset();
  } else if (!field.text.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("column '", absl::string_view(field.column.data(), field.column.size()),
                     "' is NULL in a row: make its member a std::optional"));
  } else if (!ReadPostgresText(*field.text, value)) {
    return TextValueError(field.column, *field.text, DescribeValue<T>());
  }
  return absl::OkStatus();
}

// Sets the columns of the record to the fields, which are as many.
template <class T>
absl::Status ReadPostgresRow(std::span<const PostgresField> fields, T& record) {
  absl::Status status;
  size_t column = 0;
  ForEachPostgresValue(record, [&](auto& value) {
    if (status.ok()) status = ReadPostgresValue(fields[column], value);
    ++column;
  });
  return status;
}

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_POSTGRES_POSTGRES_ROW_H_
