// ParquetSource, ParquetBatches and ParquetSink: files are exchanged with pyarrow and DuckDB.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <compare>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "comm/system/file_descriptor.h"
#include "headway.h"
#include "operators/parquet/parquet_batches.h"
#include "operators/parquet/parquet_folder.h"
#include "operators/parquet/parquet_sink.h"
#include "operators/parquet/parquet_source.h"
#include "tests/comm/test_seed.h"
#include "tests/engine/run_helpers.h"
#include "tests/engine/store/memory_store.h"
#include "tests/engine/thread_cluster.h"
#include "tests/number_from_environment.h"
#include "tests/operators/resumed_runs.h"
#include "tests/operators/stopped_runs.h"
#include "tests/sanitizers.h"
#include "tests/temporary_directory.h"

namespace headway {
namespace {

using absl::StatusCode;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::sys_days;
using std::chrono::sys_time;

// Runs the program beside this file, with the Python of pyarrow.
void RunPython(const std::string& arguments) {
  const std::string command = absl::StrCat(HEADWAY_TEST_PYTHON, " ", HEADWAY_SOURCE_DIR,
                                           "/tests/operators/parquet/parquet_files.py ", arguments);
  REQUIRE_MESSAGE(std::system(command.c_str()) == 0, command);
}

// The files that parquet_files.py makes.
const TemporaryDirectory& Files() {
  static const TemporaryDirectory directory;
  static const bool made = (RunPython("make " + directory.path()), true);
  CHECK(made);
  return directory;
}

struct Point {
  int64_t x = 0;
  std::optional<double> y;
  bool operator==(const Point&) const = default;
};
HEADWAY_COLUMNS(Point, x, y);

struct Tag {
  std::string key;
  int64_t value = 0;
  bool operator==(const Tag&) const = default;
};
HEADWAY_COLUMNS(Tag, key, value);

// A column of each type. DuckDB's file lacks some of the optional ones, and all files `nowhere`.
struct Every {
  int64_t id = 0;
  bool flag = false;
  int8_t i8 = 0;
  int16_t i16 = 0;
  int32_t i32 = 0;
  uint8_t u8 = 0;
  uint16_t u16 = 0;
  uint32_t u32 = 0;
  uint64_t u64 = 0;
  float f = 0;
  double d = 0;
  std::string text;
  std::string large;
  std::optional<std::string> fixed;
  std::string color;
  sys_days day;
  sys_time<milliseconds> ms;
  sys_time<microseconds> us;
  std::optional<sys_time<nanoseconds>> ns;
  std::optional<int32_t> maybe = {};
  std::optional<std::string> maybe_text = {};
  std::vector<int32_t> numbers = {};
  std::optional<std::vector<std::string>> words = {};
  std::optional<std::vector<double>> pair;
  Point point;
  std::optional<Point> place = {};
  std::vector<Point> points = {};
  std::optional<std::vector<Tag>> tags;
  std::optional<int64_t> nowhere = {};
  bool operator==(const Every&) const = default;
};
HEADWAY_COLUMNS(Every, id, flag, i8, i16, i32, u8, u16, u32, u64, f, d, text, large, fixed, color,
                day, ms, us, ns, maybe, maybe_text, numbers, words, pair, point, place, points,
                tags, nowhere);

Point PointOf(int64_t i) {
  return {i, i % 2 == 1 ? std::nullopt : std::optional(static_cast<double>(i) / 2)};
}

// The row of parquet_files.py with this id.
Every EveryRow(int64_t i) {
  Every row{.id = i,
            .flag = i % 3 == 0,
            .i8 = static_cast<int8_t>(i % 128 - 64),
            .i16 = static_cast<int16_t>(i - 500),
            .i32 = static_cast<int32_t>(-i * 1000),
            .u8 = static_cast<uint8_t>(i % 256),
            .u16 = static_cast<uint16_t>(i * 60),
            .u32 = static_cast<uint32_t>((int64_t{1} << 31) + i),
            .u64 = (uint64_t{1} << 63) + static_cast<uint64_t>(i),
            .f = static_cast<float>(i) * 0.5F,
            .d = static_cast<double>(i) * 0.1,
            .text = absl::StrCat("row ", i),
            .large = std::string(static_cast<size_t>(i % 5), 'L'),
            .fixed = absl::StrCat(absl::Dec(i, absl::kZeroPad4)),
            .color = i % 3 == 0   ? "red"
                     : i % 3 == 1 ? "green"
                                  : "blue",
            .day = sys_days(std::chrono::days(i - 300)),
            .ms = sys_time<milliseconds>(milliseconds(i * 1000 - 1)),
            .us = sys_time<microseconds>(microseconds(i * 1000 - 1)),
            .ns = sys_time<nanoseconds>(nanoseconds(i * 1000 - 1)),
            .pair = std::vector<double>{static_cast<double>(i), -static_cast<double>(i)},
            .point = PointOf(i),
            .tags = std::vector<Tag>()};
  if (i % 5 != 0) row.maybe = static_cast<int32_t>(i);
  if (i % 4 != 0) row.maybe_text = absl::StrCat(i);
  for (int j = 0; j < i % 4; ++j) row.numbers.push_back(j);
  if (i % 7 != 0) row.words = std::vector<std::string>(static_cast<size_t>(i % 3), "w");
  if (i % 3 != 0) row.place = PointOf(i);
  for (int64_t j = 0; j < i % 3; ++j) {
    row.points.push_back({j, static_cast<double>(i)});
    row.tags->push_back({absl::StrCat("k", j), i});
  }
  return row;
}

struct Small {
  int64_t id = 0;
  double value = 0;
  auto operator<=>(const Small&) const = default;
};
HEADWAY_COLUMNS(Small, id, value);

// The rows of the ids from `begin` on.
std::vector<Small> SmallRows(int64_t begin, int64_t end) {
  std::vector<Small> rows;
  for (int64_t i = begin; i < end; ++i) rows.push_back({i, static_cast<double>(i) * 0.5});
  return rows;
}

template <class Row>
absl::Status ReadAll(const ParquetSource<Row>& source, std::vector<Row>* rows,
                     Shape shape = {1, 1}) {
  Collected<Row> seen;
  Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("rows", source) | CollectInto<Row>("collect", seen);
  });
  absl::Status status = RunInShape(flow, shape);
  *rows = seen.InOrder();
  std::sort(rows->begin(), rows->end(), [](const Row& a, const Row& b) { return a.id < b.id; });
  return status;
}

