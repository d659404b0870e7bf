// FileSink: the file contains each line once, also after a resume, and it is nobody else's file.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "tests/engine/run_helpers.h"
#include "tests/engine/snapshot_store.h"
#include "tests/engine/thread_cluster.h"
#include "tests/operators/temp_dir.h"

namespace headway {
namespace {

using absl::StatusCode;

std::vector<int64_t> Numbers(int64_t count) {
  std::vector<int64_t> numbers;
  for (int64_t i = 0; i < count; ++i) numbers.push_back(i);
  return numbers;
}

std::string NumberLines(int64_t count) {
  std::string lines;
  for (int64_t i = 0; i < count; ++i) lines += std::to_string(i) + "\n";
  return lines;
}

absl::Status WriteNumbers(const std::string& path, int64_t count, FileSinkOptions options = {}) {
  Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("numbers", TestingSource(Numbers(count))) | Output("out", FileSink(path, options));
  });
  return RunMain(flow, {.worker_count = 2});
}

TEST_CASE("a file has the records of all workers, a line each") {
  TempDir dir;
  for (Shape shape : kShapes) {
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    const std::string path = dir.Path("out");
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", NumbersOfEachWorker(100)) | Output("out", FileSink(path));
    });
    CheckOk(RunInShape(flow, shape));
    std::vector<int64_t> numbers;
    std::ifstream file(path);
    for (int64_t number; file >> number;) numbers.push_back(number);
    std::sort(numbers.begin(), numbers.end());
    std::vector<int64_t> expected;
    for (int64_t worker = 0; worker < shape.total(); ++worker) {
      for (int64_t i = 0; i < 100; ++i) expected.push_back(worker * 1000 + i);
    }
    CHECK(numbers == expected);
    std::filesystem::remove(path);
  }
}

TEST_CASE("a file of more than one buffer, and one of no records") {
  TempDir dir;
  CheckOk(WriteNumbers(dir.Path("large"), 100'000));
  CHECK(dir.Read("large") == NumberLines(100'000));
  CheckOk(WriteNumbers(dir.Path("none"), 0));
  CHECK(dir.Read("none").empty());
  CheckOk(WriteNumbers(dir.Path("none"), 3));  // an empty file is as good as none
  CHECK(dir.Read("none") == NumberLines(3));
}

TEST_CASE("a file that exists is refused, replaced or continued") {
  TempDir dir;
  const std::string path = dir.Write("out", "mine\n");
  CheckError(WriteNumbers(path, 3), StatusCode::kFailedPrecondition,
             {"step 'out'", "on worker 0", "'" + path + "' exists and is not empty",
              "kOverwrite or kAppend"});
  CHECK(dir.Read("out") == "mine\n");
  CheckOk(WriteNumbers(path, 2, {.existing = ExistingFile::kAppend}));
  CHECK(dir.Read("out") == "mine\n0\n1\n");
  CheckOk(WriteNumbers(path, 3, {.existing = ExistingFile::kOverwrite}));
  CHECK(dir.Read("out") == NumberLines(3));
}

TEST_CASE("a run that resumes cuts the file back, and continues it") {
  for (ExistingFile existing : {ExistingFile::kRefuse, ExistingFile::kAppend}) {
    TempDir dir;
    const std::string path = dir.Path("out");
    const std::string before = existing == ExistingFile::kAppend ? "mine\n" : "";
    if (!before.empty()) dir.Write("out", before);
    SnapshotStore store;
    Epoch first = 0;
    // Each run dies after the commit of its eighth epoch, at some later moment.
    for (int workers : {1, 3, 2, 8}) {
      CAPTURE(workers);
      Dataflow flow("flow", [&](Scope<>& scope) {
        scope.Input("numbers", TestingSource(Numbers(40))) |
            Output("out", FileSink(path, {.existing = existing}));
        store.RestoreInto(scope);
        store.Listen(scope);
      });
      CheckOk(RunMain(flow, {.worker_count = workers,
                             .epoch_config = TestingEpochConfig{},
                             .first_epoch = first,
                             .apply_in_epoch_order = true}));
      CHECK(dir.Read("out") == before + NumberLines(40));
      store.Cut(first + 7);
      first += 8;
    }
  }
}

// Opens a partition of the sink by hand.
absl::Status Open(const std::string& path, std::optional<std::string> position,
                  const std::string& store_id = "", FileSinkOptions options = {}) {
  SinkContext context;
  context.store_id = store_id;
  return FileSink(path, options).OpenPartition(context, "all", std::move(position)).status();
}

TEST_CASE("what an attempt wrote before the first commit is written again, not twice") {
  TempDir dir;
  const std::string path = dir.Path("out");
  CheckOk(Open(path, std::nullopt, "store"));
  dir.Write("out", "0\n1\n2");
  CheckError(Open(path, std::nullopt), StatusCode::kFailedPrecondition, {"is not empty"});
  CheckError(Open(path, std::nullopt, "other"), StatusCode::kFailedPrecondition, {"is not empty"});
  CHECK(dir.Read("out") == "0\n1\n2");
  CheckOk(Open(path, std::nullopt, "store"));
  CHECK(dir.Read("out").empty());
}

TEST_CASE("a file that is shorter than at the commit is an error with both lengths") {
  TempDir dir;
  const std::string path = dir.Write("out", "0\n1\n");
  CheckError(Open(path, "6"), StatusCode::kDataLoss, {"'" + path + "' has 4 bytes, but had 6"});
  CheckError(Open(path, "x"), StatusCode::kDataLoss, {"position 'x'", path});
  std::filesystem::remove(path);
  CheckError(Open(path, "6"), StatusCode::kDataLoss, {"'" + path + "' has 0 bytes, but had 6"});
}

TEST_CASE("a file has one writer") {
  TempDir dir;
  const std::string path = dir.Path("out");
  Dataflow flow("flow", [&](Scope<>& scope) {
    auto numbers = scope.Input("numbers", TestingSource(Numbers(3)));
    numbers | Output("out", FileSink(path));
    numbers | Output("again", FileSink(path));
  });
  CheckError(RunMain(flow), StatusCode::kFailedPrecondition,
             {"step 'again'", "'" + path + "' is being written by another sink or run"});
  CheckOk(WriteNumbers(path, 3));  // the lock ended with the run
}

TEST_CASE("a path that is no file to write is an error that names it") {
  TempDir dir;
  CheckError(Open(dir.Path(""), std::nullopt), StatusCode::kInvalidArgument,
             {dir.Path(""), "is a directory"});
  CheckError(Open(dir.Path("missing/out"), std::nullopt), StatusCode::kNotFound,
             {"cannot open '" + dir.Path("missing/out") + "'"});
  CheckError(Open("/dev/null", std::nullopt), StatusCode::kInvalidArgument,
             {"'/dev/null' is no regular file"});
  const std::string pipe = dir.Path("pipe");
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  CheckError(Open(pipe, std::nullopt), StatusCode::kInvalidArgument,
             {"'" + pipe + "' is no regular file"});
}

}  // namespace
}  // namespace headway
