// JsonLines reads a record from each line, however the workers share the files, and says where a
// line is bad. The sources read the files of the sinks of JSON and CSV.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "tests/comm/test_seed.h"
#include "tests/engine/run_helpers.h"
#include "tests/engine/snapshot_store.h"
#include "tests/engine/thread_cluster.h"
#include "tests/operators/compress.h"
#include "tests/operators/resumed_runs.h"
#include "tests/temporary_directory.h"

namespace headway {

struct Point {
  double x = 0;
  double y = 0;
  auto operator<=>(const Point&) const = default;
};
HEADWAY_COLUMNS(Point, x, y);

struct Event {
  int64_t id = 0;
  std::string name;
  bool is_new = false;
  std::optional<double> score;
  std::vector<Point> points;
  std::map<std::string, int> counts;
  auto operator<=>(const Event&) const = default;
};
HEADWAY_COLUMNS(Event, id, name, is_new, score, points, counts);

struct Named {
  int64_t id = 0;
  std::string name;
  std::optional<double> score;
  auto operator<=>(const Named&) const = default;
};
HEADWAY_COLUMNS(Named, id, name, score);

struct Color {
  int code = 0;
};
std::string ToString(const Color& color) { return "#" + std::to_string(color.code); }

namespace {

using absl::StatusCode;

template <class D, class Source>
absl::Status Read(const Source& source, std::vector<D>* records, Shape shape = {1, 2}) {
  Collected<D> collected;
  Dataflow flow("json", [&](Scope<>& scope) {
    scope.Input("file", source) | CollectInto("collect", collected);
  });
  absl::Status status = RunInShape(flow, shape);
  *records = collected.Sorted();
  return status;
}

template <class D>
absl::Status Write(const std::vector<D>& records, const auto& sink) {
  Dataflow flow("write", [&](Scope<>& scope) {
    scope.Input("in", TestingSource(records)) | Output("out", sink);
  });
  return RunInShape(flow, {1, 2});
}

TEST_CASE("lines become structs by the names of their fields") {
  TemporaryDirectory dir;
  const std::string path = dir.Write(
      "file.json",
      R"({"id":1,"name":"a\n\u00e9","is_new":true,"score":null,"points":[],"counts":{}})"
      "\n\n  \r\n"
      R"({"other":[1,{"id":7}],"counts":{"x":1,"y":-2},"points":[{"y":2,"x":1.5},{"x":0,"y":1e3}],)"
      R"("is_new":false,"name":"","id":-9223372036854775808,"score":2})"
      "\r\n"
      R"({"id":3,"name":"no score","is_new":false,"points":[],"counts":{}})");
  std::vector<Event> events;
  CheckOk(Read<Event>(JsonLines<Event>(path), &events));
  CHECK(events ==
        std::vector<Event>{{INT64_MIN, "", false, 2, {{1.5, 2}, {0, 1000}}, {{"x", 1}, {"y", -2}}},
                           {1, "a\n\xc3\xa9", true, std::nullopt, {}, {}},
                           {3, "no score", false, std::nullopt, {}, {}}});
}

TEST_CASE("a function reads a value by names and indices") {
  TemporaryDirectory dir;
  const std::string path = dir.Write(
      "file.json", R"({"user":{"id":18446744073709551615,"tags":["a","b"]},"none":null})");
  std::vector<std::string> texts;
  CheckOk(Read<std::string>(JsonLines(path,
                                      [](const JsonValue& line) {
                                        uint64_t id = 0;
                                        std::string_view tag;
                                        std::vector<std::string> tags;
                                        CheckOk(line["user"]["id"].Read(id));
                                        CHECK(id == UINT64_MAX);
                                        CheckOk(line["user"]["tags"][1].Read(tag));
                                        CheckOk(line["user"]["tags"].Read(tags));
                                        CHECK(tags == std::vector<std::string>{"a", "b"});
                                        CHECK(line["user"]["tags"].size() == 2);
                                        CHECK(line.size() == 2);
                                        CHECK(line["none"].is_null());
                                        CHECK(line["none"].exists());
                                        CHECK(!line["user"]["tags"][2].exists());
                                        CHECK(!line["nothing"]["in"]["it"].exists());
                                        CHECK(!line["user"][0].exists());
                                        return std::string(tag);
                                      }),
                            &texts));
  CHECK(texts == std::vector<std::string>{"b"});
}

TEST_CASE("a field that is missing or of another type is an error with its name and line") {
  TemporaryDirectory dir;
  for (const auto& [line, error] : std::vector<std::pair<std::string, std::string>>{
           {R"({"name":"a"})", "field 'id' is missing"},
           {R"({"id":"7","name":"a"})", "field 'id' is '\\\"7\\\"', not an integer"},
           {R"({"id":1.5,"name":"a"})", "field 'id' is '1.5', not an integer"},
           {R"({"id":9223372036854775808,"name":"a"})", "field 'id' is '9223372036854775808', not"},
           {R"({"id":1,"name":["a"]})", "field 'name' is an array, not a string"},
           {R"({"id":1,"name":null})", "field 'name' is 'null', not a string"},
           {R"({"id":1,"name":"a","score":"x"})", "field 'score' is"},
           {R"([1,2])", "field 'id' is missing"},
       }) {
    CAPTURE(line);
    const std::string path = dir.Write("file.json", "{\"id\":0,\"name\":\"\"}\n\n" + line + "\n");
    std::vector<Named> records;
    CheckError(Read<Named>(JsonLines<Named>(path), &records), StatusCode::kInvalidArgument,
               {"step 'file'", "'" + path + "', line 3: " + error});
  }
}

TEST_CASE("a line that is no JSON is an error with its line, whatever is read of it") {
  TemporaryDirectory dir;
  const auto nothing = [](const JsonValue&) { return 1; };
  const std::string deep = std::string(10'000, '[') + std::string(10'000, ']');
  for (const auto& [line, error] : std::vector<std::pair<std::string, std::string>>{
           {R"({"id":1,)", "malformed JSON"},
           {R"({"id":1} {"id":2})", "malformed JSON"},
           {R"({"id":01})", "malformed JSON"},
           {R"({'id':1})", "malformed JSON"},
           {R"({"id":NaN})", "malformed JSON"},
           {R"({"id":99999999999999999999999})", "malformed JSON"},
           {R"("open)", "malformed JSON"},
           {std::string("{\"a\":\"\0\"}", 9), "malformed JSON"},
           {std::string("\0", 1), "malformed JSON"},
           {"{\"a\":\"\xff\"}", "malformed JSON (The input is not valid UTF-8"},
           {"\"\xed\xa0\x80\"", "UTF-8"},
           {deep, "too deep"},
           {std::string(10'000, '['), "malformed JSON"},
       }) {
    CAPTURE(line.substr(0, 50));
    const std::string path = dir.Write("file.json", "{}\n" + line + "\n{}\n");
    std::vector<int> records;
    const absl::Status status = Read<int>(JsonLines(path, nothing), &records);
    CheckError(status, StatusCode::kInvalidArgument,
               {"step 'file'", "'" + path + "', line 2: ", error});
    CHECK(status.message().size() < 600);
    CheckOk(Read<int>(JsonLines(path, nothing, {.bad_lines = BadLines::kSkip}), &records));
    CHECK(records.size() == 2);
  }
}

TEST_CASE("a line of more than 64 MiB is an error with its line") {
  TemporaryDirectory dir;
  const std::string path =
      dir.Write("file.json", "{}\n{}\n\"" + std::string((64 << 20) + 10, 'x') + "\"\n");
  std::vector<int> records;
  CheckError(Read<int>(JsonLines(path, [](const JsonValue&) { return 1; }), &records, {1, 1}),
             StatusCode::kInvalidArgument,
             {"'" + path + "', line 3: the line is longer than 64 MiB"});
}

TEST_CASE("bad lines come out as records, with their text") {
  TemporaryDirectory dir;
  const std::string path =
      dir.Write("file.json",
                "{\"id\":1,\"name\":\"a\"}\n{\"id\"\n{\"id\":2,\"name\":\"b\"}\n"
                "{\"id\":3}\n");
  Collected<Named> good;
  Collected<std::string> texts;
  Dataflow flow("json", [&](Scope<>& scope) {
    auto [records, bad] =
        scope.Input("file", WithBadLines(JsonLines<Named>(path))) | Split("bad lines");
    records | CollectInto("good", good);
    bad | Inspect("bad", [&](const BadLine& line) {
      texts.Add(ToString(line).substr(path.size() + 2, 9) + line.text);
    });
  });
  CheckOk(RunInShape(flow, {2, 2}));
  CHECK(good.Sorted() == std::vector<Named>{{1, "a", std::nullopt}, {2, "b", std::nullopt}});
  CHECK(texts.Sorted() == std::vector<std::string>{", line 2:{\"id\"", ", line 4:{\"id\":3}"});
}

// Records with strings that need escapes and quotes.
std::vector<Named> RandomRecords(std::mt19937_64& random, int count) {
  std::vector<Named> records;
  std::vector<std::string> pieces = {"\"", "\\", "\n",    ",",    "\x01", "\t", "caf\xc3\xa9",
                                     "\r", "/",  "plain", "\x7f", " ",    "'",  "{}"};
  for (int i = 0; i < count; ++i) {
    // Some are long, so that files have several stripes.
    if (i % 100 == 0) pieces.back() = std::string(random() % 4000, 'x');
    Named record{.id = static_cast<int64_t>(random()), .name = "", .score = std::nullopt};
    for (size_t size = random() % 8; size > 0; --size) {
      record.name += pieces[random() % pieces.size()];
    }
    if (random() % 3 > 0) record.score = std::ldexp(static_cast<double>(random()), -40);
    records.push_back(std::move(record));
  }
  return records;
}

TEST_CASE("the records of the sinks are read back, in each shape of cluster, also compressed") {
  const uint64_t seed = internal::TestSeed("records of the sinks");
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  TemporaryDirectory dir;
  std::vector<Named> records = RandomRecords(random, 2000);
  CheckOk(Write(records, JsonLinesSink(dir / "file.json")));
  CheckOk(Write(records, CsvSink(dir / "file.csv")));
  dir.Write("file.json.gz", Gzip(dir.Read("file.json")));
  const InputPaths json = {dir / "file.json", dir / "file.json.gz"};
  std::sort(records.begin(), records.end());
  std::vector<Named> twice;
  for (const Named& record : records) twice.insert(twice.end(), {record, record});
  for (Shape shape : kShapes) {
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    std::vector<Named> read;
    CheckOk(Read<Named>(JsonLines<Named>(json), &read, shape));
    bool equal = read == twice;
    CHECK_MESSAGE(equal, read.size() << " records");
    CheckOk(Read<Named>(CsvFile<Named>(dir / "file.csv"), &read, shape));
    equal = read == records;
    CHECK_MESSAGE(equal, read.size() << " records");
  }
}

TEST_CASE("runs that resume in the middle, with other numbers of workers, read each line once") {
  const uint64_t seed = internal::TestSeed("resumed lines");
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  TemporaryDirectory dir;
  std::vector<Named> records = RandomRecords(random, 3000);
  CheckOk(Write(records, JsonLinesSink(dir / "a")));
  dir.Write("b", Zstd(dir.Read("a")));
  ResumedRuns<JsonLines<Named>, Named> runs(JsonLines<Named>({dir / "a", dir / "b"}));
  std::vector<Named> all;
  for (const auto& [workers, committed] :
       std::vector<std::pair<int, Epoch>>{{2, 7}, {1, 5}, {3, 1'000'000}}) {
    std::vector<Named> read;
    CheckOk(runs.Run(workers, &read, committed));
    all.insert(all.end(), read.begin(), read.end());
  }
  std::vector<Named> expected = records;
  expected.insert(expected.end(), records.begin(), records.end());
  std::sort(expected.begin(), expected.end());
  std::sort(all.begin(), all.end());
  const bool equal = all == expected;
  CHECK_MESSAGE(equal, all.size() << " records");
}

TEST_CASE("the JSON of each type of record") {
  TemporaryDirectory dir;
  const auto json = [&](const auto& record) {
    CheckOk(Write(std::vector<std::remove_cvref_t<decltype(record)>>(1, record),
                  JsonLinesSink(dir / "out", {ExistingFile::kOverwrite})));
    return dir.Read("out");
  };
  CHECK(json(1) == "1\n");
  CHECK(json(std::string("a\"\\\n\t\r\x1f\x7f")) == "\"a\\\"\\\\\\n\\t\\r\\u001f\x7f\"\n");
  CHECK(json(std::pair(true, 'x')) == "[true,\"x\"]\n");
  CHECK(json(std::tuple(0.1, std::numeric_limits<double>::infinity(), uint64_t{UINT64_MAX})) ==
        "[0.1,null,18446744073709551615]\n");
  CHECK(json(std::vector<std::optional<int>>{1, std::nullopt}) == "[1,null]\n");
  CHECK(json(std::map<int, std::vector<bool>>{{1, {true}}, {2, {}}}) ==
        "{\"1\":[true],\"2\":[]}\n");
  CHECK(json(std::variant<int, std::string>("x")) == "\"x\"\n");
  CHECK(json(Color{7}) == "\"#7\"\n");
  CHECK(json(Event{1, "a", true, 1.5, {{1, 2}}, {{"k", 3}}}) ==
        "{\"id\":1,\"name\":\"a\",\"is_new\":true,\"score\":1.5,\"points\":[{\"x\":1,\"y\":2}],"
        "\"counts\":{\"k\":3}}\n");
  CheckError(Write(std::vector<std::string>{"caf\xe9"}, JsonLinesSink(dir / "latin")),
             StatusCode::kInvalidArgument, {"step 'out'", "a string that is not UTF-8"});
}

TEST_CASE("the CSV of each type of record, with and without a header") {
  TemporaryDirectory dir;
  const auto csv = [&](const auto& record, const std::vector<std::string>& columns = {}) {
    CheckOk(
        Write(std::vector<std::remove_cvref_t<decltype(record)>>(1, record),
              CsvSink(dir / "out", {.existing = ExistingFile::kOverwrite, .columns = columns})));
    return dir.Read("out");
  };
  CHECK(csv(1) == "1\n");
  CHECK(csv(std::string()) == "\"\"\n");
  CHECK(csv(std::string("a,b"), {"text"}) == "text\n\"a,b\"\n");
  CHECK(csv(std::tuple(1, std::string("\""), 0.5), {"a", "b,", "c"}) ==
        "a,\"b,\",c\n1,\"\"\"\",0.5\n");
  CHECK(csv(std::pair(true, std::optional<int>())) == "1,\n");
  CHECK(csv(std::vector<std::string>{"x", "", "y\nz"}) == "x,,\"y\nz\"\n");
  CHECK(csv(Named{1, "n", std::nullopt}) == "id,name,score\n1,n,\n");
  CheckError(Write(std::vector<std::vector<int>>{{1, 2}, {3}},
                   CsvSink(dir / "ragged", {.columns = {"a", "b"}})),
             StatusCode::kInvalidArgument,
             {"step 'out'", "a record has 1 fields, but there are 2 columns"});
  const std::string in = dir.Write("in.csv", "z;y\n\"1;\";,\n");
  Dataflow flow("copy", [&](Scope<>& scope) {
    scope.Input("in", CsvFile(in, {.delimiter = ';'})) | Output("out", CsvSink(dir / "copy.csv"));
  });
  CheckOk(RunInShape(flow, {2, 1}));
  CHECK(dir.Read("copy.csv") == "z,y\n1;,\",\"\n");
}

TEST_CASE(
    "the header of a CSV file is written once, also if the run resumes or a file is continued") {
  TemporaryDirectory dir;
  std::vector<Named> records;
  std::string expected = "id,name,score\n";
  for (int i = 0; i < 40; ++i) {
    records.push_back({i, "n", std::nullopt});
    expected += std::to_string(i) + ",n,\n";
  }
  SnapshotStore store;
  Epoch first = 0;
  for (int workers : {1, 3, 2, 8}) {
    CAPTURE(workers);
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("records", TestingSource(records)) | Output("out", CsvSink(dir / "out.csv"));
      store.RestoreInto(scope);
      store.Listen(scope);
    });
    CheckOk(RunMain(flow, {.worker_count = workers,
                           .epoch_config = TestingEpochConfig{},
                           .first_epoch = first,
                           .apply_in_epoch_order = true}));
    CHECK(dir.Read("out.csv") == expected);
    store.Cut(first + 7);
    first += 8;
  }
  CheckOk(Write(std::vector<Named>{{40, "", 1}},
                CsvSink(dir / "out.csv", {.existing = ExistingFile::kAppend})));
  CHECK(dir.Read("out.csv") == expected + "40,,1\n");
}

}  // namespace
}  // namespace headway
