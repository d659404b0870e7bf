// Avro with a schema registry, against a small registry on a loopback address.
#include "operators/kafka_avro/kafka_avro.h"

#include <doctest/doctest.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>  // needs the header above

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "headway.h"
#include "operators/io/json_text.h"
#include "operators/kafka/kafka_client.h"
#include "operators/kafka/kafka_sink.h"
#include "operators/kafka/kafka_source.h"
#include "tests/comm/test_seed.h"
#include "tests/engine/run_helpers.h"
#include "tests/engine/thread_cluster.h"
#include "tests/operators/http_server.h"

namespace headway {
namespace {

using absl::StatusCode;
using internal::AvroSchema;
using internal::HttpReply;
using internal::HttpRequest;
using internal::HttpServer;

template <class Unit>
using TimeIn = std::chrono::sys_time<Unit>;

struct Line {
  std::string sku;
  int16_t count = 0;
  friend bool operator==(const Line&, const Line&) = default;
};
HEADWAY_COLUMNS(Line, sku, count);

// The fields of kOrderSchema but `extra`, in another order.
struct Order {
  std::string user;
  int64_t id = 0;
  int32_t small = 0;
  float ratio = 0;
  double price = 0;
  bool paid = false;
  std::string raw;
  std::string hash;
  std::string state;
  std::optional<std::string> note;
  std::optional<int32_t> discount;
  std::vector<Line> lines;
  std::map<std::string, int64_t> labels;
  std::chrono::sys_days day;
  TimeIn<std::chrono::milliseconds> at;
  std::optional<TimeIn<std::chrono::microseconds>> sent;
  friend bool operator==(const Order&, const Order&) = default;
};
HEADWAY_COLUMNS(Order, user, id, small, ratio, price, paid, raw, hash, state, note, discount, lines,
                labels, day, at, sent);

constexpr char kExtraField[] =
    R"({"name":"extra","type":{"type":"record","name":"Extra","fields":[)"
    R"({"name":"tags","type":{"type":"array","items":"string"}},)"
    R"({"name":"next","type":["null","Extra"]}]}},)";

std::string OrderSchema(std::string_view extra) {
  return R"({"type":"record","name":"Order","namespace":"shop","fields":[{"name":"id","type":"long"},)"
         R"({"name":"small","type":"int"},{"name":"ratio","type":"float"},)"
         R"({"name":"price","type":"double"},{"name":"paid","type":"boolean"},)" +
         std::string(extra) +
         R"({"name":"user","type":"string"},{"name":"raw","type":"bytes"},)"
         R"({"name":"hash","type":{"type":"fixed","name":"Hash","size":4}},)"
         R"({"name":"state","type":{"type":"enum","name":"State","symbols":["NEW","PAID","SENT"]}},)"
         R"({"name":"note","type":["null","string"]},{"name":"discount","type":["null","int"]},)"
         R"({"name":"lines","type":{"type":"array","items":{"type":"record","name":"Line",)"
         R"("fields":[{"name":"sku","type":"string"},{"name":"count","type":"int"}]}}},)"
         R"({"name":"labels","type":{"type":"map","values":"long"}},)"
         R"({"name":"day","type":{"type":"int","logicalType":"date"}},)"
         R"({"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},)"
         R"({"name":"sent","type":[{"type":"long","logicalType":"timestamp-micros"},"null"]}]})";
}

// As fastavro 1.13 writes kOrder: the part before `extra`, that field, and the rest.
constexpr char kOrderHead[] = "9593d89fee47530000003f3d0ad7a370fd334001";
constexpr char kOrderExtra[] = "0402610262000200 00";
constexpr char kOrderTail[] =
    "085a6fc3ab0400ff010203040200020e04027802047979d8040004066f6e65020674776f03008cb502f6d9e2cbbe63"
    "0090d0f9fbffa08906";

