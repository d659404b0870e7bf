#include "operators/kafka_avro/avro_schema.h"

#include <algorithm>
#include <iterator>
#include <optional>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "engine/runtime/status_macros.h"
#include "operators/io/json_value.h"
#include "operators/io/line_reader.h"

namespace headway::internal {
namespace {

// By the order of AvroType.
constexpr std::string_view kTypeNames[] = {"null",   "boolean", "int",    "long",  "float",
                                           "double", "bytes",   "string", "fixed", "enum",
                                           "array",  "map",     "record", "union"};
constexpr size_t kPrimitiveTypes = 8;

struct LogicalName {
  std::string_view name;
  AvroType type;
  AvroLogicalType logical_type;
};
constexpr LogicalName kLogicalNames[] = {
    {"date", AvroType::kInt, AvroLogicalType::kDate},
    {"timestamp-millis", AvroType::kLong, AvroLogicalType::kTimestampMillis},
    {"timestamp-micros", AvroType::kLong, AvroLogicalType::kTimestampMicros},
    {"timestamp-nanos", AvroType::kLong, AvroLogicalType::kTimestampNanos},
};

std::optional<AvroType> TypeOf(std::string_view name) {
  const auto* const found = std::ranges::find(kTypeNames, name);
  if (found == std::end(kTypeNames)) return std::nullopt;
  return static_cast<AvroType>(found - std::begin(kTypeNames));
}

bool IsPrimitive(AvroType type) { return static_cast<size_t>(type) < kPrimitiveTypes; }

bool IsName(std::string_view text) {
  return !text.empty() && !absl::ascii_isdigit(text[0]) &&
         std::ranges::all_of(text, [](char c) { return absl::ascii_isalnum(c) || c == '_'; });
}

bool IsFullName(std::string_view text) {
  size_t dot;
  for (; (dot = text.find('.')) != std::string_view::npos; text.remove_prefix(dot + 1)) {
    if (!IsName(text.substr(0, dot))) return false;
  }
  return IsName(text);
}

// Names are the text of others, and may be long.
std::string Shown(std::string_view text) {
  constexpr size_t kShownBytes = 100;
  return absl::StrCat("'", absl::CHexEscape(std::string(text.substr(0, kShownBytes))),
                      text.size() > kShownBytes ? "..." : "", "'");
}

absl::Status Malformed(const std::string& reason) {
  return absl::InvalidArgumentError(absl::StrCat("the schema is malformed: ", reason));
}

std::string NamespaceOf(std::string_view full_name) {
  const size_t dot = full_name.rfind('.');
  return std::string(dot == std::string_view::npos ? "" : full_name.substr(0, dot));
}

// Makes the nodes of a schema. The depth of its recursion is that of the JSON, which has a limit.
class SchemaParser {
 public:
  explicit SchemaParser(std::deque<AvroNode>& nodes) : nodes_(nodes) {}

  // `space` is the namespace of the definition around this one.
  absl::StatusOr<AvroNode*> Parse(const JsonValue& json, const std::string& space) {
    std::string_view name;
    if (json.Read(name).ok()) return Named(name, space);
    if (const JsonValue type = json["type"]; type.exists()) return Defined(json, type, space);
    return Union(json, space);
  }

 private:
  AvroNode* Add(AvroType type) {
    nodes_.push_back({.type = type});
    return &nodes_.back();
  }

  absl::StatusOr<AvroNode*> Named(std::string_view name, const std::string& space) {
    const std::optional<AvroType> type = TypeOf(name);
    if (type.has_value() && IsPrimitive(*type)) return Add(*type);
    const bool has_space = space.empty() || name.find('.') != std::string_view::npos;
    std::string full_name(name);
    if (!has_space) full_name = absl::StrCat(space, ".", full_name);
    const auto found = names_.find(full_name);
    if (found != names_.end()) return found->second;
    return Malformed(absl::StrCat("the type ", Shown(name), " is not defined before its use"));
  }

  absl::StatusOr<AvroNode*> Defined(const JsonValue& json, const JsonValue& type,
                                    const std::string& space) {
    std::string_view type_name;
    if (!type.Read(type_name).ok()) return Parse(type, space);  // {"type": {...}}
    const std::optional<AvroType> known = TypeOf(type_name);
    if (!known.has_value() || IsPrimitive(*known)) {
      absl::StatusOr<AvroNode*> node = Named(type_name, space);
      if (node.ok()) SetLogicalType(json, **node);
      return node;
    }
    switch (*known) {
      case AvroType::kArray:
      case AvroType::kMap:
        return Items(json, *known, space);
      case AvroType::kFixed:
      case AvroType::kEnum:
      case AvroType::kRecord:
        return Definition(json, *known, space);
      default:
        return Malformed("a union is an array of types");
    }
  }

  // A logical type of a type that it cannot have is ignored, and so is an unknown one.
  static void SetLogicalType(const JsonValue& json, AvroNode& node) {
    std::string_view name;
    if (!json["logicalType"].Read(name).ok()) return;
    for (const LogicalName& known : kLogicalNames) {
      if (known.name == name && known.type == node.type) node.logical_type = known.logical_type;
    }
  }