template <class Row>
void CheckRefused(const ParquetSource<Row>& source, StatusCode code,
                  std::initializer_list<std::string> parts) {
  std::vector<Row> rows;
  CheckError(ReadAll(source, &rows), code, parts);
}

TEST_CASE("columns of every type are read from files of pyarrow and DuckDB") {
  for (const std::string name : {"snappy", "zstd", "plain", "duckdb"}) {
    CAPTURE(name);
    std::vector<Every> rows;
    CheckOk(ReadAll(ParquetSource<Every>(Files() / (name + ".parquet")), &rows, {1, 2}));
    REQUIRE(rows.size() == 1000);
    for (const Every& row : rows) {
      Every expected = EveryRow(row.id);
      if (name == "duckdb") expected.fixed.reset(), expected.pair.reset();
      if (name == "duckdb") expected.ns.reset(), expected.tags.reset();
      REQUIRE(row == expected);
    }
  }
}

TEST_CASE("workers share the row groups of files, in all shapes") {
  for (const Shape shape : kShapes) {
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    std::vector<Small> rows;
    CheckOk(ReadAll(ParquetSource<Small>({Files() / "parts", Files() / "parts/[01].parquet"}),
                    &rows, shape));
    CHECK(rows == SmallRows(0, 400));
  }
}

TEST_CASE("a run that resumes continues in the middle of row groups, with other workers") {
  for (const Epoch committed : {1, 4, 11}) {
    CAPTURE(committed);
    ResumedRuns runs(ParquetSource<Small>(Files() / "parts"));
    std::vector<Small> all;
    for (const int workers : {2, 1, 3}) {
      std::vector<Small> rows;
      CheckOk(runs.Run(workers, &rows, workers == 3 ? 1'000'000 : committed, 7));
      all.insert(all.end(), rows.begin(), rows.end());
    }
    std::sort(all.begin(), all.end());
    CHECK(all == SmallRows(0, 400));
  }
}

TEST_CASE("a run that resumes reads new files, and notices files that were replaced or removed") {
  using Change = std::function<void(const std::string& directory)>;
  // Epochs of 7 rows are committed; the first file has row groups of 30, 30, 30 and 10 rows.
  const auto resume = [](Epoch committed, const Change& change, std::vector<Small>* all,
                         ParquetOptions options = {}) {
    TemporaryDirectory directory;
    std::filesystem::copy(Files() / "parts", directory / "parts");
    ResumedRuns runs(ParquetSource<Small>(directory / "parts", std::move(options)));
    CheckOk(runs.Run(1, all, committed, 7));
    change(directory / "parts");
    std::vector<Small> rows;
    absl::Status status = runs.Run(2, &rows, 1'000'000, 7);
    all->insert(all->end(), rows.begin(), rows.end());
    std::sort(all->begin(), all->end());
    return status;
  };
  const auto copy = [](const std::string& from, const std::string& to) {
    std::filesystem::copy_file(from, to, std::filesystem::copy_options::overwrite_existing);
  };
  std::vector<Small> all;
  CheckOk(resume(
      3, [&](const std::string& parts) { copy(Files() / "narrow.parquet", parts + "/9.parquet"); },
      &all));
  CHECK(all.size() == 410);
  // The same number of rows, with other values, where the run is and where it has been.
  for (const Epoch committed : {3, 6}) {
    CheckError(resume(
                   committed,
                   [](const std::string& parts) {
                     std::filesystem::rename(parts + "/1.parquet", parts + "/0.parquet");
                   },
                   &all),
               StatusCode::kDataLoss, {"step 'records'", "0.parquet#0", "was replaced"});
  }
  const Change shorten = [&](const std::string& parts) {
    copy(Files() / "narrow.parquet", parts + "/0.parquet");
  };
  CheckError(resume(3, shorten, &all), StatusCode::kDataLoss, {"0.parquet#0", "was replaced"});
  const Change remove = [](const std::string& parts) {
    std::filesystem::remove(parts + "/0.parquet");
  };
  CheckError(resume(3, remove, &all), StatusCode::kFailedPrecondition, {"0.parquet#0"});
  CheckOk(resume(3, remove, &all, {.vanished = VanishedPartitions::kForget}));
  CHECK(all.size() == 321);
  const Change retype = [&](const std::string& parts) {
    copy(Files() / "changed.parquet", parts + "/0.parquet");
  };
  CheckError(resume(3, retype, &all), StatusCode::kInvalidArgument,
             {"'id'", "0.parquet", "string", "int64"});
}

