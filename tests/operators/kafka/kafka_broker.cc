#include "tests/operators/kafka/kafka_broker.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "operators/kafka/kafka_client.h"

namespace headway::internal {
namespace {

const char* const kJars = HEADWAY_SOURCE_DIR "/build/kafka";

int FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  socklen_t size = sizeof address;
  REQUIRE(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  close(fd);
  return ntohs(address.sin_port);
}

// A client for administration.
std::unique_ptr<KafkaClient> Client(const std::string& address) {
  auto client = KafkaClient::Open(KafkaRole::kProducer, {{"bootstrap.servers", address}});
  REQUIRE(client.ok());
  return *std::move(client);
}

// Waits for the answer of an administrative call.
void Await(rd_kafka_queue_t* queue) {
  rd_kafka_event_t* const event = rd_kafka_queue_poll(queue, 60'000);
  REQUIRE(event != nullptr);
  CHECK(rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR);
  rd_kafka_event_destroy(event);
  rd_kafka_queue_destroy(queue);
}

}  // namespace

std::unique_ptr<KafkaBroker> KafkaBroker::Start(std::string* reason) {
  for (const char* program : {"java", "mvn"}) {
    if (std::system(absl::StrCat("command -v ", program, " >/dev/null").c_str()) == 0) continue;
    *reason = absl::StrCat("there is no ", program, ": install default-jre-headless and maven");
    return nullptr;
  }
  const std::string fetch =
      absl::StrCat("'" HEADWAY_SOURCE_DIR "/scripts/kafka-jars' '", kJars, "' >&2");
  if (std::system(fetch.c_str()) != 0) {
    *reason = "Maven cannot fetch the broker (see above)";
    return nullptr;
  }
  std::unique_ptr<KafkaBroker> broker(new KafkaBroker());
  const int port = FreePort();
  const int controller = FreePort();
  broker->address_ = absl::StrCat("127.0.0.1:", port);
  broker->secure_address_ = absl::StrCat("127.0.0.1:", FreePort());
  const std::string at = broker->address_;
  const std::string secure = broker->secure_address_;
  REQUIRE(std::system(absl::StrCat("cd ", broker->directory_.path(),
                                   " && openssl req -x509 -newkey ec -pkeyopt "
                                   "ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=broker "
                                   "-addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out "
                                   "certificate.pem 2>output && cat key.pem certificate.pem "
                                   ">both.pem")
                          .c_str()) == 0);
  broker->directory_.Write(
      "server.properties",
      absl::StrCat(
          "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:",
          controller, "\nlisteners=PLAINTEXT://", at, ",SASL_SSL://", secure,
          ",CONTROLLER://127.0.0.1:", controller, "\nadvertised.listeners=PLAINTEXT://", at,
          ",SASL_SSL://", secure,
          "\ncontroller.listener.names=CONTROLLER\n"
          "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,"
          "CONTROLLER:PLAINTEXT\n"
          "ssl.keystore.type=PEM\nssl.keystore.location=",
          broker->directory_ / "both.pem",
          "\nsasl.enabled.mechanisms=SCRAM-SHA-256\n"
          "listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config="
          "org.apache.kafka.common.security.scram.ScramLoginModule required;\n"
          "inter.broker.listener.name=PLAINTEXT\nlog.dirs=",
          broker->directory_ / "logs",
          "\noffsets.topic.replication.factor=1\noffsets.topic.num.partitions=4\n"
          "transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n"
          "transaction.state.log.num.partitions=4\ngroup.initial.rebalance.delay.ms=0\n"
          "num.network.threads=2\nnum.io.threads=2\nlog.cleaner.enable=false\n"
          // Messages of tests are of any time, and removed by tests alone.
          "log.retention.ms=-1\n"
          "auto.create.topics.enable=false\nmessage.max.bytes=1048588\n"));
  REQUIRE(
      std::system(absl::StrCat("cd ", broker->directory_.path(), " && java -Xmx256m -cp '", kJars,
                               "/lib/*' kafka.tools.StorageTool format -t "
                               "AAAAAAAAAAAAAAAAAAAAAQ -c server.properties --add-scram "
                               "'SCRAM-SHA-256=[name=headway,password=secret]' >output 2>&1")
                      .c_str()) == 0);
  broker->StartAgain();
  return broker;
}

std::map<std::string, std::string> KafkaBroker::SecureProperties() const {
  return {{"security.protocol", "sasl_ssl"},
          {"ssl.ca.location", directory_ / "certificate.pem"},
          {"sasl.mechanism", "SCRAM-SHA-256"},
          {"sasl.username", "headway"},
          {"sasl.password", "secret"}};
}

KafkaBroker* KafkaBroker::Shared(std::string* reason) {
  static std::string why;
  static const std::unique_ptr<KafkaBroker> broker = Start(&why);
  *reason = why;
  return broker.get();
}

KafkaBroker::~KafkaBroker() { Kill(); }

void KafkaBroker::Kill() {
  if (pid_ == 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = 0;
}

void KafkaBroker::StartAgain() {
  pid_ = fork();
  REQUIRE(pid_ >= 0);
  if (pid_ == 0) {
    const int output = open((directory_ / "output").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    dup2(output, 1);
    dup2(output, 2);
    for (int fd = 3; fd < 1024; ++fd) close(fd);
    const std::string jars = absl::StrCat(kJars, "/lib/*");
    const std::string properties = directory_ / "server.properties";
    execlp("java", "java", "-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
           "-cp", jars.c_str(), "kafka.Kafka", properties.c_str(), nullptr);
    _exit(127);
  }
  WaitUntilReady();
}

void KafkaBroker::WaitUntilReady() {
  const std::unique_ptr<KafkaClient> client = Client(address_);
  for (int i = 0; i < 120; ++i) {
    const rd_kafka_metadata_t* metadata = nullptr;
    if (rd_kafka_metadata(client->handle(), 1, nullptr, &metadata, 1000) ==
        RD_KAFKA_RESP_ERR_NO_ERROR) {
      rd_kafka_metadata_destroy(metadata);
      return;
    }
  }
  FAIL("the broker does not answer: " << directory_.Read("output"));
}

void KafkaBroker::CreateTopic(const std::string& topic, int partitions, int message_bytes_max) {
  const std::unique_ptr<KafkaClient> client = Client(address_);
  rd_kafka_queue_t* const queue = rd_kafka_queue_new(client->handle());
  rd_kafka_NewTopic_t* created = rd_kafka_NewTopic_new(topic.c_str(), partitions, 1, nullptr, 0);
  rd_kafka_NewTopic_set_config(created, "max.message.bytes",
                               std::to_string(message_bytes_max).c_str());
  rd_kafka_CreateTopics(client->handle(), &created, 1, nullptr, queue);
  Await(queue);
  rd_kafka_NewTopic_destroy(created);
}

void KafkaBroker::DeleteTopic(const std::string& topic) {
  const std::unique_ptr<KafkaClient> client = Client(address_);
  rd_kafka_queue_t* const queue = rd_kafka_queue_new(client->handle());
  rd_kafka_DeleteTopic_t* deleted = rd_kafka_DeleteTopic_new(topic.c_str());
  rd_kafka_DeleteTopics(client->handle(), &deleted, 1, nullptr, queue);
  Await(queue);
  rd_kafka_DeleteTopic_destroy(deleted);
}

void KafkaBroker::AddPartitions(const std::string& topic, int partitions) {
  const std::unique_ptr<KafkaClient> client = Client(address_);
  rd_kafka_queue_t* const queue = rd_kafka_queue_new(client->handle());
  rd_kafka_NewPartitions_t* added =
      rd_kafka_NewPartitions_new(topic.c_str(), static_cast<size_t>(partitions), nullptr, 0);
  rd_kafka_CreatePartitions(client->handle(), &added, 1, nullptr, queue);
  Await(queue);
  rd_kafka_NewPartitions_destroy(added);
}

void KafkaBroker::DeleteBefore(const std::string& topic, int partition, int64_t offset) {
  const std::unique_ptr<KafkaClient> client = Client(address_);
  rd_kafka_queue_t* const queue = rd_kafka_queue_new(client->handle());
  rd_kafka_topic_partition_list_t* const offsets = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(offsets, topic.c_str(), partition)->offset = offset;
  rd_kafka_DeleteRecords_t* deletion = rd_kafka_DeleteRecords_new(offsets);
  rd_kafka_topic_partition_list_destroy(offsets);
  rd_kafka_DeleteRecords(client->handle(), &deletion, 1, nullptr, queue);
  Await(queue);
  rd_kafka_DeleteRecords_destroy(deletion);
}

int64_t KafkaBroker::CommittedOffsets(const std::string& group, const std::string& topic,
                                      int partitions) {
  auto client = KafkaClient::Open(KafkaRole::kConsumer,
                                  {{"bootstrap.servers", address_}, {"group.id", group}});
  REQUIRE(client.ok());
  rd_kafka_topic_partition_list_t* const offsets = rd_kafka_topic_partition_list_new(partitions);
  rd_kafka_topic_partition_list_add_range(offsets, topic.c_str(), 0, partitions - 1);
  CHECK(rd_kafka_committed((*client)->handle(), offsets, 60'000) == RD_KAFKA_RESP_ERR_NO_ERROR);
  int64_t sum = 0;
  for (int i = 0; i < partitions; ++i) sum += offsets->elems[i].offset;
  rd_kafka_topic_partition_list_destroy(offsets);
  return sum;
}

}  // namespace headway::internal
