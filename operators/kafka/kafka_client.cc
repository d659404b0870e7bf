#include "operators/kafka/kafka_client.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <cstdint>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "check.h"
#include "operators/kafka/kafka_message.h"

namespace headway {

KafkaMessage ToKafkaMessage(const KafkaView& view) {
  KafkaMessage message{.topic = std::string(view.topic),
                       .partition = view.partition,
                       .offset = view.offset,
                       .timestamp_ms = view.timestamp_ms};
  if (view.key.has_value()) message.key.emplace(*view.key);
  if (view.value.has_value()) message.value.emplace(*view.value);
  message.headers.assign(view.headers.begin(), view.headers.end());
  return message;
}

namespace internal {

struct KafkaCallbacks {
  static KafkaClient& Of(void* opaque) { return *static_cast<KafkaClient*>(opaque); }

  static void Delivered(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
    KafkaClient& client = Of(opaque);
    ++client.acknowledged_;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR || !client.failure_.ok()) return;
    if (message->err == RD_KAFKA_RESP_ERR__PURGE_QUEUE ||
        message->err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT) {
      return;  // given up with its transaction, which has failed for another reason
    }
    client.failure_ = client.WithRefusal(
        message->err, absl::StrCat("a message to the topic '",
                                   message->rkt == nullptr ? "" : rd_kafka_topic_name(message->rkt),
                                   "' was not delivered"));
  }
  // All but fatal errors are passing: the client connects again by itself.
  static void Failed(rd_kafka_t* handle, int code, const char* reason, void* opaque) {
    KafkaClient& client = Of(opaque);
    if (code == RD_KAFKA_RESP_ERR__AUTHENTICATION || code == RD_KAFKA_RESP_ERR__SSL) {
      client.refusal_ = KafkaError(code, reason);
    }
    if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
        code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION) {
      client.misses_partitions_ = true;
    }
    if (code != RD_KAFKA_RESP_ERR__FATAL) return;
    char text[512];
    const rd_kafka_resp_err_t error = rd_kafka_fatal_error(handle, text, sizeof text);
    if (client.failure_.ok()) client.failure_ = KafkaError(error, text[0] == 0 ? reason : text);
  }
  static void Woken(rd_kafka_t*, void* opaque) { Of(opaque).activator_.Activate(); }
};

absl::Status KafkaError(int code, std::string_view context) {
  const auto error = static_cast<rd_kafka_resp_err_t>(code);
  const std::string text =
      absl::StrCat("Kafka: ", absl::string_view(context.data(), context.size()), ": ",
                   rd_kafka_err2str(error), " (", rd_kafka_err2name(error), ")");
  switch (error) {
    case RD_KAFKA_RESP_ERR__FENCED:
    case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
    case RD_KAFKA_RESP_ERR_PRODUCER_FENCED:
      return absl::FailedPreconditionError(
          absl::StrCat(text,
                       "; a later run has taken over, or a transaction was longer than "
                       "transaction.timeout.ms: resume the run, which publishes it again"));
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
      return absl::NotFoundError(text);
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
      return absl::ResourceExhaustedError(text);
    case RD_KAFKA_RESP_ERR__INVALID_ARG:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
      return absl::InvalidArgumentError(text);
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR__SSL:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
      return absl::PermissionDeniedError(text);
    default:
      return absl::UnavailableError(text);
  }
}

absl::StatusOr<std::unique_ptr<KafkaClient>> KafkaClient::Open(KafkaRole role,
                                                               const KafkaProperties& properties) {
  const auto brokers = properties.find("bootstrap.servers");
  if (brokers != properties.end() && brokers->second.empty()) {
    return absl::InvalidArgumentError("Kafka: `brokers` is empty; name some, as host:port");
  }
  std::unique_ptr<KafkaClient> client(new KafkaClient());
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  char text[512];
  for (const auto& [name, value] : properties) {
    if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), text, sizeof text) ==
        RD_KAFKA_CONF_OK) {
      continue;
    }
    rd_kafka_conf_destroy(conf);
    return absl::InvalidArgumentError(absl::StrCat("Kafka: ", text));
  }
  rd_kafka_conf_set_opaque(conf, client.get());
  rd_kafka_conf_set_error_cb(conf, &KafkaCallbacks::Failed);
  if (role == KafkaRole::kProducer) rd_kafka_conf_set_dr_msg_cb(conf, &KafkaCallbacks::Delivered);
  rd_kafka_conf_set_log_cb(conf, nullptr);
  client->handle_ =
      rd_kafka_new(role == KafkaRole::kProducer ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER, conf, text,
                   sizeof text);
  if (client->handle_ == nullptr) {
    rd_kafka_conf_destroy(conf);
    return absl::InvalidArgumentError(absl::StrCat("Kafka: ", text));
  }
  client->main_queue_ = rd_kafka_queue_get_main(client->handle_);
  return client;
}

KafkaClient::~KafkaClient() {
  if (main_queue_ != nullptr) {
    rd_kafka_queue_cb_event_enable(main_queue_, nullptr, nullptr);
    rd_kafka_queue_destroy(main_queue_);
  }
  if (handle_ == nullptr) return;
  // Messages that nobody waits for any more are not sent; a transaction that is open is fenced by
  // the next producer of its id.
  if (rd_kafka_type(handle_) == RD_KAFKA_PRODUCER) {
    rd_kafka_purge(handle_, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  }
  rd_kafka_destroy_flags(handle_, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

int64_t KafkaClient::IntegerProperty(const char* name) const {
  char text[32];
  size_t size = sizeof text;
  int64_t value = 0;
  const bool known =
      rd_kafka_conf_get(rd_kafka_conf(handle_), name, text, &size) == RD_KAFKA_CONF_OK &&
      absl::SimpleAtoi(text, &value);
  HEADWAY_CHECK(known);
  return value;
}

void KafkaClient::WakeBy(const ThreadActivator& activator) {
  activator_ = activator;
  rd_kafka_queue_cb_event_enable(main_queue_, &KafkaCallbacks::Woken, this);
}

void KafkaClient::Serve() {
  while (rd_kafka_poll(handle_, 0) > 0) {
  }
}

absl::Status KafkaClient::ErrorOf(int code, std::string_view context) {
  Serve();
  return WithRefusal(code, context);
}

absl::Status KafkaClient::WithRefusal(int code, std::string_view context) const {
  absl::Status status = KafkaError(code, context);
  if (refusal_.ok() || !absl::IsUnavailable(status)) return status;
  return absl::Status(
      refusal_.code(),
      absl::StrCat(status.message(), "; the brokers refuse the client: ", refusal_.message()));
}

void KafkaClient::ForgetDeliveries() {
  acknowledged_ = produced_;
  failure_ = absl::OkStatus();
}

int KafkaTimeout(absl::Duration timeout) {
  return static_cast<int>(std::clamp<int64_t>(absl::ToInt64Milliseconds(timeout), 1, 1 << 30));
}

}  // namespace internal

}  // namespace headway