TEST_CASE("conditions skip row groups by their statistics, and files by their directories") {
  const std::string path = Files() / "parts";
  const auto read = [&](std::vector<ParquetCondition> where) {
    std::vector<Small> rows;
    CheckOk(ReadAll(ParquetSource<Small>(path, {.where = std::move(where)}), &rows));
    return rows;
  };
  // Row groups have 30, 30, 30 and 10 rows of each 100.
  CHECK(read({{"id", ParquetComparison::kGreater, 359}}) == SmallRows(360, 400));
  CHECK(read({{"id", ParquetComparison::kGreaterOrEqual, 359}}) == SmallRows(330, 400));
  CHECK(read({{"id", ParquetComparison::kLess, 30}}) == SmallRows(0, 30));
  CHECK(read({{"id", ParquetComparison::kLessOrEqual, 30}}) == SmallRows(0, 60));
  CHECK(read({{"value", ParquetComparison::kEqual, 20.0}}) == SmallRows(30, 60));
  CHECK(read({{"id", ParquetComparison::kGreater, 29}, {"value", ParquetComparison::kLess, 30}}) ==
        SmallRows(30, 60));
  CHECK(read({{"id", ParquetComparison::kEqual, 1000}}).empty());
  CheckRefused(ParquetSource<Small>(path, {.where = {{"id", ParquetComparison::kEqual, "x"}}}),
               StatusCode::kInvalidArgument,
               {"step 'rows'", "condition on 'id'", "a string", "0.parquet", "INT64"});
  CheckRefused(ParquetSource<Small>(path, {.where = {{"ID", ParquetComparison::kEqual, 1}}}),
               StatusCode::kInvalidArgument, {"no file has the column 'ID'"});
}

struct Hive {
  int64_t id = 0;
  double value = 0;
  int32_t part = 0;
  std::string name;
};
HEADWAY_COLUMNS(Hive, id, value, part, name);

struct HiveBool {
  int64_t id = 0;
  bool name = false;
};
HEADWAY_COLUMNS(HiveBool, id, name);

TEST_CASE("directories key=value are columns") {
  std::vector<Hive> rows;
  CheckOk(ReadAll(ParquetSource<Hive>(Files() / "hive"), &rows, {1, 2}));
  REQUIRE(rows.size() == 60);
  for (const Hive& row : rows) {
    CHECK(row.part == row.id % 3);
    CHECK(row.name == absl::StrCat("a b/", row.id % 2));
  }
  CheckOk(ReadAll(ParquetSource<Hive>(Files() / "hive",
                                      {.where = {{"part", ParquetComparison::kGreater, 1},
                                                 {"name", ParquetComparison::kEqual, "a b/1"}}}),
                  &rows));
  CHECK(rows.size() == 10);
  for (const Hive& row : rows) CHECK(row.part == 2);
  CheckRefused(ParquetSource<HiveBool>(Files() / "hive"), StatusCode::kInvalidArgument,
               {"'name=a b/0'", "data_0.parquet", "names no bool"});
}

TEST_CASE("files without rows end, and files that are not there are refused") {
  std::vector<Small> rows;
  for (const std::string name : {"empty.parquet", "no_groups.parquet"}) {
    CheckOk(ReadAll(ParquetSource<Small>(Files() / name), &rows, {1, 2}));
    CHECK(rows.empty());
  }
  CheckRefused(ParquetSource<Small>({Files() / "parts", Files() / "none*.parquet"}),
               StatusCode::kNotFound, {"none*.parquet"});
}

TEST_CASE("a damaged file ends the run with its name") {
  for (const std::string name : {"nothing", "truncated", "footer", "page", "text"}) {
    CheckRefused(ParquetSource<Small>(Files() / ("damaged/" + name + ".parquet")),
                 StatusCode::kDataLoss, {"step 'rows'", "/damaged/" + name + ".parquet"});
  }
}

struct Colored {
  int64_t id = 0;
  std::string color;
};
HEADWAY_COLUMNS(Colored, id, color);

TEST_CASE("an index that the dictionary lacks is an error") {
  CheckRefused(ParquetSource<Colored>(Files() / "damaged/index.parquet"), StatusCode::kDataLoss,
               {"step 'rows'", "/damaged/index.parquet", "'color'"});
}

template <class Unit>
struct At {
  int64_t id = 0;
  std::optional<sys_time<Unit>> at;
};
using AtMicroseconds = At<microseconds>;
using AtNanoseconds = At<nanoseconds>;
HEADWAY_COLUMNS(AtMicroseconds, id, at);
HEADWAY_COLUMNS(AtNanoseconds, id, at);

TEST_CASE("a time out of the range of its member is an error") {
  for (const std::string name : {"far", "far96"}) {
    std::vector<AtMicroseconds> rows;
    CheckOk(ReadAll(ParquetSource<AtMicroseconds>(Files() / (name + ".parquet")), &rows));
    REQUIRE(rows.size() == 2);
    CHECK(rows[0].at == sys_days(std::chrono::year(9999) / 12 / 31));
    CHECK_FALSE(rows[1].at.has_value());
    CheckRefused(ParquetSource<AtNanoseconds>(Files() / (name + ".parquet")),
                 StatusCode::kOutOfRange, {"'at'", "/" + name + ".parquet", "timestamp[ns]"});
  }
}

TEST_CASE("a condition on a time means the same in files of several units") {
  std::vector<AtMicroseconds> rows;
  for (const int64_t second : {9, 10, 19, 25}) {
    CAPTURE(second);
    const sys_time<std::chrono::seconds> from{std::chrono::seconds(second)};
    CheckOk(ReadAll(ParquetSource<AtMicroseconds>(
                        Files() / "units", {.where = {{"at", ParquetComparison::kGreater, from}}}),
                    &rows));
    CHECK(rows.front().id == (second + 1) / 10 * 10);
    CHECK(rows.back().id == 29);
  }
  CheckRefused(ParquetSource<Small>(Files() / "parts",
                                    {.where = {{"id", ParquetComparison::kGreater, sys_days()}}}),
               StatusCode::kInvalidArgument, {"condition on 'id'", "a time", "INT64"});
}

