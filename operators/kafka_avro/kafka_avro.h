#ifndef HEADWAY_OPERATORS_KAFKA_AVRO_KAFKA_AVRO_H_
#define HEADWAY_OPERATORS_KAFKA_AVRO_KAFKA_AVRO_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "comm/codec/shapes.h"
#include "engine/runtime/status_macros.h"
#include "operators/kafka/kafka_message.h"
#include "operators/kafka_avro/avro_plan.h"
#include "operators/kafka_avro/avro_reader.h"
#include "operators/kafka_avro/avro_type.h"
#include "operators/kafka_avro/avro_value.h"
#include "operators/kafka_avro/avro_writer.h"
#include "operators/kafka_avro/schema_registry.h"
#include "operators/kafka_avro/wire_format.h"

namespace headway {

namespace internal {

// T, or the type in an optional.
template <class T>
struct AvroRecordOf {
  using Type = T;
};
template <OptionalLike T>
struct AvroRecordOf<T> {
  using Type = typename T::value_type;
};

}  // namespace internal

// The function of a KafkaSource whose messages are Avro in the wire format of a schema registry: a
// byte 0, the id of the schema in 4 bytes, and the value in Avro's binary encoding.
//
//   const SchemaRegistry registry({.url = "http://registry:8081"});
//   KafkaSource({.brokers = "kafka:9092", .topics = {"trades"}}, KafkaAvro<Trade>(registry))
//
// The record is a struct with HEADWAY_COLUMNS, whose members have the types of avro_type.h. The
// schema of a message is resolved to it by the names of the fields: those that the struct lacks are
// skipped, a column that the schema lacks must be a std::optional. A message without a value, a
// tombstone, is an error, but for a std::optional<Record>, which has no value then.
//
// A schema is fetched at its first message, while the worker waits, and resolved once; a message
// costs no look-up of a name and no allocation but those of its record. Errors: those of
// SchemaRegistry. DataLoss: the message is damaged. InvalidArgument: the schema or a value does not
// fit the record; names the field. Memory is bounded by the size of a message, also if it is
// hostile. A copy belongs to one thread.
template <class T>
class KafkaAvro {
  using Record = typename internal::AvroRecordOf<T>::Type;
  static constexpr bool kReads = internal::IsColumnRecord<internal::AvroTypes, Record>();
  static_assert(kReads,
                "KafkaAvro: write HEADWAY_COLUMNS(Type, members...) behind the record's struct, "
                "with members of the types of avro_type.h");

 public:
  explicit KafkaAvro(SchemaRegistry registry) : registry_(std::move(registry)) {}
  // A copy resolves schemas of its own.
  KafkaAvro(const KafkaAvro& other) : registry_(other.registry_) {}
  KafkaAvro& operator=(const KafkaAvro&) = delete;

  absl::StatusOr<T> operator()(const KafkaView& message) {
    T record{};
    if constexpr (internal::OptionalLike<T>) {
      if (message.value.has_value())
        HEADWAY_RETURN_IF_ERROR(Read(*message.value, record.emplace()));
    } else {
      if (!message.value.has_value()) {
        return absl::InvalidArgumentError("the message has no value, and Avro is expected");
      }
      HEADWAY_RETURN_IF_ERROR(Read(*message.value, record));
    }
    return record;
  }

 private:
  absl::Status Read(std::string_view message, Record& record) {
    if constexpr (kReads) {
      const absl::StatusOr<int32_t> id = internal::SchemaIdOf(message);
      if (!id.ok()) return id.status();
      if (*id != last_id_ || last_plan_ == nullptr) HEADWAY_RETURN_IF_ERROR(FindPlan(*id));
      internal::AvroReader in(message.substr(internal::kAvroHeaderBytes));
      const internal::AvroPlan& plan = last_plan_->plan;
      if (internal::ReadAvro(in, plan, record) && internal::IsAtEnd(in)) return absl::OkStatus();
      return internal::WithSchema(*id, in.status());
    }
    return absl::OkStatus();
  }