Order ExpectedOrder() {
  using namespace std::chrono;
  const sys_days day = year(2024) / 2 / 29;
  return {.user = "Zo\xc3\xab",
          .id = -1234567890123,
          .small = -42,
          .ratio = 0.5,
          .price = 19.99,
          .paid = true,
          .raw = std::string("\0\xff", 2),
          .hash = "\x01\x02\x03\x04",
          .state = "PAID",
          .note = std::nullopt,
          .discount = 7,
          .lines = {{"x", 1}, {"yy", 300}},
          .labels = {{"one", 1}, {"two", -2}},
          .day = day,
          .at = day + hours(12) + milliseconds(123),
          .sent = day + hours(12) + seconds(1) + microseconds(456)};
}

std::string Bytes(std::string_view hex) {
  std::string digits(hex);
  std::erase(digits, ' ');
  return absl::HexStringToBytes(digits);
}

std::string Message(int32_t id, std::string_view bytes) {
  return internal::AvroHeader(id).append(bytes);
}

// A registry in memory, with ids from 1.
class Registry {
 public:
  Registry() : server_([this](const HttpRequest& request) { return Reply(request); }) {}

  SchemaRegistry client() const { return SchemaRegistry({.url = url()}); }
  std::string url() const { return "http://" + server_.address() + "/registry/"; }
  int32_t Add(const std::string& schema) {
    const std::lock_guard lock(mutex_);
    return AddLocked(schema);
  }
  std::string Text(int32_t id) {
    const std::lock_guard lock(mutex_);
    return schemas_.at(static_cast<size_t>(id - 1));
  }
  // "GET /schemas/ids/1", in their order.
  std::vector<std::string> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  int32_t AddLocked(const std::string& schema) {
    const auto found = std::find(schemas_.begin(), schemas_.end(), schema);
    if (found == schemas_.end()) schemas_.push_back(schema);
    return static_cast<int32_t>(std::find(schemas_.begin(), schemas_.end(), schema) -
                                schemas_.begin() + 1);
  }
  HttpReply Reply(const HttpRequest& request) {
    const std::lock_guard lock(mutex_);
    constexpr std::string_view kPath = "/registry";
    REQUIRE(request.target.starts_with(kPath));
    const std::string target = request.target.substr(kPath.size());
    requests_.push_back(absl::StrCat(request.method, " ", target));
    if (request.method == "POST") {
      std::string text = request.body;
      text.append(internal::LineReader::kPadding, '\0');
      internal::JsonParser parser;
      std::string schema;
      const auto json = parser.Parse(std::string_view(text).substr(0, request.body.size()));
      REQUIRE(json.ok());
      CheckOk((*json)["schema"].Read(schema));
      return {"200 OK", absl::StrCat(R"({"id":)", AddLocked(schema), "}")};
    }
    const size_t id = std::stoul(target.substr(std::string_view("/schemas/ids/").size()));
    if (id < 1 || id > schemas_.size()) {
      return {"404 Not Found", R"({"error_code":40403,"message":"Schema not found"})"};
    }
    std::string body = R"({"schema":)";
    internal::AppendJsonString(body, schemas_[id - 1]);
    return {"200 OK", body + "}"};
  }

  mutable std::mutex mutex_;
  std::vector<std::string> schemas_;
  std::vector<std::string> requests_;
  HttpServer server_;
};

KafkaView MessageWith(std::string_view value) {
  KafkaView message;
  message.value = value;
  return message;
}

template <class T>
absl::StatusOr<T> Decode(KafkaAvro<T>& decode, const std::string& message) {
  // A copy at the end of its memory, so that a sanitizer sees a read behind it.
  const std::vector<char> exact(message.begin(), message.end());
  return decode(MessageWith({exact.data(), exact.size()}));
}

