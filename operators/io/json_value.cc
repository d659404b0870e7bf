#include "operators/io/json_value.h"

#include <simdjson.h>

#include <cstring>
#include <string>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "operators/io/line_reader.h"

namespace headway {

namespace dom = simdjson::dom;

static_assert(internal::LineReader::kPadding >= simdjson::SIMDJSON_PADDING);

struct JsonValue::Access {
  static_assert(std::is_trivially_copyable_v<dom::element>);
  static_assert(sizeof(dom::element) == sizeof(JsonValue::element_));

  static dom::element Get(const JsonValue& value) {
    dom::element element;
    std::memcpy(&element, value.element_, sizeof(element));
    return element;
  }
  static JsonValue Make(dom::element element, std::string_view name) {
    JsonValue value;
    std::memcpy(value.element_, &element, sizeof(element));
    value.exists_ = true;
    value.name_ = name;
    return value;
  }
  static JsonValue Missing(std::string_view name) {
    JsonValue value;
    value.name_ = name;
    return value;
  }
  template <class T>
  static bool Read(const JsonValue& value, T& to) {
    return value.exists_ && Get(value).get(to) == simdjson::SUCCESS;
  }
  static std::string_view Describe(dom::element element) {
    switch (element.type()) {
      case dom::element_type::ARRAY:
        return "an array";
      case dom::element_type::OBJECT:
        return "an object";
      case dom::element_type::STRING:
        return "a string";
      case dom::element_type::BOOL:
        return "true or false";
      case dom::element_type::NULL_VALUE:
        return "null";
      default:
        return "a number";
    }
  }
};

JsonValue JsonValue::operator[](std::string_view name) const {
  dom::object object;
  dom::element field;
  if (!Access::Read(*this, object) || object.at_key(name).get(field) != simdjson::SUCCESS) {
    return Access::Missing(name);
  }
  return Access::Make(field, name);
}

JsonValue JsonValue::operator[](size_t index) const {
  dom::array array;
  dom::element element;
  if (!Access::Read(*this, array) || array.at(index).get(element) != simdjson::SUCCESS) {
    return Access::Missing(name_);
  }
  return Access::Make(element, name_);
}

bool JsonValue::is_null() const { return exists_ && Access::Get(*this).is_null(); }

size_t JsonValue::size() const {
  dom::array array;
  dom::object object;
  if (Access::Read(*this, array)) return array.size();
  return Access::Read(*this, object) ? object.size() : 0;
}

absl::Status JsonValue::ForEachElement(absl::FunctionRef<absl::Status(JsonValue)> f) const {
  dom::array array;
  if (!Access::Read(*this, array)) return Error("an array");
  for (const dom::element element : array) {
    HEADWAY_RETURN_IF_ERROR(f(Access::Make(element, name_)));
  }
  return absl::OkStatus();
}

absl::Status JsonValue::ForEachField(
    absl::FunctionRef<absl::Status(std::string_view, JsonValue)> f) const {
  dom::object object;
  if (!Access::Read(*this, object)) return Error("an object");
  for (const dom::key_value_pair field : object) {
    HEADWAY_RETURN_IF_ERROR(f(field.key, Access::Make(field.value, field.key)));
  }
  return absl::OkStatus();
}

bool JsonValue::ReadBool(bool& value) const { return Access::Read(*this, value); }
bool JsonValue::ReadInt(int64_t& value) const { return Access::Read(*this, value); }
bool JsonValue::ReadUnsigned(uint64_t& value) const { return Access::Read(*this, value); }
bool JsonValue::ReadDouble(double& value) const { return Access::Read(*this, value); }
bool JsonValue::ReadString(std::string_view& value) const { return Access::Read(*this, value); }

absl::Status JsonValue::Error(std::string_view wanted) const {
  const std::string what = name_.empty() ? "the line" : absl::StrFormat("field '%s'", name_);
  if (!exists_) return absl::InvalidArgumentError(absl::StrCat(what, " is missing"));
  const dom::element element = Access::Get(*this);
  const bool is_container = element.is_object() || element.is_array();
  return absl::InvalidArgumentError(
      absl::StrFormat("%s is %s, not %s", what,
                      is_container ? std::string(Access::Describe(element))
                                   : internal::ShownText(simdjson::minify(element)),
                      wanted));
}

namespace internal {

struct JsonParser::Impl {
  dom::parser parser;
};

JsonParser::JsonParser() : impl_(std::make_unique<Impl>()) {}
JsonParser::~JsonParser() = default;
JsonParser::JsonParser(JsonParser&&) noexcept = default;
JsonParser& JsonParser::operator=(JsonParser&&) noexcept = default;

absl::StatusOr<JsonValue> JsonParser::Parse(std::string_view text) {
  dom::element element;
  const simdjson::error_code error =
      impl_->parser.parse(text.data(), text.size(), false).get(element);
  if (error == simdjson::SUCCESS) return JsonValue::Access::Make(element, "");
  if (error == simdjson::MEMALLOC) throw std::bad_alloc();
  return absl::InvalidArgumentError(absl::StrFormat("%s is malformed JSON (%s)", ShownText(text),
                                                    simdjson::error_message(error)));
}

bool IsUtf8(std::string_view text) { return simdjson::validate_utf8(text.data(), text.size()); }

}  // namespace internal

}  // namespace headway