  absl::Status FindPlan(int32_t id) {
    auto found = plans_.find(id);
    if (found == plans_.end()) {
      auto schema = registry_.Fetch(id);
      if (!schema.ok()) return schema.status();
      auto plan = internal::ResolveAvro(internal::AvroDirection::kRead,
                                        internal::ColumnFieldOf<internal::AvroTypes, Record>(""),
                                        *std::move(schema));
      if (!plan.ok()) return internal::WithSchema(id, plan.status());
      found =
          plans_.emplace(id, std::make_unique<internal::AvroRecordPlan>(*std::move(plan))).first;
    }
    last_id_ = id;
    last_plan_ = found->second.get();
    return absl::OkStatus();
  }

  SchemaRegistry registry_;
  absl::flat_hash_map<int32_t, std::unique_ptr<internal::AvroRecordPlan>> plans_;
  int32_t last_id_ = 0;
  const internal::AvroRecordPlan* last_plan_ = nullptr;
};

// Makes the values of messages that KafkaAvro, or any other consumer of the registry, reads. Call
// one in the function of a sink:
//
//   KafkaSink({.brokers = "kafka:9092", .topic = "trades"},
//             [encode = KafkaAvroEncoder<Trade>(registry, "trades-value")](
//                 const Trade& trade) mutable -> absl::StatusOr<KafkaRecord> {
//               absl::StatusOr<std::string> value = encode(trade);
//               if (!value.ok()) return value.status();
//               return KafkaRecord{.key = trade.symbol, .value = *std::move(value)};
//             })
//
// The subject of a topic's values is "<topic>-value" by convention. The schema is a record of the
// columns in their order, with null first in the union of an optional one; its name is that of the
// subject.
//
// A schema that is given must have exactly the fields that are columns, in any order. Their types
// must take all values of the members. A std::string is also written as bytes, a fixed or an enum,
// and a time as a timestamp of finer units. A value that its int, enum or fixed cannot have is an
// error.
//
// The schema is registered when the first record is encoded, while the worker waits. Errors: those
// of SchemaRegistry. InvalidArgument: the schema or a value does not fit; names the field. A copy
// belongs to one thread.
template <class Record>
class KafkaAvroEncoder {
  static constexpr bool kWrites = internal::IsColumnRecord<internal::AvroTypes, Record>();
  static_assert(kWrites,
                "KafkaAvroEncoder: write HEADWAY_COLUMNS(Type, members...) behind the record's "
                "struct, with members of the types of avro_type.h");

 public:
  KafkaAvroEncoder(SchemaRegistry registry, std::string subject)
      : KafkaAvroEncoder(std::move(registry), std::move(subject), "") {
    if constexpr (kWrites)
      schema_ =
          internal::AvroSchemaText(internal::ColumnFieldOf<internal::AvroTypes, Record>(subject_));
  }
  KafkaAvroEncoder(SchemaRegistry registry, std::string subject, std::string schema)
      : registry_(std::move(registry)), subject_(std::move(subject)), schema_(std::move(schema)) {}

  absl::StatusOr<std::string> operator()(const Record& record) {
    if constexpr (kWrites) {
      if (!plan_.has_value()) HEADWAY_RETURN_IF_ERROR(Register());
      internal::AvroWriter out(internal::AvroHeader(id_));
      if (internal::WriteAvro(out, plan_->plan, record)) return out.Take();
      return internal::WithSubject(subject_, out.status());
    }
    return std::string();
  }

 private:
  absl::Status Register() {
    auto schema = internal::AvroSchema::Parse(schema_);
    if (!schema.ok()) return internal::WithSubject(subject_, schema.status());
    auto plan = internal::ResolveAvro(internal::AvroDirection::kWrite,
                                      internal::ColumnFieldOf<internal::AvroTypes, Record>(""),
                                      *std::move(schema));
    if (!plan.ok()) return internal::WithSubject(subject_, plan.status());
    const absl::StatusOr<int32_t> id = registry_.Register(subject_, schema_);
    if (!id.ok()) return id.status();
    id_ = *id;
    plan_ = *std::move(plan);
    return absl::OkStatus();
  }

  SchemaRegistry registry_;
  std::string subject_;
  std::string schema_;
  int32_t id_ = 0;
  std::optional<internal::AvroRecordPlan> plan_;  // none: the schema is not registered yet
};

}  // namespace headway

#endif  // HEADWAY_OPERATORS_KAFKA_AVRO_KAFKA_AVRO_H_