  absl::StatusOr<AvroNode*> Items(const JsonValue& json, AvroType type, const std::string& space) {
    AvroNode* const node = Add(type);
    const char* const key = type == AvroType::kArray ? "items" : "values";
    const JsonValue items = json[key];
    if (!items.exists()) return Malformed(absl::StrCat(DescribeAvro(*node), " lacks '", key, "'"));
    absl::StatusOr<AvroNode*> child = Parse(items, space);
    if (!child.ok()) return child.status();
    node->children.push_back(*child);
    return node;
  }

  absl::StatusOr<AvroNode*> Union(const JsonValue& json, const std::string& space) {
    if (!json[size_t{0}].exists()) {
      return Malformed("a type is no name, no object with a type, and no union");
    }
    AvroNode* const node = Add(AvroType::kUnion);
    absl::Status status = json.ForEachElement([&](const JsonValue& branch) -> absl::Status {
      absl::StatusOr<AvroNode*> child = Parse(branch, space);
      if (!child.ok()) return child.status();
      if ((*child)->type == AvroType::kUnion) return Malformed("a union contains a union");
      node->children.push_back(*child);
      return absl::OkStatus();
    });
    if (!status.ok()) return status;
    return node;
  }

  absl::StatusOr<AvroNode*> Definition(const JsonValue& json, AvroType type,
                                       const std::string& space) {
    std::string_view name;
    if (!json["name"].Read(name).ok()) {
      return Malformed(absl::StrCat(DescribeAvro({.type = type}), " has no name"));
    }
    std::string full_name(name);
    if (name.find('.') == std::string_view::npos) {
      std::string own_space = space;
      if (json["namespace"].exists()) HEADWAY_RETURN_IF_ERROR(json["namespace"].Read(own_space));
      if (!own_space.empty()) full_name = absl::StrCat(own_space, ".", full_name);
    }
    if (!IsFullName(full_name)) return Malformed(absl::StrCat(Shown(full_name), " is no name"));
    AvroNode* const node = Add(type);
    node->name = full_name;
    if (!names_.emplace(full_name, node).second) {
      return Malformed(absl::StrCat("the name ", Shown(full_name), " is defined twice"));
    }
    absl::Status status = type == AvroType::kFixed  ? Fixed(json, *node)
                          : type == AvroType::kEnum ? Symbols(json, *node)
                                                    : Fields(json, *node);
    if (!status.ok()) return status;
    return node;
  }

  static absl::Status Fixed(const JsonValue& json, AvroNode& node) {
    int32_t size = 0;
    if (!json["size"].Read(size).ok() || size < 0) {
      return Malformed(absl::StrCat("the fixed ", Shown(node.name), " has no size"));
    }
    node.fixed_size = static_cast<size_t>(size);
    return absl::OkStatus();
  }

  static absl::Status Symbols(const JsonValue& json, AvroNode& node) {
    if (json["symbols"].Read(node.labels).ok()) return absl::OkStatus();
    return Malformed(absl::StrCat("the enum ", Shown(node.name), " has no symbols"));
  }

  absl::Status Fields(const JsonValue& json, AvroNode& node) {
    const std::string space = NamespaceOf(node.name);
    absl::flat_hash_set<std::string> labels;
    const auto add = [&](const JsonValue& field) -> absl::Status {
      std::string_view label;
      if (!field["name"].Read(label).ok() || !IsName(label) || !field["type"].exists()) {
        return Malformed(absl::StrCat("a field of ", Shown(node.name), " lacks a name or a type"));
      }
      if (!labels.emplace(label).second) {
        return Malformed(
            absl::StrCat("the field ", Shown(label), " of ", Shown(node.name), " is there twice"));
      }
      absl::StatusOr<AvroNode*> child = Parse(field["type"], space);
      if (!child.ok()) return child.status();
      node.labels.emplace_back(label);
      node.children.push_back(*child);
      return absl::OkStatus();
    };
    if (!json["fields"].exists()) {
      return Malformed(absl::StrCat("the record ", Shown(node.name), " has no fields"));
    }
    return json["fields"].ForEachElement(add);
  }

  std::deque<AvroNode>& nodes_;
  absl::flat_hash_map<std::string, AvroNode*> names_;
};

}  // namespace

std::string DescribeAvro(const AvroNode& node) {
  const std::string name(kTypeNames[static_cast<size_t>(node.type)]);
  if (node.type == AvroType::kNull) return "null";
  const bool has_vowel = std::string_view("aeiou").find(name[0]) != std::string_view::npos;
  std::string text = absl::StrCat(has_vowel && node.type != AvroType::kUnion ? "an " : "a ", name);
  for (const LogicalName& known : kLogicalNames) {
    if (known.logical_type == node.logical_type)
      absl::StrAppend(&text, " (", std::string(known.name), ")");
  }
  return text;
}

absl::StatusOr<std::shared_ptr<const AvroSchema>> AvroSchema::Parse(std::string_view text) {
  std::string padded(text);
  padded.append(LineReader::kPadding, '\0');
  JsonParser parser;
  const absl::StatusOr<JsonValue> json =
      parser.Parse(std::string_view(padded).substr(0, text.size()));
  if (!json.ok()) return Malformed(std::string(json.status().message()));
  std::shared_ptr<AvroSchema> schema(new AvroSchema());
  const absl::StatusOr<AvroNode*> root = SchemaParser(schema->nodes_).Parse(*json, "");
  if (!root.ok()) return root.status();
  schema->root_ = *root;
  return schema;
}

}  // namespace headway::internal
