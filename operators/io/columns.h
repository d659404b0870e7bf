#ifndef HEADWAY_OPERATORS_IO_COLUMNS_H_
#define HEADWAY_OPERATORS_IO_COLUMNS_H_

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "comm/codec/fields.h"

// Names the members of a struct that are columns of CSV files and fields of JSON objects. The line
// follows the struct, in its namespace. A column has the name of its member:
//
//   struct Trade {
//     std::string symbol;
//     double price = 0;
//     std::optional<int64_t> quantity;
//   };
//   HEADWAY_COLUMNS(Trade, symbol, price, quantity);
#define HEADWAY_COLUMNS(Type, ...)                                                       \
  [[maybe_unused]] constexpr auto HeadwayColumns(::headway::internal::FieldsTag<Type>) { \
    return ::headway::internal::MakeColumns(                                             \
        ::headway::internal::FieldList<HEADWAY_INTERNAL_EXPAND(                          \
            HEADWAY_INTERNAL_MEMBERS(Type, __VA_ARGS__))>(),                             \
        #__VA_ARGS__);                                                                   \
  }                                                                                      \
  static_assert(true, "for the semicolon")

namespace headway::internal {

template <auto... members>
struct ColumnList {
  static constexpr size_t kCount = sizeof...(members);
  std::array<std::string_view, kCount> names;

  // Calls f(name, record.*member) for each column.
  template <class T, class F>
  void ForEach(T& record, F&& f) const {
    ForEachOf(record, f, std::make_index_sequence<kCount>());
  }

 private:
  template <class T, class F, size_t... indices>
  void ForEachOf(T& record, F& f, std::index_sequence<indices...>) const {
    (f(names[indices], record.*members), ...);
  }
};

// `text` has the names, with commas and spaces between them.
template <auto... members>
constexpr ColumnList<members...> MakeColumns(FieldList<members...>, std::string_view text) {
  ColumnList<members...> columns;
  for (std::string_view& name : columns.names) {
    const size_t begin = text.find_first_not_of(" \t\n");
    text.remove_prefix(begin);
    const size_t end = text.find(',');
    name = text.substr(0, end);
    name = name.substr(0, name.find_last_not_of(" \t\n") + 1);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return columns;
}

template <class T>
concept HasColumns = requires { HeadwayColumns(FieldsTag<T>()); };

// The names are taken apart by the compiler.
template <HasColumns T>
inline constexpr auto kColumnsOf = HeadwayColumns(FieldsTag<T>());
template <HasColumns T>
constexpr const auto& ColumnsOf() {
  return kColumnsOf<T>;
}

template <class T>
inline constexpr bool kRefersToText = std::is_same_v<T, std::string_view>;
template <class T>
inline constexpr bool kRefersToText<std::optional<T>> = kRefersToText<T>;
template <class T, auto... members>
constexpr bool HasViewIn(const ColumnList<members...>&) {
  return (kRefersToText<std::remove_cvref_t<decltype(std::declval<T&>().*members)>> || ...);
}

// True if a column of T is a view of the text that it was read from, which does not last.
template <class T>
constexpr bool HasViewColumn() {
  if constexpr (HasColumns<T>) {
    return HasViewIn<T>(ColumnsOf<T>());
  } else {
    return kRefersToText<T>;
  }
}

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_IO_COLUMNS_H_
