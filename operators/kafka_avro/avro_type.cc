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

void AppendType(std::string& out, const AvroField& field, const std::string& space);

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
    case AvroKind::kBool:
      out += R"("boolean")";
      return;
    case AvroKind::kInt:
      out += R"("int")";
      return;
    case AvroKind::kLong:
      out += R"("long")";
      return;
    case AvroKind::kFloat:
      out += R"("float")";
      return;
    case AvroKind::kDouble:
      out += R"("double")";
      return;
    case AvroKind::kString:
      out += R"("string")";
      return;
    case AvroKind::kDate:
      out += R"({"type":"int","logicalType":"date"})";
      return;
    case AvroKind::kMilliseconds:
      out += R"({"type":"long","logicalType":"timestamp-millis"})";
      return;
    case AvroKind::kMicroseconds:
      out += R"({"type":"long","logicalType":"timestamp-micros"})";
      return;
    case AvroKind::kNanoseconds:
      out += R"({"type":"long","logicalType":"timestamp-nanos"})";
      return;
    case AvroKind::kList:
      out += R"({"type":"array","items":)";
      AppendType(out, field.children[0], space);
      out.push_back('}');
      return;
    case AvroKind::kMap:
      out += R"({"type":"map","values":)";
      AppendType(out, field.children[0], space);
      out.push_back('}');
      return;
    case AvroKind::kRecord:
      AppendRecord(out, field, space);
      return;
  }
  HEADWAY_UNREACHABLE("all kinds are handled above");
}

}  // namespace

std::string AvroSchemaText(const AvroField& record) {
  std::string text;
  AppendRecord(text, record, "");
  return text;
}

}  // namespace headway::internal
