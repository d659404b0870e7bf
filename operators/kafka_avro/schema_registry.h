#ifndef HEADWAY_OPERATORS_KAFKA_AVRO_SCHEMA_REGISTRY_H_
#define HEADWAY_OPERATORS_KAFKA_AVRO_SCHEMA_REGISTRY_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "operators/kafka_avro/avro_schema.h"
#include "operators/kafka_avro/registry_client.h"

namespace headway {

// A schema registry with the interface of Confluent's: Karapace, Apicurio and Redpanda have it too.
// Copies share the schemas that were fetched. Make one, outside of the function that builds the
// dataflow, and give it to all its codecs.
//
// A schema is fetched, and one of a subject registered, once in a process. Both are kept as long as
// a copy of this exists, since ids never change: the memory is that of the schemas that the
// messages name. The caller waits for the reply, with the timeout of the options.
//
// Errors of both functions name the URL: NotFound: no such schema or subject. PermissionDenied: the
// registry refuses the user. InvalidArgument: the options are wrong, or the schema is no Avro.
// Unimplemented: it is not one of Avro, or refers to others. FailedPrecondition: it contradicts
// those of the subject, or the registry refuses the request. Unavailable, DeadlineExceeded: no
// reply. DataLoss: the reply is malformed.
//
// Thread safe.
class SchemaRegistry {
 public:
  explicit SchemaRegistry(SchemaRegistryOptions options);

  absl::StatusOr<std::shared_ptr<const internal::AvroSchema>> Fetch(int32_t id) const;
  // Registers a schema as the newest one of a subject, unless it is there, and returns its id.
  absl::StatusOr<int32_t> Register(const std::string& subject, const std::string& schema) const;

 private:
  struct Shared;

  std::shared_ptr<Shared> shared_;
};

}  // namespace headway

#endif  // HEADWAY_OPERATORS_KAFKA_AVRO_SCHEMA_REGISTRY_H_
