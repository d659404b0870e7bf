#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/store/postgres.h"
#include "headway.h"
#include "operators/postgres/postgres_marks.h"
#include "operators/postgres/postgres_sink.h"
#include "operators/postgres/postgres_source.h"
#include "operators/postgres/postgres_table.h"
#include "tests/engine/run_helpers.h"
#include "tests/engine/store/memory_store.h"
#include "tests/engine/store/postgres_server.h"
#include "tests/engine/thread_cluster.h"
#include "tests/temporary_directory.h"

namespace headway {
namespace {

using internal::MemoryStore;
using internal::PostgresConnection;
using internal::PostgresMarks;
using internal::PostgresServer;

// The server of the test program, which all its tests share. Null: the machine has no PostgreSQL,
// and the log says so.
PostgresServer* Server() {
  static std::string reason;
  static const std::unique_ptr<PostgresServer> server = PostgresServer::Start(&reason);
  if (server == nullptr) MESSAGE("skipped: " << reason);
  return server.get();
}

std::unique_ptr<PostgresConnection> Connection(const PostgresServer& server) {
  auto connection = PostgresConnection::Connect(server.uri(""), "the test", absl::Seconds(30));
  REQUIRE(connection.ok());
  CheckOk((*connection)->Execute("SET timezone = 'UTC'; SET application_name = 'test'"));
  return *std::move(connection);
}

// The rows of a query, each with a bar between its columns.
std::vector<std::string> Rows(PostgresConnection& connection, const std::string& sql) {
  const auto result = connection.Query(sql.c_str());
  CheckOk(result.status());
  std::vector<std::string> rows;
  for (int row = 0; result.ok() && row < result->row_count(); ++row) {
    std::string text;
    for (int column = 0; column < PQnfields(result->get()); ++column) {
      absl::StrAppend(&text, column == 0 ? "" : "|");
      text += result->is_null(row, column) ? "NULL" : result->bytes(row, column);
    }
    rows.push_back(text);
  }
  return rows;
}
std::vector<std::string> Rows(const PostgresServer& server, const std::string& sql) {
  return Rows(*Connection(server), sql);
}

PostgresSinkOptions Into(const PostgresServer& server, const std::string& table) {
  return {.connection = server.uri(""), .table = table};
}

// Runs records through a sink.
template <class D, class Sink>
absl::Status Write(const std::vector<D>& records, Sink sink) {
  return RunMain(Dataflow("write", [&](Scope<>& scope) {
    scope.Input("records", TestingSource(records)) | Output("out", sink);
  }));
}

enum class Color { kRed, kBlue };
std::string ToString(const Color& color) { return color == Color::kRed ? "red" : "blue"; }

bool FromText(std::string_view text, Color& color) {
  color = text == "red" ? Color::kRed : Color::kBlue;
  return text == "red" || text == "blue";
}

struct Everything {
  bool flag = false;
  int64_t number = 0;
  double real = 0;
  std::string text = {};
  std::vector<std::byte> bytes = {};
  std::optional<int32_t> maybe = {};
  absl::Time at = {};
  std::chrono::sys_time<std::chrono::milliseconds> also = {};
  Color color = Color::kRed;
  std::chrono::sys_days day = {};
};
HEADWAY_COLUMNS(Everything, flag, number, real, text, bytes, maybe, at, also, color, day);

TEST_CASE("all types, and NULL, are what was written") {
  PostgresServer* const server = Server();
  if (server == nullptr) return;
  server->Execute(
      "CREATE TABLE everything(color text, also timestamptz, at timestamptz, maybe integer, "
      "bytes bytea, text text, \\\"real\\\" double precision, number bigint, flag boolean, day "
      "date)");
  const std::vector<Everything> records = {
      {.flag = true,
       .number = std::numeric_limits<int64_t>::min(),
       .real = 0.1,
       .text = "tab\tline\nreturn\rslash\\ \\N \\. ü",
       .bytes = {std::byte{0}, std::byte{255}, std::byte{'\\'}},
       .maybe = -7,
       .at = absl::FromUnixMicros(1'700'000'000'123'456),
       .also = std::chrono::sys_time<std::chrono::milliseconds>(std::chrono::milliseconds(-1)),
       .color = Color::kBlue,
       .day = std::chrono::sys_days(std::chrono::days(-1))},
      {.real = -std::numeric_limits<double>::infinity(), .at = absl::InfiniteFuture()},
      {.number = 2,
       .real = std::numeric_limits<double>::quiet_NaN(),
       .at = absl::FromCivil(absl::CivilSecond(-4, 2, 29), absl::UTCTimeZone())},
  };
  PostgresSinkOptions into = Into(*server, "everything");
  into.timeout = absl::InfiniteDuration();
  CheckOk(Write(records, PostgresSink<Everything>(into)));
  PostgresTable<int64_t, Everything> table(
      {.connection = server->uri(""), .table = "everything", .key = "number"});
  const auto same = table(records[0].number);
  REQUIRE(same.ok());
  CHECK(same->value().flag);
  CHECK(same->value().real == records[0].real);
  CHECK(same->value().text == records[0].text);
  CHECK(same->value().bytes == records[0].bytes);
  CHECK(same->value().maybe == -7);
  CHECK(same->value().at == records[0].at);
  CHECK(same->value().also == records[0].also);
  CHECK(same->value().color == Color::kBlue);
  CHECK(same->value().day == records[0].day);
  const auto others = table.FindAll(std::vector<int64_t>{0, 17, 0, 2});
  REQUIRE(others.ok());
  CHECK((*others)[0]->at == absl::InfiniteFuture());
  CHECK_FALSE((*others)[0]->maybe.has_value());
  CHECK_FALSE((*others)[1].has_value());
  CHECK((*others)[3]->at == records[2].at);
  CHECK((*others)[2]->real == -std::numeric_limits<double>::infinity());
  CHECK(Rows(*server,
             "SELECT flag, number, real, text, bytes, maybe, at, also, color, day FROM everything "
             "ORDER BY number") ==
        std::vector<std::string>{
            "t|-9223372036854775808|0.1|tab\tline\nreturn\rslash\\ \\N \\. ü|\\x00ff5c|-7|"
            "2023-11-14 22:13:20.123456+00|1969-12-31 23:59:59.999+00|blue|1969-12-31",
            "f|0|-Infinity||\\x|NULL|infinity|1970-01-01 00:00:00+00|red|1970-01-01",
            "f|2|NaN||\\x|NULL|0005-02-29 00:00:00+00 BC|1970-01-01 00:00:00+00|red|1970-01-01"});
}

TEST_CASE("a time that its member cannot have is an error, and no other time") {
  using std::chrono::microseconds;
  using std::chrono::nanoseconds;
  using std::chrono::sys_time;
  PostgresServer* const server = Server();
  if (server == nullptr) return;
  server->Execute(
      "CREATE TABLE times(key text, at timestamptz);"
      "INSERT INTO times VALUES ('last', '9999-12-31 00:00+00'), ('end', 'infinity'), "
      "('ides', '0044-03-15 12:00+00 BC'), ('leap', '0005-02-29 00:00+00 BC')");
  const PostgresTableOptions options = {
      .connection = server->uri(""), .table = "times", .key = "key", .columns = {"at"}};
  PostgresTable<std::string, sys_time<microseconds>> micros(options);
  PostgresTable<std::string, sys_time<nanoseconds>> nanos(options);
  using namespace std::chrono_literals;
  CHECK(micros("last").value() == std::chrono::sys_days(9999y / 12 / 31));
  CHECK(micros("ides").value() == std::chrono::sys_days(-43y / 3 / 15) + 12h);
  CHECK(micros("leap").value() == std::chrono::sys_days(-4y / 2 / 29));
  CheckError(micros("end").status(), absl::StatusCode::kInvalidArgument, {"'at'", "infinity"});
  CheckError(nanos("last").status(), absl::StatusCode::kInvalidArgument, {"'at'", "9999-12-31"});
}

// (key, value) pairs: `count` rows of each of 10 keys.
std::vector<std::pair<std::string, int>> Pairs(int count) {
  std::vector<std::pair<std::string, int>> pairs;
  for (int i = 0; i < 10 * count; ++i) pairs.emplace_back(absl::StrCat("k", i % 10), i);
  return pairs;
}

TEST_CASE("rows are appended, or take the place of those with their key, whatever the batches") {
  PostgresServer* const server = Server();
  if (server == nullptr) return;
  server->Execute(
      "CREATE SCHEMA shop; CREATE TABLE shop.lines(key text, value integer);"
      "CREATE TABLE counts(value bigint, key text PRIMARY KEY)");
  for (const Shape shape : kShapes) {
    CAPTURE(shape.workers);
    server->Execute("TRUNCATE shop.lines; TRUNCATE counts");
    const auto pairs = Pairs(30);
    CheckOk(RunInShape(
        Dataflow("write",
                 [&](Scope<>& scope) {
                   PostgresSinkOptions append = Into(*server, "shop.lines");
                   append.columns = {"key", "value"};
                   append.batch_rows = 7;
                   PostgresSinkOptions upsert = append;
                   upsert.table = "counts";
                   upsert.key = {"key"};
                   const auto input = scope.Input("pairs", TestingSource(pairs));
                   input | Output("append", PostgresSink<std::pair<std::string, int>>(append));
                   input | Map("key", [](const auto& pair) { return std::string(pair.first); }) |
                       RunningCount("count") |
                       Output("upsert", PostgresSink<std::pair<std::string, int64_t>>(upsert));
                 }),
        shape, {.epoch_config = RecordCountEpochConfig{50}}));
    CHECK(Rows(*server, "SELECT count(*), sum(value), max(key) FROM shop.lines") ==
          std::vector<std::string>{"300|44850|k9"});
    CHECK(Rows(*server, "SELECT count(*), min(value), max(value) FROM counts") ==
          std::vector<std::string>{"10|30|30"});
  }
}

RunOptions With(std::shared_ptr<RecoveryStore> store, int workers) {
  return {.worker_count = workers,
          .epoch_config = RecordCountEpochConfig{50},
          .recovery_config = RecoveryConfig{.store = std::move(store)}};
}

// Cuts the connections of all sinks.
void CutConnections(const PostgresServer& server) {
  Rows(server,
       "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
       "WHERE application_name = 'headway'");
}

TEST_CASE(
    "each record is committed once, whatever fails in between, with other workers each time") {
  PostgresServer* const server = Server();
  if (server == nullptr) return;
  server->Execute(
      "CREATE TABLE once(value integer); CREATE TABLE last(key text PRIMARY KEY, value integer);"
      "CREATE TABLE often(value integer)");
  constexpr int kEnd = 1500;
  const std::vector<int> numbers = NumbersTo(kEnd);
  auto store = std::make_shared<MemoryStore>();
  // Three runs fail behind so many records, and the fourth with the store. The server dies once in
  // the fifth, and connections are cut now and then.
  for (int run = 0; run < 6; ++run) {
    CAPTURE(run);
    std::atomic<int> seen = 0;
    if (run == 3) store->CrashAt(store->calls() + 20, true);
    if (run == 4) store->Restart();
    const absl::Status status = RunMain(
        Dataflow(
            "copy",
            [&](Scope<>& scope) {
              PostgresSinkOptions append = Into(*server, "once");
              append.columns = {"value"};
              PostgresSinkOptions upsert = Into(*server, "last");
              upsert.columns = {"key", "value"};
              upsert.key = {"key"};
              PostgresSinkOptions plain = append;
              plain.table = "often";
              const auto input =
                  scope.Input("in", TestingSource(numbers)) | Map("fail", [&](int number) {
                    const int count = ++seen;
                    if (run < 3 && count == 300) {
                      throw std::runtime_error("it fails");
                    }
                    if (count % 170 == 0) CutConnections(*server);
                    if (run == 4 && count == 200) {
                      server->Stop();
                      server->StartAgain();
                    }
                    return number;
                  });
              input | Output("once", TransactionalPostgresSink<int>(append, 3));
              input | Output("often", PostgresSink<int>(plain));
              input | Map("key", [](int number) {
                return std::pair(absl::StrCat("k", number % 7), number);
              }) | Output("last", TransactionalPostgresSink<std::pair<std::string, int>>(upsert));
            }),
        With(store, 1 + run % 3));
    if (run > 3) CheckOk(status);
  }
  CHECK(Rows(*server, "SELECT count(*), count(DISTINCT value), min(value), max(value) FROM once") ==
        std::vector<std::string>{"1500|1500|0|1499"});
  CHECK(Rows(*server, "SELECT count(DISTINCT value) FROM often") ==
        std::vector<std::string>{"1500"});
  CHECK(Rows(*server, "SELECT count(*), min(value), max(value) FROM last") ==
        std::vector<std::string>{"7|1493|1499"});
}

TEST_CASE("a transaction whose connection is cut in its middle is committed once") {
  PostgresServer* const server = Server();
  if (server == nullptr) return;
  server->Execute("CREATE TABLE cut(value integer)");
  const std::vector<int> numbers = NumbersTo(200);
  const auto locker = Connection(*server);
  std::thread cutter;
  std::atomic<bool> begun = false;
  CheckOk(RunMain(Dataflow("cut",
                           [&](Scope<>& scope) {
                             PostgresSinkOptions options = Into(*server, "cut");
                             options.columns = {"value"};
                             scope.Input("in", TestingSource(numbers)) | Inspect("lock", [&](int) {
                               if (begun.exchange(true)) return;
                               // The sink is open. Its rows wait for the lock, and its
                               // mark is set.
                               CheckOk(locker->Execute("BEGIN; LOCK TABLE cut"));
                               cutter = std::thread([&] {
                                 while (Rows(*locker,
                                             "SELECT pg_terminate_backend(pid) FROM "
                                             "pg_locks WHERE NOT granted")
                                            .empty()) {
                                   std::this_thread::yield();
                                 }
                                 CheckOk(locker->Execute("COMMIT"));
                               });
                             }) | Output("out", TransactionalPostgresSink<int>(options));
                           }),
                  With(std::make_shared<MemoryStore>(), 1)));
  cutter.join();
  CHECK(Rows(*server, "SELECT count(*), count(DISTINCT value) FROM cut") ==
        std::vector<std::string>{"200|200"});
}

std::unique_ptr<internal::PostgresWriter> OpenLane(const PostgresSinkOptions& options,
                                                   uint64_t generation) {
  const SinkContext context{.step_id = "out", .store_id = options.table, .generation = generation};
  auto writer = internal::OpenPostgresWriter<int>(
      options, std::make_unique<PostgresMarks>(context, "lane"), SinkContext{});
  CheckOk(writer.status());
  return *std::move(writer);
}

absl::Status Publish(internal::PostgresWriter& writer, std::string_view row, uint64_t mark) {
  internal::PostgresBatch batch{.items = {&row, 1}, .mark = mark};
  absl::Status status = writer.Add(batch);
  while (status.ok()) {
    const absl::StatusOr<bool> is_idle = writer.IsIdle();
    status = is_idle.status();
    if (status.ok() && *is_idle) return status;
    std::this_thread::yield();
  }
  return status;
}

TEST_CASE("a writer of an earlier generation of a lane is fenced, and cannot hold the lane up") {
  PostgresServer* const server = Server();
  if (server == nullptr) return;
  server->Execute("CREATE TABLE fenced(value integer)");
  PostgresSinkOptions options = Into(*server, "fenced");
  options.columns = {"value"};
  const auto first = OpenLane(options, 1);
  CHECK(first->last_mark() == std::nullopt);
  CheckOk(Publish(*first, "1", 17));
  CheckOk(Publish(*first, "1", 17));  // its answer was lost
  const auto second = OpenLane(options, 2);
  CHECK(second->last_mark() == 17);
  CheckError(Publish(*first, "2", 18), absl::StatusCode::kAborted,
             {"the lane 'lane' of the sink belongs to a later generation"});
  CheckOk(Publish(*second, "3", 19));

  // One that stands still in a transaction.
  const auto zombie = Connection(*server);
  PostgresMarks marks({.step_id = "out", .store_id = "fenced", .generation = 2}, "lane");
  CheckOk(marks.Claim(*zombie));
  CheckOk(zombie->Execute("BEGIN"));
  CHECK(marks.Set(*zombie, 20).value());
  CHECK(OpenLane(options, 3)->last_mark() == 19);
  CHECK(zombie->Execute("COMMIT").code() == absl::StatusCode::kUnavailable);
  CHECK(Rows(*server, "SELECT * FROM fenced") == std::vector<std::string>{"1", "3"});
}

TEST_CASE(
    "a database that has lost transactions, or a run with a copy of the store, ends the run") {
  PostgresServer* const server = Server();
  if (server == nullptr) return;
  server->Execute("CREATE TABLE lost(value integer)");
  PostgresSinkOptions options = Into(*server, "lost");
  options.columns = {"value"};
  const auto first = OpenLane(options, 1);
  CheckOk(Publish(*first, "1", 17));
  // As a standby has it that was behind.
  server->Execute("UPDATE headway_marks SET epoch = 16 WHERE store = 'lost'");
  CutConnections(*server);
  CheckError(Publish(*first, "2", 18), absl::StatusCode::kFailedPrecondition,
             {"the database has lost transactions: it has committed epoch 17 of the lane 'lane'",
              "epoch 16 is the last"});
  const auto second = OpenLane(options, 2);
  CHECK(second->last_mark() == 16);
  CheckOk(Publish(*second, "3", 18));
  server->Execute("DELETE FROM headway_marks WHERE store = 'lost'");
  CutConnections(*server);
  CheckError(Publish(*second, "4", 19), absl::StatusCode::kFailedPrecondition,
             {"the database has lost transactions", "has no epoch"});

  const auto original = OpenLane(options, 3);
  CheckOk(Publish(*original, "5", 20));
  const auto copy = OpenLane(options, 3);
  CheckOk(Publish(*copy, "6", 21));
  CheckError(Publish(*original, "7", 21), absl::StatusCode::kAborted,
             {"another run with a copy of its recovery store"});
  CheckOk(Publish(*copy, "8", 22));
  CHECK(Rows(*server, "SELECT * FROM lost") == std::vector<std::string>{"1", "3", "5", "6", "8"});
}

TEST_CASE("a record whose text the server would refuse is no part of a committed epoch") {
  PostgresServer* const server = Server();
  if (server == nullptr) return;
  server->Execute("CREATE TABLE texts(text text)");
  const std::vector<int> numbers = NumbersTo(300);
  const auto store = std::make_shared<MemoryStore>();
  auto run = [&](std::string_view of_170) {
    return RunMain(
        Dataflow("texts",
                 [&](Scope<>& scope) {
                   PostgresSinkOptions options = Into(*server, "texts");
                   options.columns = {"text"};
                   scope.Input("in", TestingSource(numbers)) | Map("text", [&](int number) {
                     return number == 170 ? std::string(of_170) : absl::StrCat(number);
                   }) | Output("out", TransactionalPostgresSink<std::string>(options));
                 }),
        With(store, 1));
  };
  for (const std::string_view text :
       {std::string_view("a\0", 2), std::string_view("\xff"), std::string_view("\xc3"),
        std::string_view("\xed\xa0\x80"), std::string_view("\xc0\xaf")}) {
    CheckError(run(text), absl::StatusCode::kInvalidArgument,
               {"step 'out'", "not UTF-8", "the table 'texts'"});
  }
  CheckOk(run("ä€😀"));
  CHECK(Rows(*server, "SELECT count(*), count(DISTINCT text), max(length(text)) FROM texts") ==
        std::vector<std::string>{"300|300|3"});
}

TEST_CASE("rows of an outbox are not written to other columns") {
  const PostgresSinkOptions options = {.connection = "host=db", .table = "t"};
  const auto before = internal::PostgresTarget::Of(options, {"a", "b"});
  const auto after = internal::PostgresTarget::Of(options, {"b", "a"});
  REQUIRE(before.ok());
  REQUIRE(after.ok());
  internal::PostgresOutboxRows rows(*before);
  Outbox outbox;
  CheckOk(rows.Add("1\t2", outbox));
  CheckOk(rows.Add("", outbox));
  std::vector<std::string_view> items;
  outbox.AppendTo(items);
  const auto same = rows.RowsOf(items);
  REQUIRE(same.ok());
  CHECK(std::vector<std::string_view>(same->begin(), same->end()) ==
        std::vector<std::string_view>{"1\t2", ""});
  CheckError(internal::PostgresOutboxRows(*after).RowsOf(items).status(),
             absl::StatusCode::kFailedPrecondition,
             {"rows of the columns \"a\", \"b\"", "now writes \"b\", \"a\"", "drop-step"});
}

TEST_CASE("a connection to a server that stands still is lost when another has taken over") {
  PostgresServer* const server = Server();
  if (server == nullptr) return;
  const auto next = PostgresServer::Start(nullptr);
  const TemporaryDirectory directory;
  const std::string host = directory.path() + "/host";
  auto point_to = [&](const PostgresServer& of) {
    const std::string uri = of.uri("");
    const std::string sockets = uri.substr(uri.find("host=") + 5);
    std::filesystem::remove(host);
    std::filesystem::create_directory_symlink(sockets.substr(0, sockets.find('&')), host);
  };
  point_to(*server);
  auto connection = PostgresConnection::Connect(
      absl::StrCat("user=headway dbname=postgres host=", host), "the test", absl::Milliseconds(50));
  REQUIRE(connection.ok());
  CheckOk((*connection)->Execute("SELECT pg_sleep(0.2)"));  // is not lost meanwhile
  server->Suspend();
  point_to(*next);
  CheckError((*connection)->Execute("SELECT 1"), absl::StatusCode::kUnavailable,
             {"the server has not answered for 50ms"});
  server->Resume();
}

TEST_CASE("a run that fails does not wait for a server that stands still") {
  PostgresServer* const server = Server();
  if (server == nullptr) return;
  server->Execute("CREATE TABLE still(value integer)");
  const std::vector<int> numbers = NumbersTo(100);
  PostgresSinkOptions options = Into(*server, "still");
  options.columns = {"value"};
  options.batch_rows = 10;
  std::atomic<int> seen = 0;
  CheckError(
      RunMain(Dataflow("write",
                       [&](Scope<>& scope) {
                         scope.Input("in", TestingSource(numbers)) | Inspect("fail", [&](int) {
                           if (++seen == 15) server->Suspend();
                           if (seen == 25) throw std::runtime_error("it fails");
                         }) | Output("out", PostgresSink<int>(options));
                       })),
      absl::StatusCode::kAborted, {"step 'fail'", "it fails"});
  server->Resume();
}

TEST_CASE("rows are found by their keys, many with one query, though connections are cut") {
  PostgresServer* const server = Server();
  if (server == nullptr) return;
  server->Execute(
      "CREATE TABLE prices(product text PRIMARY KEY, price integer);"
      "INSERT INTO prices VALUES ('k1', 10), ('k2', NULL), ('a,\\\"b\\\\{}', 30)");
  using Price = std::optional<int>;
  const PostgresTable<std::string, Price> table(
      {.connection = server->uri(""), .table = "prices", .key = "product", .columns = {"price"}});
  const std::vector<std::string> keys = {"k1", "k2", "k3", "k1", "a,\"b\\{}"};
  std::vector<std::pair<std::string, int>> pairs;
  for (int i = 0; i < 100; ++i) pairs.emplace_back(keys[static_cast<size_t>(i) % 5], i);
  std::vector<std::string> joined;
  for (const auto& [key, number] : pairs) {
    joined.push_back(absl::StrCat(key, number,
                                  key == "k1"   ? " 10"
                                  : key == "k2" ? " NULL"
                                  : key == "k3" ? " none"
                                                : " 30"));
  }
  std::sort(joined.begin(), joined.end());
  auto text_of = [](std::string_view key, int number, const std::optional<Price>& price) {
    return absl::StrCat(std::string(key), number,
                        !price.has_value()    ? " none"
                        : !price->has_value() ? " NULL"
                                              : absl::StrCat(" ", **price));
  };
  for (const Shape shape : {Shape{1, 1}, Shape{2, 2}}) {
    Collected<std::string> queried;
    Collected<std::string> cached;
    std::atomic<int> seen = 0;
    CheckOk(RunInShape(
        Dataflow("join",
                 [&](Scope<>& scope) {
                   const auto input = scope.Input("pairs", TestingSource(pairs));
                   input |
                       Inspect("cut",
                               [&](const auto&) {
                                 if (++seen % 40 == 0) CutConnections(*server);
                               }) |
                       PostgresJoin("join", table) |
                       Map("text",
                           [&](const auto& row) {
                             return text_of(row.first, std::get<0>(row.second),
                                            std::get<1>(row.second));
                           }) |
                       CollectInto("queried", queried) | Output("out", CallbackSink([](auto) {}));
                   input |
                       EnrichCached<std::string>("enrich", table,
                                                 [&](auto& cache, const auto& pair) {
                                                   return text_of(pair.first, pair.second,
                                                                  cache.Get(pair.first));
                                                 }) |
                       CollectInto("cached", cached) | Output("out2", CallbackSink([](auto) {}));
                 }),
        shape, {.epoch_config = RecordCountEpochConfig{10}}));
    CHECK(queried.Sorted() == joined);
    CHECK(cached.Sorted() == joined);
  }
  PostgresTable<std::string, int> numbers(
      {.connection = server->uri(""), .table = "prices", .key = "product", .columns = {"price"}});
  CHECK(numbers("k1").value() == 10);
  CheckError(numbers("k2").status(), absl::StatusCode::kInvalidArgument,
             {"column 'price' is NULL"});
  CHECK(numbers(std::string("k1\0", 3)).value() == std::nullopt);
  CHECK(numbers("\xff").value() == std::nullopt);
  CheckError(
      (PostgresTable<int, std::string>(
           {.connection = server->uri(""), .table = "nowhere", .key = "a", .columns = {"b"}})(1)
           .status()),
      absl::StatusCode::kNotFound, {"the table 'nowhere'"});
}

struct Rate {
  double rate = 0;
  absl::Time since = {};
};
HEADWAY_COLUMNS(Rate, rate, since);

TEST_CASE("a table is read once, though the run fails, and gives the versions of a TemporalJoin") {
  PostgresServer* const server = Server();
  if (server == nullptr) return;
  server->Execute(
      "CREATE TABLE many(id integer PRIMARY KEY, name text); CREATE TABLE copy(id integer, n text);"
      "INSERT INTO many SELECT i, 'n' || i FROM generate_series(-5, 25000) AS i;"
      "CREATE TABLE rates(currency text PRIMARY KEY, \\\"rate\\\" float, since timestamptz);"
      "INSERT INTO rates VALUES ('eur', 1.5, '2020-01-01Z'), ('usd', 2, '2021-01-01Z')");
  auto store = std::make_shared<MemoryStore>();
  for (int run = 0; run < 3; ++run) {
    std::atomic<int> left = run < 2 ? 9000 : 100'000;
    RunOptions options = With(store, 1 + run);
    options.epoch_config = RecordCountEpochConfig{1000};
    const absl::Status status = RunMain(
        Dataflow("read",
                 [&](Scope<>& scope) {
                   PostgresSinkOptions copy = Into(*server, "copy");
                   copy.columns = {"id", "n"};
                   scope.Input("many",
                               PostgresSource<int, std::string>({.connection = server->uri(""),
                                                                 .table = "many",
                                                                 .key = "id",
                                                                 .columns = {"name"}})) |
                       Inspect("fail",
                               [&](const auto&) {
                                 if (--left == 0) throw std::runtime_error("it fails");
                                 if (left % 4000 == 0) CutConnections(*server);
                               }) |
                       Output("copy", TransactionalPostgresSink<std::pair<int, std::string>>(copy));
                 }),
        options);
    if (run == 2) CheckOk(status);
  }
  CHECK(Rows(*server,
             "SELECT count(*), count(DISTINCT id), min(id), max(id), "
             "bool_and(n = 'n' || id) FROM copy") ==
        std::vector<std::string>{"25006|25006|-5|25000|t"});

  Collected<std::string> priced;
  CheckOk(RunMain(Dataflow("price", [&](Scope<>& scope) {
    const absl::Time day = absl::FromCivil(absl::CivilDay(2020, 6, 1), absl::UTCTimeZone());
    const std::vector<std::pair<std::string, absl::Time>> orders = {
        {"eur", day}, {"usd", day}, {"usd", day + absl::Hours(24 * 365)}};
    const auto rates = scope.Input(
        "rates", PostgresSource<std::string, Rate>(
                     {.connection = server->uri(""), .table = "rates", .key = "currency"}));
    const EventClock order_clock([](const absl::Time& time) { return time; }, absl::Hours(0));
    // In the order of their keys.
    const EventClock rate_clock([](const Rate& rate) { return rate.since; },
                                absl::Hours(24 * 10'000));
    scope.Input("orders", TestingSource(orders)) |
        TemporalJoin("join", order_clock, rates, rate_clock) |
        Inspect(
            "collect",
            [&](const auto& row) {
              priced.Add(absl::StrCat(std::string(row.first), " ", std::get<1>(row.second).rate));
            }) |
        Output("out", CallbackSink([](const auto&) {}));
  })));
  CHECK(priced.Sorted() == std::vector<std::string>{"eur 1.5", "usd 2"});
}

TEST_CASE("a row is found by each text of its key, also in one batch") {
  PostgresServer* const server = Server();
  if (server == nullptr) return;
  server->Execute(
      "CREATE TABLE texts_of_keys(id uuid, n numeric(6,2), code char(4), value integer);"
      "INSERT INTO texts_of_keys VALUES "
      "('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 1, 'ab', 7)");
  auto find = [&](const std::string& key, const std::vector<std::string>& keys) {
    PostgresTable<std::string, int> table({.connection = server->uri(""),
                                           .table = "texts_of_keys",
                                           .key = key,
                                           .columns = {"value"}});
    const auto values = table.FindAll(keys);
    CheckOk(values.status());
    std::string text;
    for (const auto& value : values.value()) {
      absl::StrAppend(&text, value.has_value() ? absl::StrCat(*value) : "-");
    }
    return text;
  };
  CHECK(find("id", {"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
                    "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12"}) == "77-");
  CHECK(find("n", {"1", "1.0", "1.001", "1.00"}) == "77-7");
  CHECK(find("code", {"ab", "ab  ", "a", "abcde"}) == "77--");
}

TEST_CASE("errors say what, where and what to do") {
  PostgresServer* const server = Server();
  if (server == nullptr) return;
  server->Execute(
      "CREATE TABLE errors(name text NOT NULL, number integer CHECK (number < 100));"
      "CREATE ROLE guarded LOGIN PASSWORD 'right'");
  using Row = std::pair<std::optional<std::string>, std::string>;
  auto write = [&](PostgresSinkOptions options, Row row) {
    if (options.columns.empty()) options.columns = {"name", "number"};
    return Write(std::vector<Row>{{"first", "1"}, std::move(row)}, PostgresSink<Row>(options));
  };
  const PostgresSinkOptions good = Into(*server, "errors");
  CheckOk(write(good, {"x", "7"}));
  CheckError(write(good, {"x", "many"}), absl::StatusCode::kInvalidArgument,
             {"step 'out'", "the table 'errors' in the PostgreSQL database 'postgres' on host",
              "invalid input syntax for type integer", "column number", "the row is 'x\\tmany'",
              "see that the columns of the table fit"});
  CheckError(write(good, {"x", "1000"}), absl::StatusCode::kFailedPrecondition,
             {"errors_number_check", "the row is 'x\\t1000'", "constraints"});
  CheckError(write(good, {std::nullopt, "7"}), absl::StatusCode::kFailedPrecondition,
             {"null value in column", "\"name\""});
  CheckError(write(Into(*server, "nowhere"), {"x", "7"}), absl::StatusCode::kNotFound,
             {"step 'out'", "the table 'nowhere'", "create it"});
  PostgresSinkOptions wrong = good;
  wrong.columns = {"name", "age"};
  CheckError(write(wrong, {"x", "7"}), absl::StatusCode::kInvalidArgument, {"\"age\""});
  wrong.columns = {"name"};
  CheckError(write(wrong, {"x", "7"}), absl::StatusCode::kInvalidArgument,
             {"a record has 2 columns, and 1 are named"});
  wrong = good;
  wrong.key = {"name"};
  CheckError(write(wrong, {"x", "7"}), absl::StatusCode::kInvalidArgument, {"ON CONFLICT"});
  wrong.key = {"age"};
  CheckError(write(wrong, {"x", "7"}), absl::StatusCode::kInvalidArgument, {"the column 'age'"});

  server->Execute("CREATE VIEW seen AS SELECT * FROM errors; CREATE UNIQUE INDEX ON errors(name)");
  CheckError(write(Into(*server, "seen"), {"x", "7"}), absl::StatusCode::kInvalidArgument,
             {"cannot copy to view"});
  wrong.key = {"name"};
  CheckError(write(wrong, {std::nullopt, "7"}), absl::StatusCode::kInvalidArgument,
             {"step 'out'", "the table 'errors'", "NULL in the column 'name'"});
  const auto standby = Connection(*server);
  CheckOk(standby->Execute("SET default_transaction_read_only = on"));
  CHECK(standby->Execute("DELETE FROM errors").code() == absl::StatusCode::kUnavailable);

  PostgresSinkOptions away = good;
  away.connection = "host=/nowhere dbname=shop password=secret";
  away.timeout = absl::Milliseconds(50);
  const absl::Status no_server = write(away, {"x", "7"});
  CheckError(no_server, absl::StatusCode::kUnavailable,
             {"step 'out' on worker 0", "database 'shop' on host '/nowhere'", "No such file"});
  CHECK(std::string(no_server.message()).find("secret") == std::string::npos);

  away = good;
  away.connection = server->uri("dbname=missing");
  CheckError(write(away, {"x", "7"}), absl::StatusCode::kPermissionDenied,
             {"\"missing\" does not exist", "give the right database"});

  away.connection = "postgresql://host?nonsense";
  CheckError(write(away, {"x", "7"}), absl::StatusCode::kInvalidArgument,
             {"the connection string is malformed"});

  // The server asks this role for its password.
  const auto connection = Connection(*server);
  const std::string file = Rows(*connection, "SHOW hba_file")[0];
  CheckOk(connection->Execute(
      absl::StrCat("COPY (SELECT unnest(ARRAY['local all guarded scram-sha-256', ",
                   "'local all all trust'])) TO '", file, "'")
          .c_str()));
  server->Stop();
  server->StartAgain();
  PostgresSinkOptions refused = good;
  const std::string host = good.connection.substr(good.connection.find("host=") + 5);
  refused.connection = absl::StrCat("user=guarded password=wrong dbname=postgres host=",
                                    host.substr(0, host.find('&')));
  CheckError(write(refused, {"x", "7"}), absl::StatusCode::kPermissionDenied,
             {"password authentication failed", "give the right database, user and password"});
}

}  // namespace
}  // namespace headway
