// expect: KafkaAvro: write HEADWAY_COLUMNS(Type, members...) behind the record's struct
#include <string>

#include "operators/kafka_avro/kafka_avro.h"

struct Trade {
  std::string symbol;
};

headway::KafkaAvro<Trade> Trades(const headway::SchemaRegistry& registry) {
  return headway::KafkaAvro<Trade>(registry);
}
