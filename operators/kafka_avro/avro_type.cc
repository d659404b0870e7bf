#include "operators/kafka_avro/avro_type.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "check.h"

namespace headway::internal {
namespace {

std::string NameOf(std::string_view text) {
  std::string name(text);
  for (char& c : name) {
    if (!absl::ascii_isalnum(c)) c = '_';
  }
  if (name.empty() || absl::ascii_isdigit(name[0])) name.insert(0, 1, '_');
  return name;
}

const char* ScalarType(AvroKind kind) {
  switch (kind) {
    case AvroKind::kBool:
      return R"("boolean")";
    case AvroKind::kInt:
      return R"("int")";
    case AvroKind::kLong:
      return R"("long")";
    case AvroKind::kFloat:
      return R"("float")";
    case AvroKind::kDouble:
      return R"("double")";
    case AvroKind::kString:
      return R"("string")";
    case AvroKind::kDate:
      return R"({"type":"int","logicalType":"date"})";
    case AvroKind::kMilliseconds:
      return R"({"type":"long","logicalType":"timestamp-millis"})";
    case AvroKind::kMicroseconds:
      return R"({"type":"long","logicalType":"timestamp-micros"})";
    case AvroKind::kNanoseconds:
      return R"({"type":"long","logicalType":"timestamp-nanos"})";
    default:
      HEADWAY_UNREACHABLE("the others contain types");
  }
}

void AppendType(std::string& out, const AvroField& field, const std::string& space);

void AppendItems(std::string& out, const char* begin, const AvroField& field,
                 const std::string& space) {
  out += begin;
  AppendType(out, field.children[0], space);
  out.push_back('}');
}

// All names are those of C++ or of NameOf, and need no escapes.
void AppendRecord(std::string& out, const AvroField& record, const std::string& space) {
  const std::string name = NameOf(record.name);
  absl::StrAppend(&out, R"({"type":"record","name":")", name, R"(",)");
  if (!space.empty()) absl::StrAppend(&out, R"("namespace":")", space, R"(",)");
  out += R"("fields":[)";
  const std::string inner = space.empty() ? name : absl::StrCat(space, ".", name);
  for (const AvroField& field : record.children) {
    if (&field != &record.children.front()) out.push_back(',');
    absl::StrAppend(&out, R"({"name":")", field.name, R"(","type":)");
    AppendType(out, field, inner);
    if (field.is_optional) out += R"(,"default":null)";
    out.push_back('}');
  }
  out += "]}";
}

void AppendType(std::string& out, const AvroField& field, const std::string& space) {
  if (field.is_optional) {
    AvroField value = field;
    value.is_optional = false;
    out += R"(["null",)";
    AppendType(out, value, space);
    out.push_back(']');
    return;
  }
  switch (field.kind) {
    case AvroKind::kList:
      AppendItems(out, R"({"type":"array","items":)", field, space);
      return;
    case AvroKind::kMap:
      AppendItems(out, R"({"type":"map","values":)", field, space);
      return;
    case AvroKind::kRecord:
      AppendRecord(out, field, space);
      return;
    default:
      out += ScalarType(field.kind);
  }
}

}  // namespace

std::string AvroSchemaText(const AvroField& record) {
  std::string text;
  AppendRecord(text, record, "");
  return text;
}

}  // namespace headway::internal
