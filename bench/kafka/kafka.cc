// `headway-kafka ROW BROKERS`: a dataflow between topics of Kafka in alternation with a bare loop
// of librdkafka that does the same work.
//
//   count         keyed count of a topic, with one worker
//   copy          from topic to topic, changed on the way, at least once
//   exactly-once  the same with TransactionalKafkaSink, a recovery store and epochs of 1 s; the
//                 bare loop has no transactions
//   lag           the age of messages when a consumer gets the copy, at least once, at --rate
//
// Topics are made for the run. The brokers and their disks are a part of each time.

#include <librdkafka/rdkafka.h>
#include <stdlib.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "headway.h"
#include "operators/kafka/kafka_sink.h"
#include "operators/kafka/kafka_source.h"

namespace headway::bench {
namespace {

constexpr int kPartitions = 8;
constexpr int kKeys = 1000;
constexpr size_t kBatch = 1000;

struct Options {
  std::string brokers;
  int64_t records = 2'000'000;
  int64_t bytes = 100;  // of a value
  int64_t pairs = 5;
  int64_t rate = 100'000;  // messages a second of the row `lag`
  int64_t seconds = 5;     // of a run of `lag`
};

int64_t Nanos() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void Require(bool holds, std::string_view what) {
  if (holds) return;
  std::fprintf(stderr, "headway-kafka: %.*s failed\n", static_cast<int>(what.size()), what.data());
  std::exit(1);
}
void Require(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "headway-kafka: %s\n", std::string(status.message()).c_str());
  std::exit(1);
}

struct DestroyClient {
  void operator()(rd_kafka_t* client) const { rd_kafka_destroy(client); }
};
using Client = std::unique_ptr<rd_kafka_t, DestroyClient>;

Client Open(rd_kafka_type_t type, const Options& options) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  auto set = [conf](const char* name, const std::string& value) {
    Require(rd_kafka_conf_set(conf, name, value.c_str(), nullptr, 0) == RD_KAFKA_CONF_OK, name);
  };
  set("bootstrap.servers", options.brokers);
  if (type == RD_KAFKA_PRODUCER) {
    set("enable.idempotence", "true");
    set("linger.ms", "5");
    set("partitioner", "murmur2_random");
    rd_kafka_conf_set_dr_msg_cb(conf, [](rd_kafka_t*, const rd_kafka_message_t* message, void*) {
      Require(message->err == RD_KAFKA_RESP_ERR_NO_ERROR, "a delivery");
    });
  } else {
    set("group.id", "headway-kafka");
    set("enable.auto.commit", "false");
    // A partition whose queue is full pauses for up to a second: the loop is not to wait for that.
    set("queued.min.messages", "10000000");
    set("queued.max.messages.kbytes", "2000000");
  }
  return Client(rd_kafka_new(type, conf, nullptr, 0));
}