TEST_CASE("a row group is read if its statistics cannot be compared with a condition") {
  const auto count = [](const std::string& path, ParquetCondition condition) {
    std::vector<Small> rows;
    CheckOk(
        ReadAll(ParquetSource<Small>(Files() / path, {.where = {std::move(condition)}}), &rows));
    return rows.size();
  };
  CHECK(count("nan.parquet", {"value", ParquetComparison::kLess, 2000.0}) == 2);
  CHECK(count("nan.parquet", {"value", ParquetComparison::kGreater, 2000}) == 2);
  // No double has this integer.
  const int64_t odd = (int64_t{1} << 53) + 1;
  CHECK(count("large.parquet", {"value", ParquetComparison::kLess, odd}) == 2);
  CHECK(count("large.parquet", {"value", ParquetComparison::kLess, odd / 2}) == 0);
}

struct SmallIfAny {
  int64_t id = 0;
  std::optional<double> value;
};
HEADWAY_COLUMNS(SmallIfAny, id, value);

struct Narrow {
  int16_t id = 0;
};
HEADWAY_COLUMNS(Narrow, id);

TEST_CASE("integers are widened, and a column that is missing or has another type is refused") {
  std::vector<Small> rows;
  CheckOk(ReadAll(ParquetSource<Small>(Files() / "narrow.parquet"), &rows));
  CHECK(rows == SmallRows(0, 10));
  CheckRefused(ParquetSource<Narrow>(Files() / "narrow.parquet"), StatusCode::kInvalidArgument,
               {"'id'", "narrow.parquet", "int32", "int16"});
  CheckRefused(ParquetSource<Small>({Files() / "parts", Files() / "changed.parquet"}),
               StatusCode::kInvalidArgument, {"'id'", "/changed.parquet", "string", "int64"});
  CheckRefused(ParquetSource<Small>({Files() / "parts", Files() / "missing.parquet"}),
               StatusCode::kInvalidArgument, {"/missing.parquet", "no column 'value'"});
  CheckRefused(ParquetSource<Small>(Files() / "null.parquet"), StatusCode::kInvalidArgument,
               {"'id'", "null.parquet", "has a null"});
  std::vector<SmallIfAny> maybe;
  CheckOk(
      ReadAll(ParquetSource<SmallIfAny>({Files() / "parts/0.parquet", Files() / "missing.parquet"}),
              &maybe));
  CHECK(maybe.size() == 110);
  CHECK(std::count_if(maybe.begin(), maybe.end(),
                      [](const SmallIfAny& row) { return !row.value.has_value(); }) == 10);
}

TEST_CASE("batches have the columns that were asked for, of the row groups of a file") {
  Collected<std::pair<int64_t, int>> sizes;
  Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("batches", ParquetBatches(Files() / "parts", {"value"},
                                          {.where = {{"id", ParquetComparison::kLess, 100}}})) |
        Inspect("collect", [&](const std::shared_ptr<arrow::RecordBatch>& batch) {
          sizes.Add({batch->num_rows(), batch->num_columns()});
        });
  });
  CheckOk(RunMain(flow, {.worker_count = 2}));
  CHECK(sizes.Sorted() == std::vector<std::pair<int64_t, int>>{{10, 1}, {30, 1}, {30, 1}, {30, 1}});
}

TEST_CASE("a run of batches that is stopped resumes behind them, with other workers") {
  std::atomic<int64_t> rows = 0;
  StoppedRuns runs;
  const Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("batches", ParquetBatches(Files() / "parts")) | runs.StopHere("stop") |
        Inspect("count", [&](const auto& batch) { rows += batch->num_rows(); });
  });
  const std::vector<int> batches = runs.Run(flow, 5, {{1, 1}, {1, 2}});
  CHECK(batches[0] < 16);
  CHECK(batches[0] + batches[1] == 16);
  CHECK(rows == 400);
}

TEST_CASE("pyarrow, DuckDB and the source read the files of the sink") {
  std::vector<Every> rows;
  rows.reserve(1000);
  for (int64_t i = 0; i < 1000; ++i) rows.push_back(EveryRow(i));
  const TemporaryDirectory directory;
  std::string directories;
  for (const ParquetCompression compression :
       {ParquetCompression::kNone, ParquetCompression::kSnappy, ParquetCompression::kZstd}) {
    const std::string path = directory / std::to_string(static_cast<int>(compression));
    std::filesystem::create_directory(path);
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("rows", TestingSource(rows)) |
          Output("out",
                 ParquetSink<Every>(path, {.rows_per_group = 130, .compression = compression}));
    });
    CheckOk(RunMain(flow, {.epoch_config = RecordCountEpochConfig{300}}));
    std::vector<Every> read;
    CheckOk(ReadAll(ParquetSource<Every>(path), &read, {1, 2}));
    CHECK(read == rows);
    absl::StrAppend(&directories, " ", path);
  }
  RunPython("check" + directories);
}

struct Part {
  int64_t id = 0;
  int32_t part = 0;
  auto operator<=>(const Part&) const = default;
};
HEADWAY_COLUMNS(Part, id, part);

// A run that writes the ids from 0 to `end` to directories part=0, part=1 and part=2.
Dataflow Parts(int end, const std::string& directory, ParquetSinkOptions options = {}) {
  return Dataflow("parts", [=](Scope<>& scope) {
    scope.Input("numbers", TestingSource(NumbersTo(end))) | Redistribute("spread") |
        Map("row", [](int number) { return Part{number, number % 3}; }) |
        Output("out", ParquetSink<Part>(directory, ParquetDirectories{{"part"}}, options));
  });
}

