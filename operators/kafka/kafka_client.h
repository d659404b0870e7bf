#ifndef HEADWAY_OPERATORS_KAFKA_KAFKA_CLIENT_H_
#define HEADWAY_OPERATORS_KAFKA_KAFKA_CLIENT_H_

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine/step/activator.h"

struct rd_kafka_s;
struct rd_kafka_queue_s;

namespace headway {

// Properties of librdkafka by their names: security.protocol, sasl.username, fetch.wait.max.ms.
using KafkaProperties = std::map<std::string, std::string>;

namespace internal {

enum class KafkaRole { kConsumer, kProducer };

// A client of librdkafka, and the delivery reports of a producer. A failure that no call returns is
// kept for `failure`. Thread safe as librdkafka is; the counters belong to the thread that calls
// Serve.
class KafkaClient {
 public:
  // InvalidArgument: a property that librdkafka refuses.
  static absl::StatusOr<std::unique_ptr<KafkaClient>> Open(KafkaRole role,
                                                           const KafkaProperties& properties);
  ~KafkaClient();
  KafkaClient(const KafkaClient&) = delete;
  KafkaClient& operator=(const KafkaClient&) = delete;

  rd_kafka_s* handle() const { return handle_; }
  // The value of a property of librdkafka that is a number. REQUIRES: there is such a property.
  int64_t IntegerProperty(const char* name) const;

  // Wakes the step when there is something to serve.
  void WakeBy(const ThreadActivator& activator);
  // Runs callbacks: delivery reports, errors, tokens.
  void Serve();
  // The brokers have refused the client, as Serve has seen.
  bool is_refused() const { return !refusal_.ok(); }
  // The brokers have said that they do not know a topic or partition that is read, as Serve has
  // seen. They may say so for a moment when they start.
  bool misses_partitions() const { return misses_partitions_; }
  void ForgetMissing() { misses_partitions_ = false; }
  // A status for the error code of a call that waited for the brokers: with the reason, if they
  // refused the client.
  absl::Status ErrorOf(int code, std::string_view context);
  // The first failure of a delivery, or a fatal one of the client.
  absl::Status failure() const { return failure_; }
  int64_t unacknowledged() const { return produced_ - acknowledged_; }
  void CountProduced() { ++produced_; }
  // Forgets the messages that are under way: they were given up with their transaction.
  void ForgetDeliveries();

 private:
  friend struct KafkaCallbacks;

  KafkaClient() = default;
  absl::Status WithRefusal(int code, std::string_view context) const;

  rd_kafka_s* handle_ = nullptr;
  rd_kafka_queue_s* main_queue_ = nullptr;
  ThreadActivator activator_;
  absl::Status failure_;
  absl::Status refusal_;  // the last one by the brokers, of TLS or SASL
  bool misses_partitions_ = false;
  int64_t produced_ = 0;
  int64_t acknowledged_ = 0;
};

// A status for an error code of librdkafka: "context: reason".
absl::Status KafkaError(int code, std::string_view context);

// A timeout as librdkafka takes it: whole milliseconds, at least one.
int KafkaTimeout(absl::Duration timeout);

}  // namespace internal

}  // namespace headway

#endif  // HEADWAY_OPERATORS_KAFKA_KAFKA_CLIENT_H_