// A message of a schema, as hexadecimal digits behind the header.
template <class T>
absl::StatusOr<T> DecodeHex(const std::string& schema, std::string_view hex) {
  Registry registry;
  KafkaAvro<T> decode(registry.client());
  return Decode(decode, Message(registry.Add(schema), Bytes(hex)));
}

// Records of one field.
#define ONE_OF(Name, Type) \
  struct Name {            \
    Type x = {};           \
  };                       \
  HEADWAY_COLUMNS(Name, x)
using Strings = std::vector<std::string>;
using Nothings = std::vector<std::optional<int32_t>>;
ONE_OF(OneInt, int32_t);
ONE_OF(OneByte, uint8_t);
ONE_OF(OneUnsigned, uint64_t);
ONE_OF(OneFloat, float);
ONE_OF(OneDouble, double);
ONE_OF(OneString, std::string);
ONE_OF(OneBool, bool);
ONE_OF(OneOptional, std::optional<std::string>);
ONE_OF(OneList, Strings);
ONE_OF(OneListOfNothing, Nothings);
ONE_OF(OneNanoTime, TimeIn<std::chrono::nanoseconds>);
ONE_OF(OneMilliTime, TimeIn<std::chrono::milliseconds>);
ONE_OF(Nested, OneInt);

// A record of the field x, of a type.
std::string Record(const std::string& type, const std::string& name = "R") {
  return absl::StrCat(R"({"type":"record","name":")", name, R"(","fields":[{"name":"x","type":)",
                      type, "}]}");
}

TEST_CASE("bytes of another implementation become records, and records become the same bytes") {
  Registry registry;
  KafkaAvro<Order> decode(registry.client());
  const std::string with_extra = Bytes(absl::StrCat(kOrderHead, kOrderExtra, kOrderTail));
  const std::string bytes = Bytes(absl::StrCat(kOrderHead, kOrderTail));
  CHECK(Decode(decode, Message(registry.Add(OrderSchema(kExtraField)), with_extra)).value() ==
        ExpectedOrder());

  KafkaAvroEncoder<Order> encode(registry.client(), "orders value/1", OrderSchema(""));
  const std::string message = encode(ExpectedOrder()).value();
  CHECK(message == Message(2, bytes));
  CHECK(Decode(decode, message).value() == ExpectedOrder());
  CHECK(registry.requests() ==
        std::vector<std::string>{"GET /schemas/ids/1", "POST /subjects/orders%20value%2F1/versions",
                                 "GET /schemas/ids/2"});
}

TEST_CASE("the schema of an encoder without one is that of its record") {
  Registry registry;
  KafkaAvroEncoder<Order> encode(registry.client(), "2-orders");
  const std::string message = encode(ExpectedOrder()).value();
  CHECK(registry.Text(1).starts_with(
      R"({"type":"record","name":"_2_orders","fields":[{"name":"user","type":"string"},)"
      R"({"name":"id","type":"long"},{"name":"small","type":"int"})"));
  CHECK(registry.Text(1).find(R"({"name":"note","type":["null","string"],"default":null})") !=
        std::string::npos);
  CHECK(registry.Text(1).find(R"({"type":"record","name":"lines","namespace":"_2_orders",)") !=
        std::string::npos);
  KafkaAvro<Order> decode(registry.client());
  CHECK(Decode(decode, message).value() == ExpectedOrder());
  CheckError(KafkaAvroEncoder<OneUnsigned>(registry.client(), "s")({UINT64_MAX}).status(),
             StatusCode::kInvalidArgument,
             {"subject 's'", "field 'x'", "18446744073709551615 does not fit in a long"});
  using Enum = KafkaAvroEncoder<OneString>;
  CheckError(Enum(registry.client(), "s",
                  Record(R"({"type":"enum","name":"E","symbols":["A"]})"))(OneString{"B"})
                 .status(),
             StatusCode::kInvalidArgument, {"field 'x'", "'B' is no symbol of the enum 'E'"});
  CheckError(Enum(registry.client(), "s", Record("\"int\""))({}).status(),
             StatusCode::kInvalidArgument,
             {"subject 's'", "field 'x'", "the schema has an int, the member is a string"});
  CheckError(Enum(registry.client(), "s", OrderSchema(""))({}).status(),
             StatusCode::kInvalidArgument, {"field 'id'", "no such column"});
  CheckError(Enum(registry.client(), "s", "{")({}).status(), StatusCode::kInvalidArgument,
             {"subject 's'", "the schema is malformed"});
}

