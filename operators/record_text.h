#ifndef HEADWAY_OPERATORS_RECORD_TEXT_H_
#define HEADWAY_OPERATORS_RECORD_TEXT_H_

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "comm/codec/shapes.h"

// The text of a record, for sinks that print:
//
//    numbers                     the shortest text that reads back as the same number
//    char, strings               the characters
//    pairs and tuples            (1, two, 3.5)
//    vectors, arrays, sets       [1, 2]
//    maps                        {one: 1, two: 2}
//    optionals                   the value, or none
//    variants                    the value
//    others                      the result of std::string ToString(const Type&) beside the type

namespace headway::internal {

template <class T>
concept HasToString = requires(const T& value) {
  { ToString(value) } -> std::convertible_to<std::string_view>;
};

template <class T>
concept TextLike = std::is_convertible_v<const T&, std::string_view>;

template <class T>
concept PairLike = requires(const T& value) {
  value.first;
  value.second;
};

template <class T>
constexpr bool IsPrintable();

template <class T, size_t... indices>
constexpr bool AreElementsPrintable(std::index_sequence<indices...>) {
  return (IsPrintable<std::remove_cv_t<std::tuple_element_t<indices, T>>>() && ...);
}

template <template <class...> class Variant, class... Ts>
constexpr bool AreAlternativesPrintable(const Variant<Ts...>*) {
  return (IsPrintable<Ts>() && ...);
}

// True if AppendText can print a T. The order of the cases is that of AppendText.
template <class T>
constexpr bool IsPrintable() {
  if constexpr (HasToString<T> || TextLike<T>) {
    return true;
  } else if constexpr (!std::is_class_v<T> && !std::is_array_v<T>) {
    return std::is_arithmetic_v<T> || (std::is_enum_v<T> && std::is_convertible_v<T, int64_t>);
  } else if constexpr (PairLike<T>) {
    return IsPrintable<std::remove_cvref_t<decltype(std::declval<T&>().first)>>() &&
           IsPrintable<std::remove_cvref_t<decltype(std::declval<T&>().second)>>();
  } else if constexpr (TupleLike<T> && !ArrayLike<T>) {
    return AreElementsPrintable<T>(std::make_index_sequence<std::tuple_size<T>::value>());
  } else if constexpr (OptionalLike<T>) {
    return IsPrintable<typename T::value_type>();
  } else if constexpr (VariantLike<T>) {
    return AreAlternativesPrintable(static_cast<const T*>(nullptr));
  } else if constexpr (MapLike<T>) {
    return IsPrintable<typename T::key_type>() && IsPrintable<typename T::mapped_type>();
  } else if constexpr (std::is_array_v<T>) {
    return IsPrintable<std::remove_cv_t<std::remove_extent_t<T>>>();
  } else if constexpr (RangeLike<T>) {
    return IsPrintable<typename T::value_type>();
  } else {
    return false;
  }
}

void AppendNumber(std::string& out, int64_t value);
void AppendNumber(std::string& out, uint64_t value);
void AppendNumber(std::string& out, float value);
void AppendNumber(std::string& out, double value);
void AppendNumber(std::string& out, long double value);

template <class T>
void AppendText(std::string& out, const T& value);

template <class T, size_t... indices>
void AppendTuple(std::string& out, const T& tuple, std::index_sequence<indices...>) {
  using std::get;
  ((out.append(indices == 0 ? "" : ", "), AppendText(out, get<indices>(tuple))), ...);
}

template <class T, size_t... indices>
void AppendVariant(std::string& out, const T& variant, std::index_sequence<indices...>) {
  ((variant.index() == indices ? AppendText(out, *get_if<indices>(&variant)) : void()), ...);
}

template <template <class...> class Variant, class... Ts>
constexpr auto IndicesOfAlternatives(const Variant<Ts...>&) {
  return std::index_sequence_for<Ts...>();
}

template <class T>
void AppendElements(std::string& out, const T& range) {
  std::string_view separator;
  for (const auto& element : range) {
    out.append(separator);
    separator = ", ";
    if constexpr (MapLike<T>) {
      AppendText(out, element.first);
      out.append(": ");
      AppendText(out, element.second);
    } else {
      AppendText<std::remove_cvref_t<decltype(element)>>(out, element);
    }
  }
}

// Appends the text of `value`. REQUIRES: IsPrintable<T>().
template <class T>
void AppendText(std::string& out, const T& value) {
  if constexpr (HasToString<T>) {
    out.append(ToString(value));
  } else if constexpr (TextLike<T>) {
    out.append(std::string_view(value));
  } else if constexpr (std::is_same_v<T, char>) {
    out.push_back(value);
  } else if constexpr (std::is_floating_point_v<T>) {
    AppendNumber(out, value);
  } else if constexpr (std::is_unsigned_v<T>) {
    AppendNumber(out, static_cast<uint64_t>(value));
  } else if constexpr (!std::is_class_v<T> && !std::is_array_v<T>) {
    AppendNumber(out, static_cast<int64_t>(value));
  } else if constexpr (PairLike<T>) {
    out.append("(");
    AppendText(out, value.first);
    out.append(", ");
    AppendText(out, value.second);
    out.append(")");
  } else if constexpr (TupleLike<T> && !ArrayLike<T>) {
    out.append("(");
    AppendTuple(out, value, std::make_index_sequence<std::tuple_size<T>::value>());
    out.append(")");
  } else if constexpr (OptionalLike<T>) {
    if (value.has_value()) {
      AppendText(out, *value);
    } else {
      out.append("none");
    }
  } else if constexpr (VariantLike<T>) {
    AppendVariant(out, value, IndicesOfAlternatives(value));
  } else {
    out.append(MapLike<T> ? "{" : "[");
    AppendElements(out, value);
    out.append(MapLike<T> ? "}" : "]");
  }
}

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_RECORD_TEXT_H_
