#include "operators/kafka_avro/wire_format.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace headway::internal {

absl::StatusOr<int32_t> SchemaIdOf(std::string_view message) {
  if (message.size() < kAvroHeaderBytes) {
    return absl::DataLossError(
        absl::StrCat("the value has ", message.size(),
                     " bytes, and Avro begins with a header of 5: a byte 0, the id of a schema"));
  }
  if (message[0] != 0) {
    return absl::DataLossError(
        absl::StrCat("the value begins with the byte ", static_cast<uint8_t>(message[0]),
                     ", not with the byte 0 of Avro with a schema registry"));
  }
  uint32_t id = 0;
  for (size_t i = 1; i < kAvroHeaderBytes; ++i) id = id << 8 | static_cast<uint8_t>(message[i]);
  return static_cast<int32_t>(id);
}

std::string AvroHeader(int32_t id) {
  std::string header(1, '\0');
  for (int shift = 24; shift >= 0; shift -= 8) {
    header.push_back(static_cast<char>(static_cast<uint32_t>(id) >> shift));
  }
  return header;
}

bool IsAtEnd(AvroReader& in) {
  if (in.left() == 0) return true;
  return in.Malformed(absl::StrCat("the message has ", in.left(), " bytes behind its value"));
}

absl::Status WithSchema(int32_t id, const absl::Status& status) {
  return {status.code(), absl::StrCat("Avro of the schema ", id, ": ", status.message())};
}

absl::Status WithSubject(const std::string& subject, const absl::Status& status) {
  return {status.code(), absl::StrCat("the schema of the subject '", absl::CHexEscape(subject),
                                      "': ", status.message())};
}

}  // namespace headway::internal
