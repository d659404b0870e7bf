#ifndef HEADWAY_TESTS_OPERATORS_KAFKA_KAFKA_BROKER_H_
#define HEADWAY_TESTS_OPERATORS_KAFKA_KAFKA_BROKER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "tests/temporary_directory.h"

namespace headway::internal {

// A private Kafka broker on the loopback interface, until it is destroyed. It needs Java and Maven.
class KafkaBroker {
 public:
  // Starts a broker and waits until it answers. Returns null, and says why in `reason`, if there is
  // no Java or Maven.
  static std::unique_ptr<KafkaBroker> Start(std::string* reason);
  // The broker of the test program, which all its tests share; null as above.
  static KafkaBroker* Shared(std::string* reason);
  ~KafkaBroker();

  const std::string& address() const { return address_; }
  // Another address, for clients that use TLS and SASL, and their properties.
  const std::string& secure_address() const { return secure_address_; }
  std::map<std::string, std::string> SecureProperties() const;
  // Ends the broker as a crash does, and starts it again on its files.
  void Kill();
  void StartAgain();

  void CreateTopic(const std::string& topic, int partitions, int message_bytes_max = 1048588);
  void DeleteTopic(const std::string& topic);
  void AddPartitions(const std::string& topic, int partitions);
  // Removes the messages of a partition before the offset, as retention does.
  void DeleteBefore(const std::string& topic, int partition, int64_t offset);
  // The sum of the offsets that a consumer group has committed.
  int64_t CommittedOffsets(const std::string& group, const std::string& topic, int partitions);

 private:
  KafkaBroker() = default;
  void WaitUntilReady();

  TemporaryDirectory directory_;
  std::string address_;
  std::string secure_address_;
  int pid_ = 0;
};

}  // namespace headway::internal

#endif  // HEADWAY_TESTS_OPERATORS_KAFKA_KAFKA_BROKER_H_