void CheckParts(const std::string& directory, int64_t end) {
  std::vector<Part> rows;
  CheckOk(ReadAll(ParquetSource<Part>(directory), &rows));
  std::vector<Part> expected;
  for (int64_t i = 0; i < end; ++i) expected.push_back({i, static_cast<int32_t>(i % 3)});
  REQUIRE(rows == expected);
}

RunOptions With(std::shared_ptr<RecoveryStore> store) {
  return {.epoch_config = RecordCountEpochConfig{3},
          .recovery_config = RecoveryConfig{.store = std::move(store)}};
}

TEST_CASE("rows are divided into directories, in all shapes") {
  for (const Shape shape : kShapes) {
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    TemporaryDirectory directory;
    CheckOk(RunInShape(Parts(100, directory.path()), shape,
                       {.epoch_config = RecordCountEpochConfig{30}}));
    CheckParts(directory.path(), 100);
    if (shape.total() == 4) RunPython("check_hive " + directory.path());
  }
}

TEST_CASE("a function names the directories of rows") {
  TemporaryDirectory directory;
  const auto run = [&](const std::string& prefix) {
    return RunMain(Dataflow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", TestingSource(NumbersTo(40))) |
          Map("row", [](int number) { return Part{number, number % 3}; }) |
          Output("out", ParquetSink<Part>(directory.path(), [=](const Part& row) {
                   return absl::StrCat(prefix, row.id % 4);
                 }));
    }));
  };
  CheckOk(run("group/"));
  CHECK(std::filesystem::exists(directory / "group/3"));
  CheckParts(directory.path(), 40);
  CheckError(run("../"), StatusCode::kInvalidArgument, {"step 'out'", "'../0'"});
  CheckError(RunMain(Parts(3, directory / "none")), StatusCode::kNotFound,
             {"step 'out'", directory / "none"});
}

TEST_CASE("a file that several paths and links name is read once, and links are followed") {
  TemporaryDirectory directory;
  std::filesystem::create_directories(directory / "data/sub");
  std::filesystem::copy_file(Files() / "parts/0.parquet", directory / "data/sub/0.parquet");
  std::filesystem::create_directory_symlink("..", directory / "data/sub/back");
  std::filesystem::create_symlink("sub/0.parquet", directory / "data/again.parquet");
  std::filesystem::create_directories(directory / "other");
  std::filesystem::copy_file(Files() / "parts/1.parquet", directory / "other/1.parquet");
  std::filesystem::create_directory_symlink(directory / "other", directory / "data/more");
  std::vector<Small> rows;
  CheckOk(ReadAll(ParquetSource<Small>({directory / "data", directory / "./data",
                                        directory / "data/sub/..", directory / "data/*.parquet"}),
                  &rows));
  CHECK(rows == SmallRows(0, 200));
}

struct Text {
  int64_t id = 0;
  std::vector<std::optional<std::string>> words;
};
HEADWAY_COLUMNS(Text, id, words);

TEST_CASE("a string that is not UTF-8 is refused") {
  TemporaryDirectory directory;
  const auto run = [&](const std::string& word) {
    return RunMain(Dataflow("flow", [&](Scope<>& scope) {
      scope.Input("rows", TestingSource(std::vector<Text>{{1, {std::nullopt, word}}})) |
          Output("out", ParquetSink<Text>(directory.path()));
    }));
  };
  CheckOk(run("na\xc3\xafve"));
  CheckError(run("na\xefve"), StatusCode::kInvalidArgument, {"step 'out'", "'words'", "UTF-8"});
}

struct Word {
  std::string text;
};
HEADWAY_COLUMNS(Word, text);

}  // namespace

// Its codec throws when the thread decodes a row.
template <>
struct Codec<Word> {
  static void Encode(const Word& word, Encoder& encoder) {
    Codec<std::string>::Encode(word.text, encoder);
  }
  static bool Decode(Decoder&, Word*) { throw std::runtime_error("no such word"); }
};

namespace {

TEST_CASE("an exception of a codec ends the run") {
  TemporaryDirectory directory;
  CheckError(RunMain(Dataflow("flow",
                              [&](Scope<>& scope) {
                                scope.Input("words", TestingSource(std::vector<Word>{{"one"}})) |
                                    Output("out", ParquetSink<Word>(directory.path()));
                              })),
             StatusCode::kAborted, {"step 'out'", "no such word"});
}

TEST_CASE("each row is in one file, whatever call of the store fails") {
  int64_t calls = 0;
  {
    TemporaryDirectory directory;
    auto store = std::make_shared<internal::MemoryStore>();
    CheckOk(RunMain(Parts(12, directory.path()), With(store)));
    calls = store->calls();
  }
  for (int64_t crash = 0; crash < 2 * calls; crash += Repeated(9, 27)) {
    CAPTURE(crash);
    TemporaryDirectory directory;
    auto store = std::make_shared<internal::MemoryStore>();
    store->CrashAt(crash / 2, crash % 4 < 2);
    const int workers = 1 + static_cast<int>(crash % 2);
    const ParquetSinkOptions sink{.file_interval =
                                      crash % 3 == 0 ? absl::Hours(1) : absl::ZeroDuration()};
    RunInShape(Parts(12, directory.path(), sink), {1, workers}, With(store)).IgnoreError();
    store->Restart();
    CheckOk(RunInShape(Parts(14, directory.path(), sink), {1, 3 - workers}, With(store)));
    CheckParts(directory.path(), 14);
  }
}

// The files that are published in directories of the directory.
int CountFiles(const std::string& directory) {
  int count = 0;
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator entry(directory, error);
       !error && entry != std::filesystem::recursive_directory_iterator(); entry.increment(error)) {
    if (entry->path().extension() == ".parquet") ++count;
  }
  return count;
}

