#ifndef HEADWAY_OPERATORS_IO_JSON_VALUE_H_
#define HEADWAY_OPERATORS_IO_JSON_VALUE_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "comm/codec/shapes.h"
#include "engine/runtime/status_macros.h"
#include "operators/io/columns.h"
#include "operators/io/text_value.h"

namespace headway {

class JsonValue;

namespace internal {

class JsonParser;

template <class T>
constexpr bool HasJsonValue();

}  // namespace internal

// A value in a line of JSON, or a missing one. Valid as long as the call of the function that gets
// it. A copy costs no allocation.
//
//   int64_t user = 0;
//   HEADWAY_RETURN_IF_ERROR(line["user"]["id"].Read(user));
class JsonValue {
 public:
  JsonValue() = default;  // missing

  // The first field of that name. The result is missing if the object lacks the field, or the value
  // is no object. `name` outlives the result.
  JsonValue operator[](std::string_view name) const;
  // The element of an array. The result is missing if the array is shorter, or the value is no
  // array.
  JsonValue operator[](size_t index) const;

  bool exists() const { return exists_; }
  bool is_null() const;
  // The number of elements of an array or of fields of an object; else 0.
  size_t size() const;

  // Sets `value` to this one. The type is one of
  //
  //    bool
  //    numbers                     integers exactly, others rounded
  //    std::string, string_view    a view is valid as long as this
  //    JsonValue
  //    std::optional               without a value if this is null or missing
  //    vectors                     from an array
  //    maps of std::string         from an object
  //    structs, HEADWAY_COLUMNS    from an object, whose other fields are ignored
  //    others                      with bool FromText(std::string_view, Type&) beside them, from a
  //                                string
  //
  // Returns InvalidArgument, which names the field, if this is missing or of another type.
  template <class T>
  absl::Status Read(T& value) const;

  // Calls f(element) for the elements of an array, or f(value) for the fields of an object and sets
  // `*name`, until one returns an error, which is the result. InvalidArgument if this is neither.
  absl::Status ForEachElement(absl::FunctionRef<absl::Status(JsonValue)> f) const;
  absl::Status ForEachField(absl::FunctionRef<absl::Status(std::string_view, JsonValue)> f) const;

 private:
  friend class internal::JsonParser;
  struct Access;  // to the element

  bool ReadBool(bool& value) const;
  bool ReadInt(int64_t& value) const;
  bool ReadUnsigned(uint64_t& value) const;
  bool ReadDouble(double& value) const;
  bool ReadString(std::string_view& value) const;
  template <class T>
  bool ReadInteger(T& value) const;
  // This value is not `wanted`.
  absl::Status Error(std::string_view wanted) const;

  // A simdjson::dom::element, whose header takes a compiler two seconds.
  alignas(void*) unsigned char element_[2 * sizeof(void*)] = {};
  bool exists_ = false;
  std::string_view name_ = "";  // of the field, for errors
};

template <class T>
bool JsonValue::ReadInteger(T& value) const {
  if constexpr (std::is_unsigned_v<T>) {
    uint64_t wide = 0;
    if (!ReadUnsigned(wide) || wide > std::numeric_limits<T>::max()) return false;
    value = static_cast<T>(wide);
  } else {
    int64_t wide = 0;
    if (!ReadInt(wide) || wide < std::numeric_limits<T>::min() ||
        wide > std::numeric_limits<T>::max()) {
      return false;
    }
    value = static_cast<T>(wide);
  }
  return true;
}

template <class T>
absl::Status JsonValue::Read(T& value) const {
  constexpr bool kReads = internal::HasJsonValue<T>();
  static_assert(kReads,
                "JsonValue::Read: the value must be a bool, a number, a string, a std::optional, a "
                "vector or a map of these, a struct with HEADWAY_COLUMNS, or have a function bool "
                "FromText(std::string_view, Type&) beside it");
  if constexpr (!kReads) {
    return absl::OkStatus();
  } else if constexpr (std::is_same_v<T, JsonValue>) {
    value = *this;
    return exists_ ? absl::OkStatus() : Error("a value");
  } else if constexpr (internal::HasFromText<T>) {
    std::string_view text;
    if (!ReadString(text)) return Error("a string");
    return FromText(text, value) ? absl::OkStatus() : Error("a value of its type");
  } else if constexpr (std::is_same_v<T, bool>) {
    return ReadBool(value) ? absl::OkStatus() : Error("true or false");
  } else if constexpr (std::is_floating_point_v<T>) {
    double wide = 0;
    if (!ReadDouble(wide)) return Error("a number");
    value = static_cast<T>(wide);
    return absl::OkStatus();
  } else if constexpr (std::is_integral_v<T>) {
    return ReadInteger(value) ? absl::OkStatus() : Error(internal::DescribeValue<T>());
  } else if constexpr (std::is_same_v<T, std::string_view>) {
    return ReadString(value) ? absl::OkStatus() : Error("a string");
  } else if constexpr (std::is_same_v<T, std::string>) {
    std::string_view text;
    if (!ReadString(text)) return Error("a string");
    value = text;
    return absl::OkStatus();
  } else if constexpr (internal::OptionalLike<T>) {
    value.reset();
    return !exists_ || is_null() ? absl::OkStatus() : Read(value.emplace());
  } else if constexpr (internal::HasColumns<T>) {
    absl::Status status;
    if (!exists_) return Error("an object");
    internal::ColumnsOf<T>().ForEach(value, [&](std::string_view name, auto& member) {
      if (status.ok()) status = (*this)[name].Read(member);
    });
    return status;
  } else if constexpr (internal::MapLike<T>) {
    value.clear();
    return ForEachField([&](std::string_view name, JsonValue field) {
      return field.Read(value[std::string(name)]);
    });
  } else {
    value.clear();
    return ForEachElement([&](JsonValue element) { return element.Read(value.emplace_back()); });
  }
}

namespace internal {

template <class T>
constexpr bool HasJsonValue() {
  if constexpr (std::is_same_v<T, JsonValue> || HasTextValue<T>() || HasColumns<T>) {
    return !std::is_same_v<T, char>;
  } else if constexpr (OptionalLike<T>) {
    return HasJsonValue<typename T::value_type>();
  } else if constexpr (MapLike<T>) {
    return std::is_same_v<typename T::key_type, std::string> &&
           HasJsonValue<typename T::mapped_type>();
  } else if constexpr (requires(T& value) { value.emplace_back(); }) {
    return HasJsonValue<typename T::value_type>();
  } else {
    return false;
  }
}

// Parses texts of JSON with simdjson, all of each: its document form. Of the libraries in Debian
// 12, RapidJSON needs five times as long. simdjson's on-demand form needs half, but does not see
// that the values that are not read are malformed.
class JsonParser {
 public:
  JsonParser();
  ~JsonParser();
  JsonParser(JsonParser&&) noexcept;
  JsonParser& operator=(JsonParser&&) noexcept;

  // Parses a text that is one value. The result is valid until the next call. At least
  // LineReader::kPadding bytes behind the text may be read. Returns InvalidArgument if the text is
  // malformed: no JSON, not UTF-8, nested deeper than 1024, with a number that has no 64 bits, or
  // with another value behind it.
  absl::StatusOr<JsonValue> Parse(std::string_view text);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Returns true if the text is UTF-8.
bool IsUtf8(std::string_view text);

}  // namespace internal

}  // namespace headway

#endif  // HEADWAY_OPERATORS_IO_JSON_VALUE_H_
