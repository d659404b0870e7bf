#include "operators/kafka_avro/schema_registry.h"

#include <optional>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "engine/runtime/status_macros.h"
#include "operators/io/json_text.h"
#include "operators/io/json_value.h"
#include "operators/io/line_reader.h"
#include "operators/kafka_avro/shared_results.h"

namespace headway {

namespace {

using internal::AvroSchema;
using internal::RegistryClient;

// Of a reply, for messages.
constexpr size_t kShownBytes = 300;

std::string Shown(const std::string& text) {
  return absl::StrCat(absl::CHexEscape(text.substr(0, kShownBytes)),
                      text.size() > kShownBytes ? "..." : "");
}

struct Failure {
  std::optional<int32_t> error_code;
  std::optional<std::string> message;
};
HEADWAY_COLUMNS(Failure, error_code, message);

struct Schema {
  std::string schema;
  std::optional<std::string> schemaType;  // the names are those of the registry
  std::optional<std::vector<JsonValue>> references;
};
HEADWAY_COLUMNS(Schema, schema, schemaType, references);

struct Registered {
  int32_t id = 0;
};
HEADWAY_COLUMNS(Registered, id);

absl::StatusCode CodeOf(int status_code) {
  switch (status_code) {
    case 401:
    case 403:
      return absl::StatusCode::kPermissionDenied;
    case 404:
      return absl::StatusCode::kNotFound;
    case 422:
      return absl::StatusCode::kInvalidArgument;
    case 429:
      return absl::StatusCode::kUnavailable;
    default:
      return status_code >= 500 ? absl::StatusCode::kUnavailable
                                : absl::StatusCode::kFailedPrecondition;
  }
}

// Parses JSON, which is kept with its values.
class Json {
 public:
  template <class T>
  absl::Status Read(const std::string& text, T& value) {
    text_ = text;
    text_.append(internal::LineReader::kPadding, '\0');
    const auto json = parser_.Parse(std::string_view(text_).substr(0, text.size()));
    return json.ok() ? json->Read(value) : json.status();
  }

 private:
  internal::JsonParser parser_;
  std::string text_;
};

// Reads a reply, or the reason of a failure. `request` names it in errors.
template <class T>
absl::Status ReadReply(Json& json, const RegistryClient& client, const std::string& request,
                       const RegistryClient::Reply& reply, T& value) {
  const std::string where = absl::StrCat("the schema registry '", client.url(),
                                         "' replied to the request for ", request, " with ");
  if (reply.status_code >= 200 && reply.status_code < 300) {
    absl::Status status = json.Read(reply.body, value);
    if (status.ok()) return status;
    return absl::DataLossError(
        absl::StrCat(where, "malformed JSON: ", Shown(std::string(status.message()))));
  }
  Failure failure;
  std::string reason = Shown(reply.body);
  if (json.Read(reply.body, failure).ok() && failure.message.has_value()) {
    reason = Shown(*failure.message);
    if (failure.error_code.has_value()) {
      absl::StrAppend(&reason, " (error ", *failure.error_code, ")");
    }
  }
  return absl::Status(CodeOf(reply.status_code),
                      absl::StrCat(where, "status ", reply.status_code, ": ", reason));
}

}  // namespace

struct SchemaRegistry::Shared {
  explicit Shared(SchemaRegistryOptions options) : client(std::move(options)) {}

  absl::StatusOr<std::shared_ptr<const AvroSchema>> Fetch(int32_t id) const;
  absl::StatusOr<int32_t> Register(const std::string& subject, const std::string& schema) const;

  const RegistryClient client;
  internal::SharedResults<int32_t, std::shared_ptr<const AvroSchema>> schemas;
  internal::SharedResults<std::pair<std::string, std::string>, int32_t> ids;
};

absl::StatusOr<std::shared_ptr<const AvroSchema>> SchemaRegistry::Shared::Fetch(int32_t id) const {
  const auto reply = client.Send(absl::StrCat("/schemas/ids/", id), std::nullopt);
  if (!reply.ok()) return reply.status();
  const std::string request = absl::StrCat("the schema ", id);
  Json json;
  Schema fetched;
  HEADWAY_RETURN_IF_ERROR(ReadReply(json, client, request, *reply, fetched));
  const std::string what = absl::StrCat(request, " of the schema registry '", client.url(), "' ");
  if (fetched.schemaType.value_or("AVRO") != "AVRO") {
    return absl::UnimplementedError(
        absl::StrCat(what, "is one of ", Shown(*fetched.schemaType), ", not of Avro"));
  }
  if (fetched.references.has_value() && !fetched.references->empty()) {
    return absl::UnimplementedError(
        absl::StrCat(what,
                     "refers to other schemas, which is not supported: register one schema "
                     "with all its types"));
  }
  auto schema = AvroSchema::Parse(fetched.schema);
  if (schema.ok()) return schema;
  return absl::Status(schema.status().code(),
                      absl::StrCat(what, "cannot be used: ", schema.status().message()));
}

absl::StatusOr<int32_t> SchemaRegistry::Shared::Register(const std::string& subject,
                                                         const std::string& schema) const {
  std::string body = R"({"schema":)";
  internal::AppendJsonString(body, schema);
  body.push_back('}');
  const auto reply =
      client.Send(absl::StrCat("/subjects/", internal::EscapeSegment(subject), "/versions"), body);
  if (!reply.ok()) return reply.status();
  Json json;
  Registered registered;
  HEADWAY_RETURN_IF_ERROR(ReadReply(
      json, client, absl::StrCat("a schema of the subject '", absl::CHexEscape(subject), "'"),
      *reply, registered));
  return registered.id;
}

SchemaRegistry::SchemaRegistry(SchemaRegistryOptions options)
    : shared_(std::make_shared<Shared>(std::move(options))) {}

absl::StatusOr<std::shared_ptr<const AvroSchema>> SchemaRegistry::Fetch(int32_t id) const {
  return shared_->schemas.Get(id, [&] { return shared_->Fetch(id); });
}

absl::StatusOr<int32_t> SchemaRegistry::Register(const std::string& subject,
                                                 const std::string& schema) const {
  return shared_->ids.Get({subject, schema}, [&] { return shared_->Register(subject, schema); });
}

}  // namespace headway