TEST_CASE("commits share a file, and what waits is in a file at the end of each run") {
  TemporaryDirectory directory;
  const auto store = std::make_shared<internal::MemoryStore>();
  const ParquetSinkOptions sink{.file_interval = absl::Hours(1)};
  for (const int run : {1, 2}) {
    CheckOk(RunInShape(Parts(60 * run, directory.path(), sink), {1, run}, With(store)));
    CheckParts(directory.path(), 60 * run);
    CHECK(CountFiles(directory.path()) == 3 * run);
  }
  CheckError(RunMain(Parts(3, directory.path(), {.file_interval = -absl::Seconds(1)})),
             StatusCode::kInvalidArgument, {"file_interval"});
}

// A running count of a key. The id is the key.
struct Count {
  int64_t id = 0;
  int64_t count = 0;
  auto operator<=>(const Count&) const = default;
};
HEADWAY_COLUMNS(Count, id, count);

// The numbers from 0 to `end` in eight partitions, each in no less than 200 ms.
class PacedNumbers {
 public:
  using Record = int64_t;
  static constexpr int64_t kPartitions = 8;

  explicit PacedNumbers(int64_t end) : end_(end) {}

  class Reader {
   public:
    Reader(int64_t next, int64_t end) : next_(next), end_(end), burst_(1 + end / 1600) {}
    absl::StatusOr<SourceState> Poll(SourceOutput<int64_t>& out) {
      for (int64_t i = 0; i < burst_ && out.WantsMore(); ++i) {
        if (next_ >= end_) return SourceState::Done();
        out.Emit(std::exchange(next_, next_ + kPartitions));
      }
      return SourceState::Idle(absl::Milliseconds(1));
    }
    std::string Snapshot() const { return std::to_string(next_); }

   private:
    int64_t next_;
    int64_t end_;
    int64_t burst_;
  };

  absl::StatusOr<std::vector<std::string>> Partitions(const SourceContext&) {
    std::vector<std::string> names;
    for (int64_t i = 0; i < kPartitions; ++i) names.push_back(std::to_string(i));
    return names;
  }
  absl::StatusOr<Reader> OpenPartition(const SourceContext&, const std::string& partition,
                                       const std::optional<std::string>& position) {
    return Reader(std::stoll(position.value_or(partition)), end_);
  }

 private:
  int64_t end_;
};

// A program of several processes that counts numbers by key, and writes each running count to
// directories of Parquet and to files of lines.
class KilledCounts {
 public:
  static constexpr int64_t kKeys = 500;
  static constexpr int kEpochs = 100;
  static constexpr int kLanes = 4;

  KilledCounts(int64_t numbers, absl::Duration file_interval)
      : numbers_(numbers),
        file_interval_(file_interval),
        options_{
            .epoch_config = RecordCountEpochConfig{1 + numbers / kEpochs},
            .recovery_config = RecoveryConfig{.store = StoreInDirectory(directory_ / "store")}} {
    std::filesystem::create_directory(directory_ / "out");
    std::filesystem::create_directory(directory_ / "lines");
  }

  // Starts processes, of which the parent has no workers.
  void Start(Shape shape) {
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    std::fflush(stdout);  // else each child flushes its copy
    std::cout.flush();
    alive_ = internal::FileDescriptor(ends[0]);
    const internal::FileDescriptor held(ends[1]);
    parent_ = fork();
    if (parent_ == 0) {
      const absl::Status status = SpawnCluster(
          Flow(),
          {.proc_count = shape.processes, .worker_count_per_proc = shape.workers, .run = options_});
      _exit(status.ok() ? 0 : 1);
    }
  }
  // The parent and its children.
  std::vector<pid_t> pids() const {
    std::vector<pid_t> pids = {parent_};
    std::ifstream file(absl::StrCat("/proc/", parent_, "/task/", parent_, "/children"));
    for (pid_t child; file >> child;) pids.push_back(child);
    return pids;
  }
  bool HasEnded() const {
    siginfo_t ended = {};
    waitid(P_PID, static_cast<id_t>(parent_), &ended, WEXITED | WNOHANG | WNOWAIT);
    return ended.si_pid != 0;
  }
  // Waits until all processes have ended. Returns whether the run has ended well.
  bool Wait() {
    char none = 0;
    CHECK(read(alive_.get(), &none, 1) == 0);
    int status = 0;
    waitpid(parent_, &status, 0);
    return status == 0;
  }

  int FileCount() const { return CountFiles(directory_ / "out"); }
  void CheckResults() const {
    std::vector<Count> expected;
    for (int64_t key = 0; key < kKeys; ++key) {
      for (int64_t i = 1; i <= numbers_ / kKeys; ++i) expected.push_back({key, i});
    }
    std::vector<Count> rows;
    CheckOk(ReadAll(ParquetSource<Count>(directory_ / "out"), &rows));
    std::sort(rows.begin(), rows.end());
    CHECK(rows == expected);
    rows.clear();
    for (const auto& entry : std::filesystem::directory_iterator(directory_ / "lines")) {
      std::ifstream file(entry.path());
      for (Count row; file >> row.id >> row.count;) rows.push_back(row);
    }
    std::sort(rows.begin(), rows.end());
    CHECK(rows == expected);
  }