// Topics of one run of the program.
std::string MakeTopic(const Options& options) {
  static int made = 0;
  const std::string name = absl::StrCat("headway-bench-", Nanos(), "-", made++);
  const Client client = Open(RD_KAFKA_PRODUCER, options);
  rd_kafka_queue_t* const queue = rd_kafka_queue_new(client.get());
  rd_kafka_NewTopic_t* topic = rd_kafka_NewTopic_new(name.c_str(), kPartitions, 1, nullptr, 0);
  rd_kafka_CreateTopics(client.get(), &topic, 1, nullptr, queue);
  rd_kafka_event_t* const answer = rd_kafka_queue_poll(queue, 30'000);
  Require(answer != nullptr && rd_kafka_event_error(answer) == RD_KAFKA_RESP_ERR_NO_ERROR,
          "the creation of a topic");
  rd_kafka_event_destroy(answer);
  rd_kafka_NewTopic_destroy(topic);
  rd_kafka_queue_destroy(queue);
  return name;
}

// Waits while the producer's queue is full.
void Produce(rd_kafka_t* producer, const std::string& topic, std::string_view key,
             std::string_view value) {
  std::array<rd_kafka_vu_t, 4> arguments = {};
  arguments[0].vtype = RD_KAFKA_VTYPE_TOPIC;
  arguments[0].u.cstr = topic.c_str();
  arguments[1].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
  arguments[1].u.i = RD_KAFKA_MSG_F_COPY;
  arguments[2].vtype = RD_KAFKA_VTYPE_KEY;
  arguments[2].u.mem = {const_cast<char*>(key.data()), key.size()};
  arguments[3].vtype = RD_KAFKA_VTYPE_VALUE;
  arguments[3].u.mem = {const_cast<char*>(value.data()), value.size()};
  while (true) {
    rd_kafka_error_t* const refused =
        rd_kafka_produceva(producer, arguments.data(), arguments.size());
    const rd_kafka_resp_err_t error = rd_kafka_error_code(refused);
    rd_kafka_error_destroy(refused);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return;
    Require(error == RD_KAFKA_RESP_ERR__QUEUE_FULL, "producing");
    rd_kafka_poll(producer, 10);
  }
}

void Fill(const Options& options, const std::string& topic) {
  const Client producer = Open(RD_KAFKA_PRODUCER, options);
  const std::string value(static_cast<size_t>(options.bytes), 'v');
  for (int64_t i = 0; i < options.records; ++i) {
    Produce(producer.get(), topic, std::to_string(i % kKeys), value);
    if (i % 1000 == 0) rd_kafka_poll(producer.get(), 0);
  }
  Require(rd_kafka_flush(producer.get(), 60'000) == RD_KAFKA_RESP_ERR_NO_ERROR, "the last flush");
}

// Calls f(message) for the messages of a topic, until goes_on() is false or there were
// `options.records`, if it stops at the end: the client tells of an end half a second later.
template <class F, class GoesOn>
void Consume(const Options& options, const std::string& topic, bool stops_at_end, F f,
             GoesOn goes_on) {
  const Client consumer = Open(RD_KAFKA_CONSUMER, options);
  rd_kafka_topic_partition_list_t* const list = rd_kafka_topic_partition_list_new(kPartitions);
  for (int p = 0; p < kPartitions; ++p) {
    rd_kafka_topic_partition_list_add(list, topic.c_str(), p)->offset = RD_KAFKA_OFFSET_BEGINNING;
  }
  Require(rd_kafka_assign(consumer.get(), list) == RD_KAFKA_RESP_ERR_NO_ERROR, "assigning");
  rd_kafka_topic_partition_list_destroy(list);
  rd_kafka_queue_t* const queue = rd_kafka_queue_get_consumer(consumer.get());
  std::vector<rd_kafka_message_t*> messages(kBatch);
  int64_t seen = 0;
  while (!(stops_at_end && seen == options.records) && goes_on()) {
    const ssize_t count = rd_kafka_consume_batch_queue(queue, 1, messages.data(), kBatch);
    for (ssize_t i = 0; i < count; ++i) {
      rd_kafka_message_t* const message = messages[static_cast<size_t>(i)];
      if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        f(*message);
        ++seen;
      }
      rd_kafka_message_destroy(message);
    }
  }
  rd_kafka_queue_destroy(queue);
  rd_kafka_consumer_close(consumer.get());
}

std::string_view KeyOf(const rd_kafka_message_t& message) {
  return {static_cast<const char*>(message.key), message.key_len};
}
std::string_view ValueOf(const rd_kafka_message_t& message) {
  return {static_cast<const char*>(message.payload), message.len};
}

bool Always() { return true; }

// The change of a message on its way; `lag` has its time in the first bytes.
void Change(std::string& value) { value.back() = 'w'; }

void BareCount(const Options& options, const std::string& topic) {
  absl::flat_hash_map<std::string, int64_t> counts;
  Consume(
      options, topic, true,
      [&](const rd_kafka_message_t& message) {
        ++counts[absl::string_view(KeyOf(message).data(), KeyOf(message).size())];
      },
      &Always);
  Require(counts.size() == kKeys, "the bare count");
}

template <class GoesOn>
void BareCopy(const Options& options, const std::string& from, const std::string& to,
              bool stops_at_end, GoesOn goes_on) {
  const Client producer = Open(RD_KAFKA_PRODUCER, options);
  std::string value;
  Consume(
      options, from, stops_at_end,
      [&](const rd_kafka_message_t& message) {
        value = ValueOf(message);
        Change(value);
        Produce(producer.get(), to, KeyOf(message), value);
      },
      [&] {
        rd_kafka_poll(producer.get(), 0);
        return goes_on();
      });
  Require(rd_kafka_flush(producer.get(), 60'000) == RD_KAFKA_RESP_ERR_NO_ERROR, "the last flush");
}

KafkaSourceOptions From(const Options& options, const std::string& topic, bool stops_at_end) {
  return {.brokers = options.brokers, .topics = {topic}, .stops_at_end = stops_at_end};
}

void Count(const Options& options, const std::string& topic) {
  std::atomic<int> keys = 0;
  Require(RunMain(Dataflow("count", [&](Scope<>& scope) {
    scope.Input("topic", KafkaSource(From(options, topic, true),
                                     [](const KafkaView& message) {
                                       return std::string(message.key.value());
                                     })) |
        CountFinal("count") | Output("out", CallbackSink([&](const auto&) { ++keys; }));
  })));
  Require(keys == kKeys, "the count");
}

template <class Sink>
absl::Status Copy(const KafkaSourceOptions& from, Sink sink, RunOptions run) {
  run.epoch_config = PeriodicEpochConfig{absl::Seconds(1)};
  return RunMain(Dataflow("copy",
                          [&](Scope<>& scope) {
                            scope.Input("in", KafkaSource(from,
                                                          [](const KafkaView& message) {
                                                            KafkaRecord record;
                                                            record.key.emplace(*message.key);
                                                            record.value.emplace(*message.value);
                                                            return record;
                                                          })) |
                                Map("change",
                                    [](KafkaRecord record) {
                                      Change(*record.value);
                                      return record;
                                    }) |
                                Output("out", std::move(sink));
                          }),
                 run);
}

KafkaSinkOptions To(const Options& options, const std::string& topic) {
  return {.brokers = options.brokers, .topic = topic};
}

const KafkaRecord& AsItIs(const KafkaRecord& record) { return record; }

void CopyExactlyOnce(const Options& options, const std::string& from, const std::string& to) {
  std::string directory = std::filesystem::temp_directory_path() / "headway-kafka-XXXXXX";
  Require(mkdtemp(directory.data()) != nullptr, "making a directory for the store");
  RunOptions run;
  run.recovery_config = RecoveryConfig{.store = StoreInDirectory(directory)};
  Require(Copy(From(options, from, true), TransactionalKafkaSink(To(options, to), &AsItIs), run));
  std::filesystem::remove_all(directory);
}

// The 99th percentile of the ages in milliseconds, while `copy(from, to, stop)` runs.
template <class CopyFn>
double Lag(const Options& options, CopyFn copy) {
  const std::string from = MakeTopic(options);
  const std::string to = MakeTopic(options);
  StopHandle stop;
  std::atomic<bool> observes{true};
  std::vector<double> ages;
  std::thread copier([&] { copy(from, to, stop); });
  std::thread observer([&] {
    Consume(
        options, to, false,
        [&](const rd_kafka_message_t& message) {
          int64_t then = 0;
          std::memcpy(&then, message.payload, sizeof then);
          ages.push_back(static_cast<double>(Nanos() - then) * 1e-6);
        },
        [&] { return observes.load(); });
  });
  const Client producer = Open(RD_KAFKA_PRODUCER, options);
  std::string value(static_cast<size_t>(options.bytes), 'v');
  const int64_t begin = Nanos();
  int64_t sent = 0;
  while (Nanos() - begin < options.seconds * 1'000'000'000) {
    const int64_t due = (Nanos() - begin) / 1000 * options.rate / 1'000'000;
    for (; sent < due; ++sent) {
      const int64_t now = Nanos();
      std::memcpy(value.data(), &now, sizeof now);
      Produce(producer.get(), from, std::to_string(sent % kKeys), value);
    }
    rd_kafka_poll(producer.get(), 1);
  }
  rd_kafka_flush(producer.get(), 60'000);
  std::this_thread::sleep_for(std::chrono::seconds(1));  // the last ones arrive
  stop.RequestStop();
  copier.join();
  observes = false;
  observer.join();
  Require(static_cast<int64_t>(ages.size()) >= sent, "the arrival of all copies");
  // Without those of the start, in which the clients connect.
  ages.erase(ages.begin(), ages.begin() + static_cast<std::ptrdiff_t>(ages.size() / 5));
  const size_t rank = ages.size() * 99 / 100;
  std::nth_element(ages.begin(), ages.begin() + static_cast<std::ptrdiff_t>(rank), ages.end());
  return ages[rank];
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

template <class Ours, class Bare>
void Alternate(std::string_view row, const char* unit, const Options& options, Ours ours,
               Bare bare) {
  std::vector<double> of_ours;
  std::vector<double> of_bare;
  std::vector<double> ratios;
  for (int64_t i = 0; i < options.pairs; ++i) {
    of_ours.push_back(ours());
    of_bare.push_back(bare());
    ratios.push_back(of_ours.back() / of_bare.back());
  }
  const auto [least, most] = std::minmax_element(ratios.begin(), ratios.end());
  std::printf("%.*s: headway %.4g %s, bare loop %.4g %s, ratio %.3f (%.3f to %.3f)\n",
              static_cast<int>(row.size()), row.data(), Median(of_ours), unit, Median(of_bare),
              unit, Median(ratios), *least, *most);
  std::fflush(stdout);
}

// Messages a second.
template <class F>
double Rate(const Options& options, F f) {
  const int64_t begin = Nanos();
  f();
  return static_cast<double>(options.records) * 1e9 / static_cast<double>(Nanos() - begin);
}

void Run(const std::string& row, const Options& options) {
  if (row == "lag") {
    return Alternate(
        row, "ms", options,
        [&] {
          return Lag(options, [&](const auto& from, const auto& to, const StopHandle& stop) {
            Require(Copy(From(options, from, false), KafkaSink(To(options, to), &AsItIs),
                         {.stop = stop}));
          });
        },
        [&] {
          return Lag(options, [&](const auto& from, const auto& to, const StopHandle& stop) {
            BareCopy(options, from, to, false, [&] { return !stop.requested(); });
          });
        });
  }
  const std::string from = MakeTopic(options);
  Fill(options, from);
  if (row == "count") {
    return Alternate(
        row, "messages/s", options, [&] { return Rate(options, [&] { Count(options, from); }); },
        [&] { return Rate(options, [&] { BareCount(options, from); }); });
  }
  Alternate(
      row, "messages/s", options,
      [&] {
        const std::string to = MakeTopic(options);
        return Rate(options, [&] {
          if (row == "exactly-once") return CopyExactlyOnce(options, from, to);
          Require(Copy(From(options, from, true), KafkaSink(To(options, to), &AsItIs), {}));
        });
      },
      [&] {
        const std::string to = MakeTopic(options);
        return Rate(options, [&] { BareCopy(options, from, to, true, &Always); });
      });
}

}  // namespace
}  // namespace headway::bench

int main(int argc, char** argv) {
  headway::bench::Options options;
  headway::CommandLine line(
      "headway-kafka [FLAG...] ROW BROKERS\n\nROW is count, copy, exactly-once or lag.");
  line.AddFlag("records", &options.records, "messages of a run");
  line.AddFlag("bytes", &options.bytes, "bytes of a value");
  line.AddFlag("pairs", &options.pairs, "pairs of runs");
  line.AddFlag("rate", &options.rate, "messages a second of the row lag");
  line.AddFlag("seconds", &options.seconds, "length of a run of the row lag");
  absl::Status status = line.Parse(argc, argv);
  if (status.ok() && line.arguments().size() != 2) status = line.UsageError("give ROW and BROKERS");
  if (status.ok()) {
    options.brokers = line.arguments()[1];
    headway::bench::Run(line.arguments()[0], options);
  } else {
    std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  }
  return headway::ExitCode(status);
}