TEST_CASE("values are promoted to the types of the members, or are errors that name the field") {
  CHECK(DecodeHex<OneDouble>(Record("\"int\""), "05").value().x == -3);
  CHECK(DecodeHex<OneDouble>(Record("\"float\""), "0000003f").value().x == 0.5);
  CHECK(DecodeHex<OneFloat>(Record("\"long\""), "06").value().x == 3);
  CHECK(DecodeHex<OneInt>(Record("\"long\""), "feffffff0f").value().x == INT32_MAX);
  CHECK(DecodeHex<OneString>(Record("\"bytes\""), "026f").value().x == "o");
  CHECK(DecodeHex<OneString>(Record(R"(["null","string","bytes"])"), "04026f").value().x == "o");
  CHECK(DecodeHex<OneOptional>(Record("\"null\""), "").value().x == std::nullopt);
  CHECK(DecodeHex<OneOptional>(Record("\"string\""), "026f").value().x == "o");
  CHECK(DecodeHex<OneOptional>(R"({"type":"record","name":"R","fields":[]})", "").value().x ==
        std::nullopt);
  CHECK(DecodeHex<OneNanoTime>(Record(R"({"type":"long","logicalType":"timestamp-millis"})"), "04")
            .value()
            .x.time_since_epoch() == std::chrono::milliseconds(2));
  // Blocks with their sizes in bytes, and several of them.
  CHECK(DecodeHex<OneList>(Record(R"({"type":"array","items":"string"})"), "0104026f 02026e 00")
            .value()
            .x == Strings{"o", "n"});

  const auto fails = [](const absl::Status& status,
                        const std::initializer_list<std::string>& parts) {
    CheckError(status, StatusCode::kInvalidArgument, parts);
  };
  fails(DecodeHex<OneInt>(Record("\"long\""), "8080808010").status(),
        {"schema 1: field 'x'", "2147483648 does not fit"});
  fails(DecodeHex<OneByte>(Record("\"int\""), "01").status(), {"-1 does not fit"});
  fails(DecodeHex<OneFloat>(Record("\"double\""), "").status(),
        {"field 'x'", "the schema has a double, the member is a float"});
  fails(DecodeHex<OneInt>(R"({"type":"record","name":"R","fields":[]})", "").status(),
        {"field 'x'", "the schema lacks this field"});
  fails(DecodeHex<Nested>(Record(Record("\"string\"", "S")), "").status(),
        {"field 'x.x'", "a string, the member is an integer"});
  fails(DecodeHex<OneString>(Record(R"(["null","string"])"), "00").status(),
        {"field 'x'", "it is null, and the member is not a std::optional"});
  fails(DecodeHex<OneString>(Record(R"(["int","string"])"), "0002").status(),
        {"field 'x'", "the schema has an int, the member is a string"});
  fails(DecodeHex<OneMilliTime>(Record(R"({"type":"long","logicalType":"timestamp-micros"})"), "00")
            .status(),
        {"field 'x'", "a long (timestamp-micros), the member is a time in milliseconds"});
  fails(DecodeHex<OneNanoTime>(Record(R"({"type":"long","logicalType":"timestamp-millis"})"),
                               "feffffffffffffffff01")
            .status(),
        {"field 'x'", "does not fit"});
  fails(DecodeHex<OneInt>("\"int\"", "00").status(), {"the schema has an int", "a struct"});
}