 private:
  Dataflow Flow() const {
    return Dataflow("counts", [this](Scope<>& scope) {
      const auto counts =
          scope.Input("numbers", PacedNumbers(numbers_)) |
          Map("key", [](int64_t number) { return std::pair(number % kKeys, number); }) |
          StatefulMap<int64_t>("count", [](std::optional<int64_t>& count,
                                           int64_t) { return *(count = count.value_or(0) + 1); }) |
          Map("row", [](const auto& count) { return Count{count.first, count.second}; });
      counts | Output("out", ParquetSink<Count>(directory_ / "out",
                                                [](const Count& row) {
                                                  return absl::StrCat("lane=", row.id % kLanes);
                                                },
                                                {.file_interval = file_interval_}));
      counts | Map("line", [](const Count& row) { return absl::StrCat(row.id, " ", row.count); }) |
          Output("lines", DirectorySink(directory_ / "lines", [](std::string_view line) {
                   return std::string(1, line[line.find(' ') - 1]);
                 }));
    });
  }

  TemporaryDirectory directory_;
  int64_t numbers_;
  absl::Duration file_interval_;
  RunOptions options_;
  pid_t parent_ = 0;
  internal::FileDescriptor alive_;  // of a pipe that all processes hold
};

// HEADWAY_CRASH_TEST_SEEDS is the number of seeds, from HEADWAY_TEST_SEED on, and
// HEADWAY_CRASH_TEST_RECORDS that of records.
TEST_CASE("each result is in one file, however often processes are killed") {
  constexpr int kKills = 5;
  const uint64_t first = internal::TestSeed("killed counts");
  const auto seeds = static_cast<uint64_t>(NumberFromEnvironment("HEADWAY_CRASH_TEST_SEEDS", 1));
  const int64_t numbers =
      NumberFromEnvironment("HEADWAY_CRASH_TEST_RECORDS", Repeated(10'000, 2'000));
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    const auto below = [&random](int end) {
      return static_cast<int>(random() % static_cast<uint64_t>(end));
    };
    KilledCounts counts(numbers, absl::Milliseconds(below(2) == 0 ? 0 : 30));
    for (int round = 0; round < kKills; ++round) {
      counts.Start(round % 2 == 0 ? Shape{1, 1} : Shape{2, 2});
      // While it starts and resumes, or while it works.
      const int files_per_kill = KilledCounts::kEpochs * KilledCounts::kLanes / kKills;
      const int wanted = below(3) == 0 ? 0 : counts.FileCount() + 1 + below(files_per_kill / 2);
      while (counts.FileCount() < wanted && !counts.HasEnded()) {
        absl::SleepFor(absl::Milliseconds(1));
      }
      absl::SleepFor(absl::Microseconds(below(wanted == 0 ? 200'000 : 20'000)));
      const std::vector<pid_t> pids = counts.pids();
      kill(pids[static_cast<size_t>(below(static_cast<int>(pids.size())))], SIGKILL);
      counts.Wait();
    }
    counts.Start({1, 1});
    CHECK(counts.Wait());
    counts.CheckResults();
  }
}

std::vector<std::string> NamesIn(const std::string& directory) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

TEST_CASE("a commit that was cut off is completed, and files that readers took do not come back") {
  TemporaryDirectory directory;
  auto store = std::make_shared<internal::MemoryStore>();
  CheckOk(RunMain(Parts(30, directory.path()), With(store)));
  CheckParts(directory.path(), 30);
  const std::string part = directory / "part=1";
  std::vector<std::string> names = NamesIn(part);
  // The hidden folder comes first.
  REQUIRE(names.size() > 3);
  for (size_t i = 1; i + 1 < names.size(); ++i) std::filesystem::remove(part + "/" + names[i]);
  // The last commit got as far as its mark, and a file that is not committed is left over.
  std::ifstream mark(part + "/" + names[0] + "/mark");
  int64_t number = 0;
  std::string writer;
  mark >> number >> writer;
  REQUIRE_FALSE(writer.empty());
  const auto hidden_name = [&](int64_t of) {
    return absl::StrCat(part, "/", names[0], "/", absl::Dec(of, absl::kZeroPad12), ".", writer,
                        ".unfinished");
  };
  const std::string hidden = hidden_name(number);
  std::filesystem::rename(part + "/" + names.back(), hidden);
  const std::string left_over = hidden_name(number + 1);
  std::filesystem::copy_file(hidden, left_over);
  CheckOk(RunMain(Parts(36, directory.path()), With(store)));
  const std::vector<std::string> after = NamesIn(part);
  CHECK(std::count(after.begin(), after.end(), names.back()) == 1);
  CHECK(std::count(after.begin(), after.end(), names[1]) == 0);
  CHECK_FALSE(std::filesystem::exists(left_over));
  std::vector<Part> rows;
  CheckOk(ReadAll(ParquetSource<Part>(directory.path()), &rows));
  CHECK(std::adjacent_find(rows.begin(), rows.end()) == rows.end());
  CHECK(rows.back().id == 35);
}

struct RenamedPart {
  int64_t id = 0;
  int32_t group = 0;
};
HEADWAY_COLUMNS(RenamedPart, id, group);

TEST_CASE("rows that wait in a store are not published with other columns") {
  TemporaryDirectory directory;
  const StepContext context{.step_id = "out", .store_id = "s", .generation = 1};
  Outbox outbox;
  auto sink = ParquetSink<Part>(directory.path());
  CheckOk(sink.OpenLane(context, "")->Write({1, 2}, outbox));
  std::vector<std::string_view> items;
  outbox.AppendTo(items);
  auto renamed = ParquetSink<RenamedPart>(directory.path());
  auto lane = renamed.OpenLane(context, "");
  absl::StatusOr<FlushState> state = lane->Publish({.mark = 1, .items = items});
  while (state.ok() && !state->done) state = lane->Publish({.mark = 1, .items = items});
  CheckError(state.status(), StatusCode::kFailedPrecondition, {"other columns", "part-out-s"});
}

