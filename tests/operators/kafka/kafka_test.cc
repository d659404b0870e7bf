#include <doctest/doctest.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>  // needs the header above

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <latch>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "comm/wire/wire_generated.h"
#include "headway.h"
#include "operators/kafka/kafka_flatbuffers.h"
#include "operators/kafka/kafka_json.h"
#include "operators/kafka/kafka_sink.h"
#include "operators/kafka/kafka_source.h"
#include "tests/engine/run_helpers.h"
#include "tests/engine/store/memory_store.h"
#include "tests/engine/thread_cluster.h"
#include "tests/operators/kafka/kafka_broker.h"

namespace headway {
namespace {

using internal::KafkaBroker;
using internal::MemoryStore;

// The broker of the test program. Null: the machine lacks Java or Maven, and the log names it.
KafkaBroker* Broker() {
  std::string reason;
  KafkaBroker* const broker = KafkaBroker::Shared(&reason);
  if (broker == nullptr) MESSAGE("skipped: " << reason);
  return broker;
}

struct JsonOrder {
  int64_t number = 0;
  std::string user;
  std::optional<double> discount;
  friend bool operator==(const JsonOrder&, const JsonOrder&) = default;
};
HEADWAY_COLUMNS(JsonOrder, number, user, discount);

KafkaRecord Keyed(int number) {
  return {.key = absl::StrCat(number % 7), .value = absl::StrCat(number)};
}

// A topic in small batches, and a source whose queue is full after each of them.
const KafkaProperties kSmallBatches = {{"batch.num.messages", "10"}};
const KafkaProperties kSmallQueue = {{"queued.min.messages", "1"},
                                     {"fetch.message.max.bytes", "100"}};

// Produces the numbers from `first` to `end`, under keys.
void Produce(const KafkaBroker& broker, const std::string& topic, int first, int end,
             const KafkaProperties& properties = {}) {
  std::vector<int> numbers = NumbersTo(end);
  numbers.erase(numbers.begin(), numbers.begin() + first);
  CheckOk(RunMain(Dataflow("produce", [&](Scope<>& scope) {
    scope.Input("numbers", TestingSource(numbers)) |
        Output("out",
               KafkaSink({.brokers = broker.address(), .topic = topic, .properties = properties},
                         &Keyed));
  })));
}

int NumberIn(const KafkaView& message) { return std::stoi(std::string(message.value.value())); }

KafkaSourceOptions ToTheEnd(const KafkaBroker& broker, const std::string& topic) {
  return {.brokers = broker.address(), .topics = {topic}, .stops_at_end = true};
}

// The numbers in a topic, as a consumer of committed messages sees them.
std::vector<int> Committed(const KafkaBroker& broker, const std::string& topic) {
  Collected<int> numbers;
  CheckOk(RunMain(Dataflow("committed", [&](Scope<>& scope) {
    scope.Input("topic", KafkaSource(ToTheEnd(broker, topic), &NumberIn)) |
        CollectInto("collect", numbers) | Output("out", CallbackSink([](int) {}));
  })));
  return numbers.Sorted();
}

RunOptions With(std::shared_ptr<RecoveryStore> store, int workers) {
  return {.worker_count = workers,
          .epoch_config = RecordCountEpochConfig{50},
          .recovery_config = RecoveryConfig{.store = std::move(store)}};
}

KafkaView MessageWith(std::string_view value) {
  KafkaView message;
  message.value = value;
  return message;
}

TEST_CASE("values that are JSON become records, and records become JSON") {
  const JsonOrder order{7, "anna \"a\"", 0.5};
  KafkaJson<JsonOrder> read;
  const std::string text = KafkaJsonText(order);
  CHECK(text == R"({"number":7,"user":"anna \"a\"","discount":0.5})");
  CHECK(read(MessageWith(text)).value() == order);
  CHECK(KafkaJson(read)(MessageWith(R"({"user":"bob","number":8,"more":[]})")).value() ==
        JsonOrder{8, "bob", std::nullopt});
  CheckError(read(MessageWith(R"({"number":"x","user":"c"})")).status(),
             absl::StatusCode::kInvalidArgument, {"number"});
  CheckError(read(MessageWith("{")).status(), absl::StatusCode::kInvalidArgument, {});
  CheckError(read(KafkaView{}).status(), absl::StatusCode::kInvalidArgument, {"no value"});
  CHECK_FALSE(KafkaJson<std::optional<JsonOrder>>()(KafkaView{}).value().has_value());
}

TEST_CASE("values that are FlatBuffers become records, and damaged ones errors") {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(wire::CreateHelloDirect(builder, 1, 2, 3, 4, 5, "orders"));
  const std::string value(reinterpret_cast<const char*>(builder.GetBufferPointer()),
                          builder.GetSize());
  auto read =
      KafkaFlatBuffer<wire::Hello>([](const wire::Hello& hello) { return hello.cluster()->str(); });
  // At an odd address, as in a queue of messages.
  const std::string odd = "x" + value;
  CHECK(read(MessageWith(std::string_view(odd).substr(1))).value() == "orders");
  for (size_t size = 0; size < value.size() / 2; ++size) {
    CheckError(read(MessageWith(std::string_view(value).substr(0, size))).status(),
               absl::StatusCode::kDataLoss, {"no FlatBuffer"});
  }
  CheckError(read(KafkaView{}).status(), absl::StatusCode::kDataLoss, {"no FlatBuffer"});
}

TEST_CASE("messages of all partitions are read once, by any number of workers") {
  KafkaBroker* const broker = Broker();
  if (broker == nullptr) return;
  broker->CreateTopic("all", 5);
  Produce(*broker, "all", 0, 1000);
  for (const Shape shape : {Shape{1, 1}, Shape{1, 3}, Shape{2, 2}}) {
    CAPTURE(shape.workers);
    Collected<std::pair<std::string, int>> seen;
    CheckOk(RunInShape(Dataflow("read",
                                [&](Scope<>& scope) {
                                  scope.Input("all", KafkaSource(ToTheEnd(*broker, "^al+$"))) |
                                      Map("pair",
                                          [](const KafkaMessage& message) {
                                            CHECK(message.topic == "all");
                                            CHECK(message.timestamp_ms > 0);
                                            return std::pair(message.key.value(),
                                                             std::stoi(message.value.value()));
                                          }) |
                                      CollectInto("collect", seen) |
                                      Output("out", CallbackSink([](const auto&) {}));
                                }),
                       shape));
    std::vector<int> numbers;
    for (const auto& [key, number] : seen.Sorted()) {
      CHECK(key == absl::StrCat(number % 7));
      numbers.push_back(number);
    }
    std::sort(numbers.begin(), numbers.end());
    CHECK(numbers == NumbersTo(1000));
  }
}

TEST_CASE("headers, tombstones, given partitions and empty values are what was produced") {
  KafkaBroker* const broker = Broker();
  if (broker == nullptr) return;
  broker->CreateTopic("odd", 3);
  const std::vector<int> kinds = {0, 1, 2};
  CheckOk(RunMain(Dataflow("produce", [&](Scope<>& scope) {
    scope.Input("kinds", TestingSource(kinds)) |
        Output("out", KafkaSink({.brokers = broker->address()}, [](int kind) {
                 KafkaRecord record{.topic = "odd", .partition = kind, .timestamp_ms = 1000 + kind};
                 if (kind == 0) record.key = "gone";
                 if (kind == 1) record.value = "";
                 if (kind == 2) record.headers = {{"a", "1"}, {"b", std::string("\0x", 2)}};
                 return record;
               }));
  })));
  Collected<KafkaMessage> messages;
  CheckOk(RunMain(Dataflow("read", [&](Scope<>& scope) {
    scope.Input("odd", KafkaSource(ToTheEnd(*broker, "odd"))) | CollectInto("collect", messages) |
        Output("out", CallbackSink([](const auto&) {}));
  })));
  std::map<int, KafkaMessage> by_partition;
  for (const KafkaMessage& message : messages.InOrder()) by_partition[message.partition] = message;
  REQUIRE(by_partition.size() == 3);
  for (const auto& [partition, message] : by_partition) {
    CHECK(message.timestamp_ms == 1000 + partition);
  }
  CHECK(by_partition[0].key == "gone");
  CHECK_FALSE(by_partition[0].value.has_value());
  CHECK_FALSE(by_partition[1].key.has_value());
  CHECK(by_partition[1].value == "");
  CHECK(by_partition[2].headers ==
        std::vector<std::pair<std::string, std::string>>{{"a", "1"}, {"b", std::string("\0x", 2)}});
}

TEST_CASE("from topic to topic, each message is committed once, whatever fails in between") {
  KafkaBroker* const broker = Broker();
  if (broker == nullptr) return;
  constexpr int kEnd = 1500;
  broker->CreateTopic("in", 4);
  broker->CreateTopic("out", 3);
  Produce(*broker, "in", 0, kEnd);
  auto store = std::make_shared<MemoryStore>();
  // The run fails behind so many records, four times; then the store fails.
  for (int run = 0; run < 7; ++run) {
    CAPTURE(run);
    std::atomic<int> left = run < 4 ? 250 * (run + 1) : kEnd + 1;
    if (run == 4) store->CrashAt(store->calls() + 20, true);
    if (run == 5) store->Restart();
    const absl::Status status = RunMain(
        Dataflow("copy",
                 [&](Scope<>& scope) {
                   scope.Input("in", KafkaSource(ToTheEnd(*broker, "in"), &NumberIn)) |
                       Map("fail",
                           [&](int number) {
                             if (left.fetch_sub(1) == 0) throw std::runtime_error("it fails");
                             return number;
                           }) |
                       Output("out", TransactionalKafkaSink(
                                         {.brokers = broker->address(), .topic = "out"}, &Keyed,
                                         [](int number) { return absl::StrCat(number % 3); }));
                 }),
        With(store, 1 + run % 3));
    if (run > 4) CheckOk(status);
  }
  CHECK(Committed(*broker, "out") == NumbersTo(kEnd));
}

TEST_CASE("brokers that die and are away for ten seconds lose nothing, and nothing is doubled") {
  KafkaBroker* const broker = Broker();
  if (broker == nullptr) return;
  constexpr int kEnd = 3000;
  broker->CreateTopic("before", 3);
  broker->CreateTopic("after", 2);
  broker->CreateTopic("after-at-least-once", 2);
  Produce(*broker, "before", 0, kEnd / 2);
  std::atomic<int> seen = 0;
  std::latch reached(1);
  std::latch died(1);
  // The source follows its topic meanwhile, and the sinks have messages that are under way.
  std::thread killer([&] {
    reached.wait();
    broker->Kill();
    died.count_down();
    std::this_thread::sleep_for(std::chrono::seconds(10));
    broker->StartAgain();
    Produce(*broker, "before", kEnd / 2, kEnd);
  });
  KafkaSourceOptions in = ToTheEnd(*broker, "before");
  in.stops_at_end = false;
  StopHandle stop;
  RunOptions options = With(std::make_shared<MemoryStore>(), 2);
  options.epoch_config = PeriodicEpochConfig{absl::Milliseconds(100)};
  options.stop = stop;
  const Dataflow copy("copy", [&](Scope<>& scope) {
    const auto numbers = scope.Input("in", KafkaSource(in, &NumberIn)) | Inspect("count", [&](int) {
                           if (++seen == kEnd / 3) reached.count_down();
                           if (seen >= kEnd / 3) died.wait();
                           if (seen == kEnd) stop.RequestStop();
                         });
    numbers | Output("out", TransactionalKafkaSink({.brokers = broker->address(), .topic = "after"},
                                                   &Keyed));
    numbers |
        Output("at_least_once",
               KafkaSink({.brokers = broker->address(), .topic = "after-at-least-once"}, &Keyed));
  });
  CheckOk(RunMain(copy, options));
  killer.join();
  CHECK(Committed(*broker, "after") == NumbersTo(kEnd));
  std::vector<int> at_least_once = Committed(*broker, "after-at-least-once");
  at_least_once.erase(std::unique(at_least_once.begin(), at_least_once.end()), at_least_once.end());
  CHECK(at_least_once == NumbersTo(kEnd));
}

TEST_CASE("a topic that is deleted while it is read ends the run, or the input") {
  KafkaBroker* const broker = Broker();
  if (broker == nullptr) return;
  for (const auto policy : {VanishedPartitions::kFail, VanishedPartitions::kForget}) {
    CAPTURE(static_cast<int>(policy));
    constexpr int kEnd = 300;
    const bool fails = policy == VanishedPartitions::kFail;  // at the end of the topic
    const std::string topic = absl::StrCat("deleted-", static_cast<int>(policy));
    broker->CreateTopic(topic, 2);
    Produce(*broker, topic, 0, kEnd, kSmallBatches);
    KafkaSourceOptions options = ToTheEnd(*broker, absl::StrCat("^", topic));
    options.properties = kSmallQueue;
    options.stops_at_end = !fails;
    options.timeout = absl::Seconds(2);
    options.vanished_partitions = policy;
    int seen = 0;
    const absl::Status status = RunMain(Dataflow("read", [&](Scope<>& scope) {
      scope.Input("topic", KafkaSource(options, &NumberIn)) | Inspect("delete", [&](int) {
        if (++seen == (fails ? kEnd : 100)) broker->DeleteTopic(topic);
      }) | Output("out", CallbackSink([](int) {}));
    }));
    if (fails) {
      CheckError(status, absl::StatusCode::kNotFound,
                 {"step 'topic'", absl::StrCat(topic, "/"), "deleted", "kForget"});
    } else {
      CheckOk(status);
      CHECK(seen < kEnd);
    }
  }
}

TEST_CASE("a resumed run goes on at its offsets, and takes up partitions that appear meanwhile") {
  KafkaBroker* const broker = Broker();
  if (broker == nullptr) return;
  broker->CreateTopic("grows", 2);
  Produce(*broker, "grows", 0, 300);
  auto store = std::make_shared<MemoryStore>();
  Collected<int> seen;
  auto read = [&](KafkaSourceOptions options, RunOptions run, size_t until) {
    StopHandle stop;
    run.stop = stop;
    run.epoch_config = PeriodicEpochConfig{absl::Milliseconds(10)};  // readers may be idle
    return RunMain(Dataflow("read",
                            [&](Scope<>& scope) {
                              scope.Input("topic", KafkaSource(options, &NumberIn)) |
                                  Inspect("count",
                                          [&](int number) {
                                            seen.Add(number);
                                            if (seen.size() == until) stop.RequestStop();
                                            if (seen.size() == 450 && until == 900) {
                                              broker->AddPartitions("grows", 5);
                                            }
                                          }) |
                                  Output("out", CallbackSink([](int) {}));
                            }),
                   run);
  };
  KafkaSourceOptions options = ToTheEnd(*broker, "grows");
  CheckOk(read(options, With(store, 2), 0));
  CHECK(seen.Sorted() == NumbersTo(300));
  Produce(*broker, "grows", 300, 600);
  options.stops_at_end = false;
  options.list_interval = absl::Milliseconds(50);
  // The last messages are produced into partitions that the run has to find.
  std::thread producer([&] {
    while (seen.size() < 600) std::this_thread::yield();
    Produce(*broker, "grows", 600, 900);
  });
  CheckOk(read(options, With(store, 3), 900));
  producer.join();
  CHECK(seen.Sorted() == NumbersTo(900));
}

TEST_CASE("a reader that is slower than the client reads each message once, in order") {
  KafkaBroker* const broker = Broker();
  if (broker == nullptr) return;
  constexpr int kEnd = 500;
  broker->CreateTopic("small-batches", 1);
  Produce(*broker, "small-batches", 0, kEnd, kSmallBatches);
  KafkaSourceOptions options = ToTheEnd(*broker, "small-batches");
  options.properties = kSmallQueue;
  Collected<int> seen;
  CheckOk(RunMain(Dataflow("read", [&](Scope<>& scope) {
    scope.Input("topic", KafkaSource(options, &NumberIn)) | CollectInto("collect", seen) |
        Output("out", CallbackSink([](int) {}));
  })));
  CHECK(seen.InOrder() == NumbersTo(kEnd));
}

TEST_CASE("the offsets of the consumer group follow the commits, and no run begins at them") {
  KafkaBroker* const broker = Broker();
  if (broker == nullptr) return;
  constexpr int kPartitions = 3;
  broker->CreateTopic("followed", kPartitions);
  Produce(*broker, "followed", 0, 300);
  const KafkaProperties of_group = {{"group.id", "followers"}};
  for (int run = 0; run < 2; ++run) {
    StopHandle stop;
    std::mutex mutex;
    std::map<int, int64_t> lags;
    KafkaSourceOptions source{.brokers = broker->address(), .topics = {"followed"}};
    source.properties = of_group;
    source.on_lag = [&](const KafkaLag& lag) {
      const std::lock_guard lock(mutex);
      CHECK(lag.topic == "followed");
      lags[lag.partition] = lag.messages;
      const bool at_end = std::ranges::all_of(lags, [](const auto& of) { return of.second == 0; });
      if (lags.size() == kPartitions && at_end) stop.RequestStop();
    };
    RunOptions options = With(std::make_shared<MemoryStore>(), 2);
    options.stop = stop;
    options.epoch_config = PeriodicEpochConfig{absl::Milliseconds(10)};
    Collected<int> seen;
    CheckOk(RunMain(Dataflow("read",
                             [&](Scope<>& scope) {
                               scope.Input("topic", KafkaSource(source, &NumberIn)) |
                                   CollectInto("collect", seen) |
                                   Output("out", CallbackSink([](int) {}));
                             }),
                    options));
    CHECK(seen.Sorted() == NumbersTo(300));
    CHECK(broker->CommittedOffsets("followers", "followed", kPartitions) == 300);
  }
}

TEST_CASE("a source begins where its options say") {
  KafkaBroker* const broker = Broker();
  if (broker == nullptr) return;
  broker->CreateTopic("start", 1);
  const std::vector<int> numbers = NumbersTo(10);
  CheckOk(RunMain(Dataflow("produce", [&](Scope<>& scope) {
    scope.Input("numbers", TestingSource(numbers)) |
        Output("out", KafkaSink({.brokers = broker->address(), .topic = "start"}, [](int number) {
                 return KafkaRecord{.value = absl::StrCat(number),
                                    .timestamp_ms = 1000 + 1000 * number};
               }));
  })));
  auto read = [&](KafkaStart start) {
    Collected<int> seen;
    KafkaSourceOptions options = ToTheEnd(*broker, "start");
    options.start = std::move(start);
    CheckOk(RunMain(Dataflow("read", [&](Scope<>& scope) {
      scope.Input("topic", KafkaSource(options, &NumberIn)) | CollectInto("collect", seen) |
          Output("out", CallbackSink([](int) {}));
    })));
    return seen.Sorted();
  };
  CHECK(read(KafkaStart::Beginning()).size() == 10);
  CHECK(read(KafkaStart::End()).empty());
  CHECK(read(KafkaStart::At(absl::FromUnixMillis(7500))) == std::vector<int>{7, 8, 9});
  CHECK(read(KafkaStart::At(absl::FromUnixMillis(99'000))).empty());
  CHECK(read(KafkaStart::At(absl::FromUnixMillis(-1))).size() == 10);
  CHECK(read(KafkaStart::Offsets({{"start/0", 8}})) == std::vector<int>{8, 9});
}

TEST_CASE("topics are read and written over TLS, by a user with a password") {
  KafkaBroker* const broker = Broker();
  if (broker == nullptr) return;
  broker->CreateTopic("secure-in", 2);
  broker->CreateTopic("secure-out", 2);
  Produce(*broker, "secure-in", 0, 100);
  auto copy = [&](const std::string& password) {
    KafkaProperties properties = broker->SecureProperties();
    properties["sasl.password"] = password;
    KafkaSourceOptions in = ToTheEnd(*broker, "secure-in");
    in.brokers = broker->secure_address();
    in.properties = properties;
    return RunMain(Dataflow("copy", [&](Scope<>& scope) {
      scope.Input("in", KafkaSource(in, &NumberIn)) |
          Output("out", TransactionalKafkaSink({.brokers = broker->secure_address(),
                                                .topic = "secure-out",
                                                .properties = properties},
                                               &Keyed));
    }));
  };
  CheckOk(copy("secret"));
  CHECK(Committed(*broker, "secure-out") == NumbersTo(100));
  CheckError(copy("wrong"), absl::StatusCode::kPermissionDenied,
             {"step 'in'", "cannot list the topics", "refuse the client", "uthentication"});
}

TEST_CASE("a message of 20 MB goes from topic to topic where the topics allow it") {
  KafkaBroker* const broker = Broker();
  if (broker == nullptr) return;
  constexpr int kBytesMax = 30'000'000;
  broker->CreateTopic("large-in", 1, kBytesMax);
  broker->CreateTopic("large-out", 1, kBytesMax);
  const KafkaProperties properties = {{"message.max.bytes", std::to_string(kBytesMax)}};
  const std::string large(20'000'000, 'x');
  const std::vector<int> one = {1};
  CheckOk(RunMain(Dataflow("produce", [&](Scope<>& scope) {
    scope.Input("one", TestingSource(one)) |
        Output(
            "out",
            KafkaSink({.brokers = broker->address(), .topic = "large-in", .properties = properties},
                      [&](int) { return KafkaRecord{.value = large}; }));
  })));
  // The consumer fetches a message as a whole, however small its limits are.
  CheckOk(RunMain(Dataflow("copy", [&](Scope<>& scope) {
    scope.Input("in", KafkaSource(ToTheEnd(*broker, "large-in"))) |
        Output(
            "out",
            TransactionalKafkaSink(
                {.brokers = broker->address(), .topic = "large-out", .properties = properties},
                [](const KafkaMessage& message) { return KafkaRecord{.value = message.value}; }));
  })));
  Collected<bool> same;
  CheckOk(RunMain(Dataflow("read", [&](Scope<>& scope) {
    scope.Input("topic",
                KafkaSource(ToTheEnd(*broker, "large-out"),
                            [&](const KafkaView& message) { return message.value == large; })) |
        CollectInto("collect", same) | Output("out", CallbackSink([](bool) {}));
  })));
  CHECK(same.InOrder() == std::vector<bool>{true});
}

TEST_CASE("a topic that was made anew ends a resumed run, or begins again, as the options say") {
  KafkaBroker* const broker = Broker();
  if (broker == nullptr) return;
  broker->CreateTopic("anew", 2);
  Produce(*broker, "anew", 0, 100);
  auto store = std::make_shared<MemoryStore>();
  Collected<int> seen;
  auto read = [&](KafkaLostOffset lost_offset) {
    KafkaSourceOptions options = ToTheEnd(*broker, "anew");
    options.lost_offset = lost_offset;
    return RunMain(Dataflow("read",
                            [&](Scope<>& scope) {
                              scope.Input("topic", KafkaSource(options, &NumberIn)) |
                                  CollectInto("collect", seen) |
                                  Output("out", CallbackSink([](int) {}));
                            }),
                   With(store, 2));
  };
  CheckOk(read(KafkaLostOffset::kFail));
  broker->DeleteTopic("anew");
  CheckError(read(KafkaLostOffset::kFail), absl::StatusCode::kNotFound, {"no topic 'anew'"});
  broker->CreateTopic("anew", 2);
  Produce(*broker, "anew", 100, 130);
  CheckError(read(KafkaLostOffset::kFail), absl::StatusCode::kOutOfRange,
             {"step 'topic'", "of anew/", "the topic was made anew", "lost_offset"});
  CheckOk(read(KafkaLostOffset::kBeginning));
  CHECK(seen.Sorted() == NumbersTo(130));
}

TEST_CASE("behind a message that cannot be read the run continues, if the function returns it") {
  KafkaBroker* const broker = Broker();
  if (broker == nullptr) return;
  broker->CreateTopic("poison", 1);
  Produce(*broker, "poison", 0, 20);
  using NumberOrError = std::variant<int, std::string>;
  Collected<int> numbers;
  Collected<std::string> errors;
  CheckOk(RunMain(Dataflow("read", [&](Scope<>& scope) {
    auto [good, bad] = scope.Input("topic", KafkaSource(ToTheEnd(*broker, "poison"),
                                                        [](const KafkaView& message) {
                                                          if (message.offset == 7) {
                                                            return NumberOrError("no number");
                                                          }
                                                          return NumberOrError(NumberIn(message));
                                                        })) |
                       Split("by kind");
    good | CollectInto("numbers", numbers) | Output("out", CallbackSink([](int) {}));
    bad | CollectInto("errors", errors) |
        Output("errors out", CallbackSink([](std::string_view) {}));
  })));
  CHECK(numbers.size() == 19);
  CHECK(errors.InOrder() == std::vector<std::string>{"no number"});
}

// Brokers inside of the client, for faults that real ones cannot be told to make.
struct MockBrokers {
  MockBrokers()
      : client(internal::KafkaClient::Open(internal::KafkaRole::kProducer,
                                           {{"test.mock.num.brokers", "1"}})
                   .value()),
        cluster(rd_kafka_handle_mock_cluster(client->handle())),
        address(rd_kafka_mock_cluster_bootstraps(cluster)) {}

  std::unique_ptr<internal::KafkaClient> client;
  rd_kafka_mock_cluster_t* cluster;
  std::string address;
};

TEST_CASE("a broker that answers slowly, and refuses some requests, costs time alone") {
  MockBrokers brokers;
  rd_kafka_mock_topic_create(brokers.cluster, "slow-in", 2, 1);
  rd_kafka_mock_topic_create(brokers.cluster, "slow-out", 2, 1);
  rd_kafka_mock_broker_set_rtt(brokers.cluster, 1, 50);
  constexpr int16_t kProduce = 0;
  constexpr int16_t kTxnOffsetCommit = 28;
  rd_kafka_mock_push_request_errors(brokers.cluster, kProduce, 2,
                                    RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
                                    RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT);
  const std::vector<int> numbers = NumbersTo(500);
  CheckOk(RunMain(Dataflow("produce", [&](Scope<>& scope) {
    scope.Input("numbers", TestingSource(numbers)) |
        Output("out", KafkaSink({.brokers = brokers.address, .topic = "slow-in"}, &Keyed));
  })));
  rd_kafka_mock_push_request_errors(brokers.cluster, kTxnOffsetCommit, 1,
                                    RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS);
  auto source = [&](const std::string& topic) {
    return KafkaSource({.brokers = brokers.address, .topics = {topic}, .stops_at_end = true},
                       &NumberIn);
  };
  CheckOk(RunMain(
      Dataflow("copy",
               [&](Scope<>& scope) {
                 scope.Input("in", source("slow-in")) |
                     Output("out", TransactionalKafkaSink(
                                       {.brokers = brokers.address, .topic = "slow-out"}, &Keyed));
               }),
      With(std::make_shared<MemoryStore>(), 1)));
  Collected<int> seen;
  CheckOk(RunMain(Dataflow("read", [&](Scope<>& scope) {
    scope.Input("topic", source("slow-out")) | CollectInto("collect", seen) |
        Output("out", CallbackSink([](int) {}));
  })));
  CHECK(seen.Sorted() == numbers);
}

TEST_CASE(
    "a transaction that the brokers ended, since it took too long, is published by the next run") {
  MockBrokers brokers;
  rd_kafka_mock_topic_create(brokers.cluster, "late", 1, 1);
  constexpr int16_t kAddOffsetsToTxn = 25;
  rd_kafka_mock_push_request_errors(brokers.cluster, kAddOffsetsToTxn, 1,
                                    RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH);
  auto store = std::make_shared<MemoryStore>();
  const std::vector<int> numbers = NumbersTo(30);
  auto publish = [&] {
    return RunMain(
        Dataflow("publish",
                 [&](Scope<>& scope) {
                   scope.Input("numbers", TestingSource(numbers)) |
                       Output("out", TransactionalKafkaSink(
                                         {.brokers = brokers.address, .topic = "late"}, &Keyed));
                 }),
        With(store, 1));
  };
  CheckError(publish(), absl::StatusCode::kFailedPrecondition,
             {"step 'out'", "transaction.timeout.ms"});
  CheckOk(publish());
  Collected<int> seen;
  CheckOk(RunMain(Dataflow("read", [&](Scope<>& scope) {
    scope.Input("late",
                KafkaSource({.brokers = brokers.address, .topics = {"late"}, .stops_at_end = true},
                            &NumberIn)) |
        CollectInto("collect", seen) | Output("out", CallbackSink([](int) {}));
  })));
  // The brokers of the test keep the messages of transactions that were given up.
  std::vector<int> all = seen.Sorted();
  all.erase(std::unique(all.begin(), all.end()), all.end());
  CHECK(all == numbers);
}

TEST_CASE("a producer of an earlier generation of a lane is fenced") {
  KafkaBroker* const broker = Broker();
  if (broker == nullptr) return;
  broker->CreateTopic("fenced", 1);
  const KafkaSinkOptions options{.brokers = broker->address(), .topic = "fenced"};
  auto publish = [](internal::KafkaTransactions& lane, std::string_view value,
                    uint64_t mark) -> absl::Status {
    const std::vector<std::byte> bytes = EncodeToBytes(KafkaRecord{.value = std::string(value)});
    const std::string_view item(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const Transaction transaction{.mark = mark, .items = {&item, 1}};
    while (true) {
      const absl::StatusOr<FlushState> state = lane.Publish(transaction);
      if (!state.ok()) return state.status();
      if (state->done) return absl::OkStatus();
      std::this_thread::yield();
    }
  };
  auto first = internal::KafkaTransactions::Open(options, "lane", ThreadActivator());
  REQUIRE(first.ok());
  CHECK((*first)->LastMark().value() == std::nullopt);
  CheckOk(publish(**first, "1", 17));
  auto second = internal::KafkaTransactions::Open(options, "lane", ThreadActivator());
  REQUIRE(second.ok());
  CHECK((*second)->LastMark().value() == 17);
  CHECK(publish(**first, "2", 18).code() == absl::StatusCode::kFailedPrecondition);
  CheckOk(publish(**second, "3", 19));
  CHECK((*second)->LastMark().value() == 19);
  CHECK(Committed(*broker, "fenced") == std::vector<int>{1, 3});
}

TEST_CASE("errors say what, where and what to do") {
  KafkaBroker* const broker = Broker();
  if (broker == nullptr) return;
  broker->CreateTopic("errors", 1);
  Produce(*broker, "errors", 0, 20);
  auto read = [&](KafkaSourceOptions options, auto decode, RunOptions run = {}) {
    return RunMain(Dataflow("read",
                            [&](Scope<>& scope) {
                              scope.Input("topic", KafkaSource(options, decode)) |
                                  Output("out", CallbackSink([](const auto&) {}));
                            }),
                   run);
  };
  CheckError(read(ToTheEnd(*broker, "nowhere"), &NumberIn), absl::StatusCode::kNotFound,
             {"step 'topic'", "there is no topic 'nowhere'", broker->address()});
  KafkaSourceOptions wrong = ToTheEnd(*broker, "errors");
  wrong.properties["no.such.property"] = "1";
  CheckError(read(wrong, &NumberIn), absl::StatusCode::kInvalidArgument, {"no.such.property"});
  KafkaSourceOptions negative = ToTheEnd(*broker, "errors");
  negative.start = KafkaStart::Offsets({{"errors/0", -1}});
  CheckError(read(negative, &NumberIn), absl::StatusCode::kInvalidArgument, {"-1 for 'errors/0'"});
  KafkaSourceOptions unnamed = ToTheEnd(*broker, "errors");
  unnamed.topics = {};
  CheckError(read(unnamed, &NumberIn), absl::StatusCode::kInvalidArgument, {"topics is empty"});
  unnamed = ToTheEnd(*broker, "errors");
  unnamed.brokers = "";
  CheckError(read(unnamed, &NumberIn), absl::StatusCode::kInvalidArgument, {"`brokers` is empty"});
  auto refuse = [](const KafkaView& message) -> absl::StatusOr<int> {
    if (message.offset == 7) return absl::InvalidArgumentError("no number");
    return NumberIn(message);
  };
  CheckError(read(ToTheEnd(*broker, "errors"), refuse), absl::StatusCode::kInvalidArgument,
             {"errors/0 at offset 7: no number"});
  KafkaSourceOptions away = ToTheEnd(*broker, "errors");
  away.brokers = "127.0.0.1:1";
  away.timeout = absl::Milliseconds(100);
  CheckError(read(away, &NumberIn), absl::StatusCode::kUnavailable, {"127.0.0.1:1"});

  // Retention removes the messages that a stopped run has not read.
  KafkaSourceOptions lost = ToTheEnd(*broker, "errors");
  lost.start = KafkaStart::Offsets({{"errors/0", 3}});
  broker->DeleteBefore("errors", 0, 10);
  CheckError(read(lost, &NumberIn), absl::StatusCode::kOutOfRange,
             {"offset 3 of errors/0 is gone", "lost_offset"});
  lost.lost_offset = KafkaLostOffset::kBeginning;
  CheckOk(read(lost, &NumberIn));

  const std::vector<int> one = {1};
  auto produce = [&](KafkaRecord record) {
    return RunMain(Dataflow("produce", [&](Scope<>& scope) {
      scope.Input("one", TestingSource(one)) |
          Output("out", KafkaSink({.brokers = broker->address(),
                                   .topic = "errors",
                                   .properties = {{"message.max.bytes", "30000000"}}},
                                  [&](int) { return record; }));
    }));
  };
  CheckError(produce({.value = std::string(20'000'000, 'x')}), absl::StatusCode::kResourceExhausted,
             {"step 'out'", "'errors' was not delivered"});
  CheckError(produce({.value = "x", .partition = 5}), absl::StatusCode::kNotFound, {"step 'out'"});
}

}  // namespace
}  // namespace headway