TEST_CASE("a tombstone is an error, but for an optional record") {
  Registry registry;
  CheckError(KafkaAvro<Order>(registry.client())(KafkaView{}).status(),
             StatusCode::kInvalidArgument, {"no value"});
  CHECK_FALSE(KafkaAvro<std::optional<Order>>(registry.client())(KafkaView{}).value().has_value());
}

TEST_CASE("hostile bytes are errors, within bounded time and memory") {
  const auto fails = [](const absl::Status& status,
                        const std::initializer_list<std::string>& parts) {
    CheckError(status, StatusCode::kDataLoss, parts);
  };
  const std::string strings = Record(R"({"type":"array","items":"string"})");
  const std::string nulls = Record(R"({"type":"array","items":"null"})");
  const std::string list =
      R"({"type":"record","name":"R","fields":[{"name":"next","type":["null","R"]}]})";
  Registry registry;
  KafkaAvro<OneInt> decode(registry.client());
  fails(Decode(decode, "").status(), {"0 bytes", "header of 5"});
  fails(Decode(decode, std::string(4, '\0')).status(), {"4 bytes"});
  fails(Decode(decode, "{\"x\":1}").status(), {"begins with the byte 123"});

  fails(DecodeHex<OneInt>(Record("\"int\""), "").status(), {"field 'x'", "ends within a number"});
  fails(DecodeHex<OneInt>(Record("\"int\""), "80").status(), {"ends within a number"});
  fails(DecodeHex<OneInt>(Record("\"int\""), "0000").status(), {"1 bytes behind its value"});
  fails(DecodeHex<OneInt>(Record("\"int\""), "8080808010").status(), {"more than 32 bits"});
  fails(DecodeHex<OneInt>(Record("\"long\""), "ffffffffffffffffff02").status(), {"64 bits"});
  fails(DecodeHex<OneInt>(Record("\"long\""), "8080808080808080808000").status(), {"64 bits"});
  fails(DecodeHex<OneBool>(Record("\"boolean\""), "02").status(), {"neither 0 nor 1"});
  fails(DecodeHex<OneDouble>(Record("\"double\""), "00").status(), {"8 bytes", "only 1"});
  fails(DecodeHex<OneString>(Record("\"string\""), "01").status(), {"negative: -1"});
  fails(DecodeHex<OneString>(Record("\"string\""), "feffffffffffffffff01").status(),
        {"a value of 9223372036854775807 bytes", "only 0"});
  fails(
      DecodeHex<OneString>(Record(R"({"type":"enum","name":"E","symbols":["A"]})"), "02").status(),
      {"the index 1"});
  fails(DecodeHex<OneOptional>(Record(R"(["null","string"])"), "01").status(), {"the index -1"});
  fails(DecodeHex<OneList>(strings, "feffffffffffffffff01").status(), {"ends within a number"});
  fails(DecodeHex<OneList>(strings, "ffffffffffffffffff01").status(), {"more than 63 bits"});
  fails(DecodeHex<OneList>(strings, "0108 026f").status(), {"a block of 4 bytes", "only 2"});
  fails(DecodeHex<OneList>(strings, "0102 026f 00").status(), {"size of a block"});
  fails(DecodeHex<OneListOfNothing>(nulls, "feffffffffffffffff01").status(),
        {"field 'x'", "more than 65536 values have no bytes"});
  // The same in a field that is skipped, and a record in itself: 100,000 times, and without end.
  const auto skipped = [&](const std::string& type, std::string_view hex) {
    return DecodeHex<OneOptional>(
               R"({"type":"record","name":"T","fields":[{"name":"y","type":)" + type + "}]}", hex)
        .status();
  };
  fails(skipped(R"({"type":"array","items":"null"})", "feffffffffffffffff01"), {"have no bytes"});
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "02";
  fails(skipped(list, deep), {"field 'y.next.next", "deeper than 64"});
  fails(skipped(R"({"type":"record","name":"R","fields":[{"name":"r","type":"R"}]})", ""),
        {"deeper than 64"});
  // 2^40 records of no bytes.
  std::string twice = R"({"type":"record","name":"R0","fields":[]})";
  for (int i = 1; i <= 40; ++i) {
    const std::string name = absl::StrCat("R", i - 1);
    twice = absl::StrCat(R"({"type":"record","name":"R)", i, R"(","fields":[{"name":"a","type":)",
                         twice, R"(},{"name":"b","type":")", name, R"("}]})");
  }
  fails(skipped(twice, ""), {"have no bytes"});
}

