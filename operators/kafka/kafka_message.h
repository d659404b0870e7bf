#ifndef HEADWAY_OPERATORS_KAFKA_KAFKA_MESSAGE_H_
#define HEADWAY_OPERATORS_KAFKA_KAFKA_MESSAGE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace headway {

// A consumed message, as views of the client's memory: valid in the call that receives it.
struct KafkaView {
  std::string_view topic;
  int32_t partition = 0;
  int64_t offset = 0;
  int64_t timestamp_ms = 0;  // of Unix, as the producer or the broker has set it; -1: there is none
  std::optional<std::string_view> key = std::nullopt;
  std::optional<std::string_view> value = std::nullopt;  // nullopt: a tombstone
  std::vector<std::pair<std::string_view, std::string_view>> headers = {};
};

// The same with memory of its own.
struct KafkaMessage {
  std::string topic = {};
  int32_t partition = 0;
  int64_t offset = 0;
  int64_t timestamp_ms = -1;
  std::optional<std::string> key = std::nullopt;
  std::optional<std::string> value = std::nullopt;
  std::vector<std::pair<std::string, std::string>> headers = {};
};

KafkaMessage ToKafkaMessage(const KafkaView& view);

// A message to produce.
struct KafkaRecord {
  std::optional<std::string> key = std::nullopt;
  std::optional<std::string> value = std::nullopt;  // nullopt: a tombstone
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::string topic = {};    // empty: that of the sink
  int32_t partition = -1;    // -1: the partitioner chooses it by the key
  int64_t timestamp_ms = 0;  // of Unix; 0: the time when it is produced
};

}  // namespace headway

#endif  // HEADWAY_OPERATORS_KAFKA_KAFKA_MESSAGE_H_
