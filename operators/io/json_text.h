#ifndef HEADWAY_OPERATORS_IO_JSON_TEXT_H_
#define HEADWAY_OPERATORS_IO_JSON_TEXT_H_

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

#include "comm/codec/shapes.h"
#include "operators/io/columns.h"
#include "operators/record_text.h"

// The JSON text of a record, for sinks:
//
//    structs with HEADWAY_COLUMNS   {"symbol":"A","price":1.5}
//    others with ToString           the string that std::string ToString(const Type&) returns
//    strings, char                  "text"
//    bool                           true, false
//    numbers                        the shortest text that reads back as the same number; null
//                                   if it is infinite or not a number
//    optionals                      the value, or null
//    variants                       the value
//    pairs, tuples                  [1,"two"]
//    vectors, arrays, sets          [1,2]
//    maps                           {"one":1}; the text of a key (record_text.h) is its name

namespace headway::internal {

template <class T>
constexpr bool HasJsonText();

template <class T, size_t... indices>
constexpr bool HaveElementsJsonText(std::index_sequence<indices...>) {
  return (HasJsonText<std::remove_cv_t<std::tuple_element_t<indices, T>>>() && ...);
}
template <class... Ts>
constexpr bool HaveAlternativesJsonText(const std::variant<Ts...>*) {
  return (HasJsonText<Ts>() && ...);
}

// True if AppendJson can write a T. The order of the cases is that of AppendJson.
template <class T>
constexpr bool HasJsonText() {
  if constexpr (HasColumns<T> || HasToString<T> || TextLike<T>) {
    return true;
  } else if constexpr (!std::is_class_v<T> && !std::is_array_v<T>) {
    return IsPrintable<T>();
  } else if constexpr (PairLike<T> || (TupleLike<T> && !ArrayLike<T>)) {
    return HaveElementsJsonText<T>(std::make_index_sequence<std::tuple_size<T>::value>());
  } else if constexpr (OptionalLike<T>) {
    return HasJsonText<typename T::value_type>();
  } else if constexpr (requires(const T& value) { HaveAlternativesJsonText(&value); }) {
    return HaveAlternativesJsonText(static_cast<const T*>(nullptr));
  } else if constexpr (MapLike<T>) {
    return IsPrintable<typename T::key_type>() && HasJsonText<typename T::mapped_type>();
  } else if constexpr (RangeLike<T>) {
    return HasJsonText<typename T::value_type>();
  } else {
    return false;
  }
}

// Appends the text as a string, in quotes. The bytes of UTF-8 stay as they are.
void AppendJsonString(std::string& out, std::string_view text);

template <class T>
void AppendJson(std::string& out, const T& value);

// Appends values with commas between them.
class JsonList {
 public:
  JsonList(std::string& out, char open, char close) : out_(out), close_(close) {
    out_.push_back(open);
  }
  ~JsonList() { out_.push_back(close_); }
  JsonList(const JsonList&) = delete;
  JsonList& operator=(const JsonList&) = delete;

  template <class T>
  void Add(const T& value) {
    Separate();
    AppendJson(out_, value);
  }
  template <class T>
  void AddField(std::string_view name, const T& value) {
    Separate();
    AppendJsonString(out_, name);
    out_.push_back(':');
    AppendJson(out_, value);
  }

 private:
  void Separate() {
    if (!std::exchange(is_first_, false)) out_.push_back(',');
  }

  std::string& out_;
  char close_;
  bool is_first_ = true;
};

// Appends the JSON text of `value`. REQUIRES: HasJsonText<T>().
template <class T>
void AppendJson(std::string& out, const T& value) {
  if constexpr (HasColumns<T>) {
    JsonList fields(out, '{', '}');
    ColumnsOf<T>().ForEach(
        value, [&](std::string_view name, const auto& field) { fields.AddField(name, field); });
  } else if constexpr (HasToString<T>) {
    AppendJsonString(out, ToString(value));
  } else if constexpr (TextLike<T>) {
    AppendJsonString(out, std::string_view(value));
  } else if constexpr (std::is_same_v<T, char>) {
    AppendJsonString(out, std::string_view(&value, 1));
  } else if constexpr (std::is_same_v<T, bool>) {
    out.append(value ? "true" : "false");
  } else if constexpr (std::is_floating_point_v<T>) {
    if (std::isfinite(value)) {
      AppendText(out, value);
    } else {
      out.append("null");
    }
  } else if constexpr (!std::is_class_v<T> && !std::is_array_v<T>) {
    AppendText(out, value);
  } else if constexpr (PairLike<T> || (TupleLike<T> && !ArrayLike<T>)) {
    JsonList elements(out, '[', ']');
    std::apply([&](const auto&... each) { (elements.Add(each), ...); }, value);
  } else if constexpr (OptionalLike<T>) {
    if (value.has_value()) {
      AppendJson(out, *value);
    } else {
      out.append("null");
    }
  } else if constexpr (requires { HaveAlternativesJsonText(&value); }) {
    std::visit([&](const auto& alternative) { AppendJson(out, alternative); }, value);
  } else if constexpr (MapLike<T>) {
    JsonList fields(out, '{', '}');
    for (const auto& [key, field] : value) {
      std::string name;
      AppendText(name, key);
      fields.AddField(name, field);
    }
  } else {
    JsonList elements(out, '[', ']');
    for (const auto& element : value) {
      elements.template Add<std::remove_cvref_t<decltype(element)>>(element);
    }
  }
}

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_IO_JSON_TEXT_H_