TEST_CASE("damaged messages are records or errors, whatever the damage") {
  std::mt19937_64 random(internal::TestSeed("kafka avro"));
  Registry registry;
  KafkaAvro<Order> decode(registry.client());
  const std::string message = Message(registry.Add(OrderSchema(kExtraField)),
                                      Bytes(absl::StrCat(kOrderHead, kOrderExtra, kOrderTail)));
  int errors = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string damaged = message;
    const auto place = [&] { return 5 + random() % (damaged.size() - 4); };
    for (uint64_t changes = 1 + random() % 3; changes > 0; --changes) {
      const size_t at = place();
      switch (random() % 4) {
        case 0:
          damaged.resize(at);
          break;
        case 1:
          damaged.insert(at, 1, static_cast<char>(random()));
          break;
        case 2:
          if (at < damaged.size()) damaged[at] = static_cast<char>(random());
          break;
        default:
          damaged.insert(at, message.substr(place() % message.size(), random() % 20));
      }
    }
    const absl::StatusOr<Order> order = Decode(decode, damaged);
    if (!order.ok()) ++errors;
  }
  CHECK(errors > 1000);
}

TEST_CASE("schemas that are malformed are errors, and names are resolved in their namespaces") {
  const auto fails = [](const std::string& text, const std::string& part) {
    CheckError(AvroSchema::Parse(text).status(), StatusCode::kInvalidArgument,
               {"the schema is malformed", part});
  };
  fails("", "JSON");
  fails("7", "a type is no name");
  fails("[]", "a type is no name");
  fails(R"({"typo":"int"})", "a type is no name");
  fails("\"text\"", "'text' is not defined");
  fails(R"({"type":"union"})", "a union is an array");
  fails(R"(["null",["int"]])", "a union contains a union");
  fails(R"({"type":"array"})", "an array lacks 'items'");
  fails(R"({"type":"map"})", "a map lacks 'values'");
  fails(R"({"type":"record","fields":[]})", "a record has no name");
  fails(R"({"type":"record","name":"a b","fields":[]})", "'a b' is no name");
  fails(R"({"type":"record","name":"a..b","fields":[]})", "'a..b' is no name");
  fails(R"({"type":"record","name":"R"})", "'R' has no fields");
  fails(R"({"type":"record","name":"R","fields":[{"name":"x"}]})", "lacks a name or a type");
  fails(R"({"type":"record","name":"R","fields":[{"name":"x","type":"int"},{"name":"x",)"
        R"("type":"int"}]})",
        "'x' of 'R' is there twice");
  fails(R"({"type":"fixed","name":"F","size":-1})", "'F' has no size");
  fails(R"({"type":"enum","name":"E"})", "'E' has no symbols");
  fails(R"([{"type":"fixed","name":"F","size":1},{"type":"fixed","name":"F","size":2}])",
        "'F' is defined twice");
  fails(std::string(100'000, '['), "JSON");
  std::string deep = "\"int\"";
  for (int i = 0; i < 900; ++i) deep = absl::StrCat(R"({"type":)", deep, "}");
  CheckOk(AvroSchema::Parse(deep).status());

  const auto schema = AvroSchema::Parse(
      R"({"type":"record","name":"a.R","fields":[{"name":"f","type":{"type":"fixed","name":"F",)"
      R"("size":3}},{"name":"g","type":"F"},{"name":"h","type":"a.F"},{"name":"r","type":"R"}]})");
  const internal::AvroNode& root = schema.value()->root();
  CHECK(root.children[0]->name == "a.F");
  CHECK(root.children[1] == root.children[0]);
  CHECK(root.children[2] == root.children[0]);
  CHECK(root.children[3] == &root);
}

TEST_CASE("a schema is fetched once by all threads, and failures are not kept") {
  std::atomic<int> calls{0};
  const HttpServer server([&](const HttpRequest& request) -> HttpReply {
    CHECK(request.headers.at("authorization") == "Basic dTpw");
    CHECK(request.headers.at("x-own") == "1");
    switch (calls++) {
      case 0:
        return {"404 Not Found", R"({"error_code":40403,"message":"Schema 7 not found"})"};
      case 1:
        return {"503 Service Unavailable", ""};
      case 2:
        return {"", ""};
      default:
        return {"200 OK", R"({"schema":"\"int\"","id":7})"};
    }
  });
  const SchemaRegistry registry({.url = "http://" + server.address(),
                                 .user = "u",
                                 .password = "p",
                                 .headers = {{"X-Own", "1"}}});
  CheckError(registry.Fetch(7).status(), StatusCode::kNotFound,
             {"http://127.0.0.1", "the schema 7", "status 404: Schema 7 not found (error 40403)"});
  std::vector<std::thread> threads;
  std::atomic<int> fetched{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] { fetched += registry.Fetch(7).ok() ? 1 : 0; });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(fetched == 4);
  CHECK(calls == 4);
}

TEST_CASE("a registry that refuses, fails, is silent or away is an error that names it") {
  const auto reply = [](const std::string& head, const std::string& body) {
    const HttpServer server([&](const HttpRequest&) { return HttpReply{head, body}; });
    const SchemaRegistry registry({.url = "http://" + server.address()});
    absl::Status status = registry.Fetch(7).status();
    CHECK(status.message().find("http://127.0.0.1") != std::string::npos);
    CHECK(registry.Register("topic-value", "\"int\"").status().code() == status.code());
    return status;
  };
  CheckError(reply("401 Unauthorized", "<html>"), StatusCode::kPermissionDenied,
             {"status 401: <html>"});
  CheckError(reply("409 Conflict", R"({"error_code":409,"message":"no"})"),
             StatusCode::kFailedPrecondition, {"status 409: no (error 409)"});
  CheckError(reply("422 Unprocessable Entity", R"({"message":"bad"})"),
             StatusCode::kInvalidArgument, {"bad"});
  CheckError(reply("500 Internal Server Error", "x"), StatusCode::kUnavailable, {"status 500: x"});
  CheckError(reply("200 OK", "no json"), StatusCode::kDataLoss,
             {"replied to the request for", "malformed JSON"});
  CheckError(reply("200 OK", std::string(5 << 20, ' ')), StatusCode::kResourceExhausted,
             {"more than 4194304 bytes"});

  const auto fetch = [](const std::string& body) {
    const HttpServer server([&](const HttpRequest&) { return HttpReply{"200 OK", body}; });
    return SchemaRegistry({.url = "http://" + server.address()}).Fetch(7).status();
  };
  CheckError(fetch(R"({"schema":"\"txt\""})"), StatusCode::kInvalidArgument,
             {"schema 7", "http://", "'txt' is not defined"});
  CheckError(fetch(R"({"schema":"","schemaType":"PROTOBUF"})"), StatusCode::kUnimplemented,
             {"schema 7", "is one of PROTOBUF"});
  CheckError(fetch(R"({"schema":"\"int\"","references":[{"name":"a"}]})"),
             StatusCode::kUnimplemented, {"schema 7", "refers to other schemas"});

  std::atomic<bool> is_over{false};
  std::string address;
  {
    const HttpServer silent([&](const HttpRequest&) {
      is_over.wait(false);
      return HttpReply{};
    });
    address = silent.address();
    const SchemaRegistry registry({.url = "http://" + address, .timeout = absl::Milliseconds(50)});
    CheckError(registry.Fetch(7).status(), StatusCode::kDeadlineExceeded,
               {address, "/schemas/ids/7", "within 50ms"});
    is_over = true;
    is_over.notify_all();
  }
  const SchemaRegistry away({.url = "http://" + address});
  CheckError(away.Fetch(7).status(), StatusCode::kUnavailable, {address, "cannot be reached"});

  for (const std::string url : {"", "host:80", "ftp://host", "http://u:p@host"}) {
    CheckError(SchemaRegistry({.url = url}).Fetch(1).status(), StatusCode::kInvalidArgument,
               {"write the url as"});
  }
  CheckError(SchemaRegistry({.url = "http://h", .headers = {{"A", "b\r\nC: d"}}}).Fetch(1).status(),
             StatusCode::kInvalidArgument, {"the header 'A'"});
}

