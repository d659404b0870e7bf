#ifndef HEADWAY_OPERATORS_IO_TEXT_VALUE_H_
#define HEADWAY_OPERATORS_IO_TEXT_VALUE_H_

#include <charconv>
#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "absl/status/status.h"
#include "comm/codec/shapes.h"

// Values from their text, for sources that parse:
//
//    integers, floating point   the whole text, without spaces or a plus sign
//    bool                       true or false, 1 or 0
//    char                       one byte
//    std::string                the text
//    std::optional              nothing if the text is empty
//    others                     bool FromText(std::string_view text, Type& value) beside the type;
//                               it returns false if the text is malformed

namespace headway::internal {

template <class T>
concept HasFromText = requires(std::string_view text, T& value) {
  { FromText(text, value) } -> std::same_as<bool>;
};

template <class T>
constexpr bool HasTextValue() {
  if constexpr (HasFromText<T> || std::is_arithmetic_v<T> || std::is_same_v<T, std::string> ||
                std::is_same_v<T, std::string_view>) {
    return true;
  } else if constexpr (OptionalLike<T>) {
    return HasTextValue<typename T::value_type>();
  } else {
    return false;
  }
}

// Returns false if the text is malformed. A std::string_view refers to `text`.
template <class T>
bool TextToValue(std::string_view text, T& value) {
  if constexpr (HasFromText<T>) {
    return FromText(text, value);
  } else if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, std::string_view>) {
    value = text;
    return true;
  } else if constexpr (std::is_same_v<T, bool>) {
    value = text == "true" || text == "1";
    return value || text == "false" || text == "0";
  } else if constexpr (std::is_same_v<T, char>) {
    if (text.size() == 1) value = text[0];
    return text.size() == 1;
  } else if constexpr (std::is_arithmetic_v<T>) {
    const char* const end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data(), end, value);
    return error == std::errc() && at == end;
  } else if (text.empty()) {
    value.reset();
    return true;
  } else {
    return TextToValue(text, value.emplace());
  }
}

template <class T>
constexpr std::string_view DescribeValue() {
  if constexpr (OptionalLike<T>) {
    return DescribeValue<typename T::value_type>();
  } else if constexpr (std::is_same_v<T, bool>) {
    return "true or false";
  } else if constexpr (std::is_same_v<T, char>) {
    return "one character";
  } else if constexpr (std::is_floating_point_v<T>) {
    return "a number";
  } else if constexpr (std::is_integral_v<T>) {
    return std::is_unsigned_v<T> ? "an integer, not negative and not too large for its member"
                                 : "an integer, not too large for its member";
  } else {
    return "a value of its type";
  }
}

// The beginning of a text, in quotes, for an error message.
std::string ShownText(std::string_view text);

// InvalidArgument: the text of the column is not `wanted`.
absl::Status TextValueError(std::string_view column, std::string_view text,
                            std::string_view wanted);

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_IO_TEXT_VALUE_H_