absl::StatusOr<internal::ParquetFolder> OpenFolder(const TemporaryDirectory& directory,
                                                   uint64_t generation) {
  return internal::ParquetFolder::Open(
      directory.path(), "",
      StepContext{.step_id = "out", .store_id = "s", .generation = generation});
}

absl::Status WriteNothing(const std::string& path) {
  return std::ofstream(path) ? absl::OkStatus() : absl::UnknownError(path);
}

std::vector<std::string> FilesOf(std::initializer_list<int> marks) {
  std::vector<std::string> names = {".part-out-s"};
  for (const int mark : marks) {
    names.push_back(absl::StrCat("part-out-s-", absl::Dec(mark, absl::kZeroPad12), ".parquet"));
  }
  return names;
}

TEST_CASE("a process of an earlier generation cannot publish") {
  TemporaryDirectory directory;
  absl::StatusOr<internal::ParquetFolder> first = OpenFolder(directory, 1);
  CheckOk(first->Publish(5, WriteNothing));
  absl::StatusOr<internal::ParquetFolder> second = OpenFolder(directory, 2);
  CHECK(second->last_mark() == 5);
  CheckError(first->Publish(6, WriteNothing), StatusCode::kAborted, {"later generation"});
  CheckOk(second->Publish(7, WriteNothing));
  CheckError(OpenFolder(directory, 1).status(), StatusCode::kAborted,
             {directory.path(), "older copy"});
  CHECK(OpenFolder(directory, 3)->last_mark() == 7);
  CHECK(NamesIn(directory.path()) == FilesOf({5, 7}));
  CHECK(NamesIn(directory / ".part-out-s").size() == 2);  // the mark, and the last writer
}

// A process that takes a folder over and publishes mark 6, as far as its system call `calls`.
class StoppedPublisher {
 public:
  StoppedPublisher(const TemporaryDirectory& directory, int calls) : pid_(fork()) {
    if (pid_ == 0) {
      if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(kNotTraced);
      raise(SIGSTOP);
      absl::StatusOr<internal::ParquetFolder> folder = OpenFolder(directory, 2);
      absl::Status status = folder.status();
      if (status.ok()) status = folder->Publish(6, WriteNothing);
      _exit(status.ok() ? kPublished : absl::IsAborted(status) ? kAborted : kFailed);
    }
    int status = 0;
    waitpid(pid_, &status, 0);
    // Each call stops at its begin and at its end.
    for (; calls >= 0 && WIFSTOPPED(status); --calls) {
      ptrace(PTRACE_SYSCALL, pid_, nullptr, nullptr);
      waitpid(pid_, &status, 0);
    }
    if (!WIFSTOPPED(status)) outcome_ = WEXITSTATUS(status);
  }

  static constexpr int kPublished = 0;
  static constexpr int kAborted = 1;
  static constexpr int kFailed = 2;
  static constexpr int kNotTraced = 3;

  bool is_stopped() const { return outcome_ < 0; }
  // Lets it run to its end. Returns how it ended.
  int Continue() {
    if (!is_stopped()) return outcome_;
    ptrace(PTRACE_DETACH, pid_, nullptr, nullptr);
    int status = 0;
    waitpid(pid_, &status, 0);
    return outcome_ = WIFEXITED(status) ? WEXITSTATUS(status) : kFailed;
  }

 private:
  pid_t pid_;
  int outcome_ = -1;
};

TEST_CASE("a process that stands still anywhere holds nobody up, and publishes nothing later") {
  bool any_committed = false;
  bool any_aborted = false;
  for (int calls = 0;; calls += Repeated(1, 3)) {
    CAPTURE(calls);
    TemporaryDirectory directory;
    CheckOk(OpenFolder(directory, 1)->Publish(5, WriteNothing));
    StoppedPublisher stopped(directory, calls);
    if (!stopped.is_stopped()) {
      if (stopped.Continue() == StoppedPublisher::kNotTraced) {
        MESSAGE("skipped: processes may not be traced");
        return;
      }
      CHECK(stopped.Continue() == StoppedPublisher::kPublished);
      break;
    }
    absl::StatusOr<internal::ParquetFolder> next = OpenFolder(directory, 3);
    CheckOk(next.status());
    const bool committed = next->last_mark() == 6;
    CHECK((committed || next->last_mark() == 5));
    const std::vector<std::string> before = NamesIn(directory.path());
    CHECK(before == (committed ? FilesOf({5, 6}) : FilesOf({5})));
    const std::string mark = directory.Read(".part-out-s/mark");
    // It wakes up while the next one publishes, or before.
    int outcome = -1;
    if (calls % 2 == 0) outcome = stopped.Continue();
    CheckOk(next->Publish(7, [&](const std::string& path) {
      absl::Status status = WriteNothing(path);
      outcome = stopped.Continue();
      CHECK(directory.Read(".part-out-s/mark") == mark);
      return status;
    }));
    CHECK(NamesIn(directory.path()) == (committed ? FilesOf({5, 6, 7}) : FilesOf({5, 7})));
    CHECK(OpenFolder(directory, 4)->last_mark() == 7);
    CHECK((outcome == StoppedPublisher::kAborted ||
           (committed && outcome == StoppedPublisher::kPublished)));
    any_committed |= committed;
    any_aborted |= !committed;
  }
  CHECK(any_committed);
  CHECK(any_aborted);
}

}  // namespace
}  // namespace headway