TEST_CASE("records go through a topic as Avro, and a damaged message names its place") {
  const auto client =
      internal::KafkaClient::Open(internal::KafkaRole::kProducer, {{"test.mock.num.brokers", "1"}})
          .value();
  rd_kafka_mock_cluster_t* const cluster = rd_kafka_handle_mock_cluster(client->handle());
  const std::string brokers = rd_kafka_mock_cluster_bootstraps(cluster);
  rd_kafka_mock_topic_create(cluster, "orders", 2, 1);
  Registry registry;
  const SchemaRegistry schemas = registry.client();
  std::vector<int> numbers = NumbersTo(100);
  const auto produce = [&](const std::vector<int>& values, const auto& encode) {
    return RunInShape(
        Dataflow("produce",
                 [&, encode](Scope<>& scope) {
                   scope.Input("numbers", TestingSource(values)) |
                       Output("out", KafkaSink({.brokers = brokers, .topic = "orders"}, encode));
                 }),
        Shape{1, 2});
  };
  const auto consume = [&](Collected<int>& seen) {
    return RunInShape(
        Dataflow("consume",
                 [&](Scope<>& scope) {
                   scope.Input(
                       "in",
                       KafkaSource({.brokers = brokers, .topics = {"orders"}, .stops_at_end = true},
                                   KafkaAvro<OneInt>(schemas))) |
                       Map("number", [](const OneInt& one) { return one.x; }) |
                       CollectInto("collect", seen) | Output("out", CallbackSink([](int) {}));
                 }),
        Shape{1, 2});
  };
  CheckOk(produce(numbers,
                  [encode = KafkaAvroEncoder<OneInt>(schemas, "orders-value")](
                      int number) mutable -> absl::StatusOr<KafkaRecord> {
                    absl::StatusOr<std::string> value = encode(OneInt{number});
                    if (!value.ok()) return value.status();
                    return KafkaRecord{.key = absl::StrCat(number), .value = *std::move(value)};
                  }));
  Collected<int> seen;
  CheckOk(consume(seen));
  CHECK(seen.Sorted() == numbers);
  CHECK(registry.requests() ==
        std::vector<std::string>{"POST /subjects/orders-value/versions", "GET /schemas/ids/1"});

  CheckOk(produce({7}, [](int) { return KafkaRecord{.value = "text!", .partition = 1}; }));
  Collected<int> again;
  CheckError(consume(again), StatusCode::kDataLoss,
             {"orders/1 at offset", "begins with the byte 116"});
  CheckError(produce({7},
                     [](int) -> absl::StatusOr<KafkaRecord> {
                       return absl::InvalidArgumentError("no such record");
                     }),
             StatusCode::kInvalidArgument, {"step 'out'", "no such record"});
}

}  // namespace
}  // namespace headway
