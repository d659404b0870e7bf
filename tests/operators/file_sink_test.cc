// FileSink and DirectorySink: a file contains each line once, also after a resume, and it is nobody
// else's file.
#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "tests/engine/run_helpers.h"
#include "tests/engine/snapshot_store.h"
#include "tests/engine/thread_cluster.h"
#include "tests/operators/not_root.h"
#include "tests/temporary_directory.h"

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
  TemporaryDirectory dir;
  for (Shape shape : kShapes) {
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    const std::string path = (dir / "out");
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
  TemporaryDirectory dir;
  CheckOk(WriteNumbers((dir / "large"), 100'000));
  CHECK(dir.Read("large") == NumberLines(100'000));
  CheckOk(WriteNumbers((dir / "none"), 0));
  CHECK(dir.Read("none").empty());
  CheckOk(WriteNumbers((dir / "none"), 3));  // an empty file is as good as none
  CHECK(dir.Read("none") == NumberLines(3));
}

TEST_CASE("a file that exists is refused, replaced or continued") {
  TemporaryDirectory dir;
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
    TemporaryDirectory dir;
    const std::string path = (dir / "out");
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
  TemporaryDirectory dir;
  const std::string path = (dir / "out");
  CheckOk(Open(path, std::nullopt, "store"));
  dir.Write("out", "0\n1\n2");
  CheckError(Open(path, std::nullopt), StatusCode::kFailedPrecondition, {"is not empty"});
  CheckError(Open(path, std::nullopt, "other"), StatusCode::kFailedPrecondition, {"is not empty"});
  CHECK(dir.Read("out") == "0\n1\n2");
  CheckOk(Open(path, std::nullopt, "store"));
  CHECK(dir.Read("out").empty());
  // A file that is continued keeps the content that it had before the first attempt.
  const FileSinkOptions append{.existing = ExistingFile::kAppend};
  const std::string log = dir.Write("log", "mine\n");
  CheckOk(Open(log, std::nullopt, "store", append));
  dir.Write("log", "mine\n0\n1");
  CheckOk(Open(log, std::nullopt, "store", append));
  CHECK(dir.Read("log") == "mine\n");
  // Without a store nobody knows who wrote it.
  dir.Write("log", "mine\n0\n1");
  CheckOk(Open(log, std::nullopt, "", append));
  CHECK(dir.Read("log") == "mine\n0\n1");
}

TEST_CASE("a file that is shorter than at the commit is an error with both lengths") {
  TemporaryDirectory dir;
  const std::string path = dir.Write("out", "0\n1\n");
  CheckError(Open(path, "6"), StatusCode::kDataLoss, {"'" + path + "' has 4 bytes, but had 6"});
  CheckError(Open(path, "x"), StatusCode::kDataLoss, {"position 'x'", path});
  std::filesystem::remove(path);
  CheckError(Open(path, "6"), StatusCode::kDataLoss,
             {"'" + path + "' does not exist, but had 6 bytes"});
  CHECK(!std::filesystem::exists(path));
  CheckOk(Open(path, "0"));
}

TEST_CASE("a file has one writer") {
  TemporaryDirectory dir;
  const std::string path = (dir / "out");
  Dataflow flow("flow", [&](Scope<>& scope) {
    auto numbers = scope.Input("numbers", TestingSource(Numbers(3)));
    numbers | Output("out", FileSink(path));
    numbers | Output("again", FileSink(path));
  });
  CheckError(RunMain(flow), StatusCode::kFailedPrecondition,
             {"step 'again'", "'" + path + "' is being written by another sink or run"});
  CheckOk(WriteNumbers(path, 3));  // the lock ended with the run
}

void FlushAll(FileSink::Writer& writer) {
  absl::StatusOr<FlushState> state = writer.Flush();
  while (state.ok() && !state->done) {
    std::this_thread::yield();
    state = writer.Flush();
  }
  CheckOk(state.status());
}

// A sink's context in a generation of a run.
SinkContext InGeneration(uint64_t generation) {
  SinkContext context;
  context.store_id = "store";
  context.generation = generation;
  return context;
}

TEST_CASE("a lost process of an earlier generation neither keeps the file nor writes to it") {
  for (const bool has_commit : {true, false}) {
    CAPTURE(has_commit);
    TemporaryDirectory dir;
    const std::string path = (dir / "out");
    FileSink sink(path);
    auto lost = sink.OpenPartition(InGeneration(1), "all", std::nullopt);
    REQUIRE(lost.ok());
    CheckOk(lost->Write(std::string("one")));
    FlushAll(*lost);
    const std::optional<std::string> commit =
        has_commit ? std::optional(lost->Snapshot()) : std::nullopt;
    CheckOk(lost->Write(std::string("two")));
    FlushAll(*lost);
    std::filesystem::permissions(path, std::filesystem::perms(0640));

    auto next = sink.OpenPartition(InGeneration(2), "all", commit);
    REQUIRE_MESSAGE(next.ok(), next.status().ToString());
    CheckError(sink.OpenPartition(InGeneration(2), "all", commit).status(),
               StatusCode::kFailedPrecondition, {"is being written by another sink"});
    CheckOk(lost->Write(std::string("three")));
    FlushAll(*lost);
    CheckOk(next->Write(std::string("four")));
    FlushAll(*next);
    const std::string expected = has_commit ? "one\nfour\n" : "four\n";
    CHECK(dir.Read("out") == expected);
    CHECK(std::filesystem::status(path).permissions() == std::filesystem::perms(0640));
    CHECK_FALSE(std::filesystem::exists(path + ".headway-new"));

    // The lost process opens it only now.
    for (const bool is_open : {true, false}) {
      if (!is_open) next = absl::CancelledError("ended");
      CheckError(sink.OpenPartition(InGeneration(1), "all", commit).status(), StatusCode::kAborted,
                 {"later generation", path});
    }
    CHECK(dir.Read("out") == expected);
  }
}

TEST_CASE("the lock of another run is an error, whatever its generation") {
  TemporaryDirectory dir;
  FileSink sink((dir / "out"));
  auto writer = sink.OpenPartition(InGeneration(1), "all", std::nullopt);
  REQUIRE(writer.ok());
  SinkContext other = InGeneration(2);
  for (const char* store : {"other", ""}) {
    other.store_id = store;
    CheckError(sink.OpenPartition(other, "all", std::nullopt).status(),
               StatusCode::kFailedPrecondition, {"is being written by another sink"});
  }
}

TEST_CASE("a path that is no file to write is an error that names it") {
  TemporaryDirectory dir;
  CheckError(Open((dir / ""), std::nullopt), StatusCode::kInvalidArgument,
             {(dir / ""), "is a directory"});
  CheckError(Open((dir / "missing/out"), std::nullopt), StatusCode::kNotFound,
             {"cannot open '" + (dir / "missing/out") + "'"});
  CheckError(Open("/dev/null", std::nullopt), StatusCode::kInvalidArgument,
             {"'/dev/null' is no regular file"});
  const std::string pipe = (dir / "pipe");
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  CheckError(Open(pipe, std::nullopt), StatusCode::kInvalidArgument,
             {"'" + pipe + "' is no regular file"});
}

TEST_CASE("a directory without the permission to write in it") {
  TemporaryDirectory dir;
  REQUIRE(chmod((dir / "").c_str(), 0555) == 0);
  const NotRoot not_root;
  CheckError(Open((dir / "out"), std::nullopt), StatusCode::kPermissionDenied,
             {"cannot open '" + (dir / "out") + "'"});
}

// No file may have more bytes, as long as one of these exists.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    REQUIRE(getrlimit(RLIMIT_FSIZE, &before_) == 0);
    signal_ = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{bytes, before_.rlim_max};
    REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
  }
  ~FileSizeLimit() {
    CHECK(setrlimit(RLIMIT_FSIZE, &before_) == 0);
    std::signal(SIGXFSZ, signal_);
  }

 private:
  rlimit before_ = {};
  void (*signal_)(int) = nullptr;
};

TEST_CASE("a write that fails is an error that names the file, and the next run continues") {
  TemporaryDirectory dir;
  const std::string path = (dir / "out");
  SnapshotStore store;
  auto run = [&](Epoch first) {
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", TestingSource(Numbers(1000))) | Output("out", FileSink(path));
      store.RestoreInto(scope);
      store.Listen(scope);
    });
    return RunMain(flow, {.epoch_config = RecordCountEpochConfig{.records_per_epoch = 10},
                          .first_epoch = first,
                          .apply_in_epoch_order = true});
  };
  {
    const FileSizeLimit limit(2000);
    CheckError(run(0), StatusCode::kOutOfRange,
               {"step 'out'", "on worker 0", "cannot write to '" + path + "'"});
  }
  // The last epochs of which the source and the sink closed the ends.
  Epoch committed = 0;
  for (const SnapshotStore::Closed& closed : store.closed()) {
    if (closed.step_id == "out") committed = std::max(committed, closed.epoch);
  }
  CHECK(committed > 10);
  store.Cut(committed);
  CheckOk(run(committed + 1));
  CHECK(dir.Read("out") == NumberLines(1000));
}

// A file sink of a run with a recovery store.
struct DurableFileSink : FileSink {
  using FileSink::FileSink;
  absl::StatusOr<Writer> OpenPartition(SinkContext context, const std::string& partition,
                                       std::optional<std::string> position) {
    context.store_id = "store";
    return FileSink::OpenPartition(context, partition, std::move(position));
  }
};

TEST_CASE("with a recovery store the end of an epoch waits until its lines are durable") {
  TemporaryDirectory dir;
  const std::string path = (dir / "out");
  Collected<std::string> at_ends;
  Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("numbers", TestingSource(Numbers(20))) | Output("out", DurableFileSink(path));
    for (EpochParticipant* participant : scope.graph().parts().participants) {
      if (participant->step_id() != "out") continue;
      participant->TrackChanges();
      participant->SetListener([&](EpochParticipant& out, Epoch) {
        out.Snapshot([&](const StateEntry& entry) {
          CHECK(
              std::to_string(std::filesystem::file_size(path)) ==
              std::string(reinterpret_cast<const char*>(entry.state->data()), entry.state->size()));
          at_ends.Add(dir.Read("out"));
        });
      });
    }
  });
  CheckOk(RunMain(
      flow,
      {.worker_count = 2, .epoch_config = TestingEpochConfig{}, .apply_in_epoch_order = true}));
  const std::vector<std::string> contents = at_ends.InOrder();
  REQUIRE(contents.size() == 20);
  for (int64_t i = 0; i < 20; ++i) CHECK(contents[static_cast<size_t>(i)] == NumberLines(i + 1));
}

TEST_CASE("a flush waits for the disk on another thread") {
  TemporaryDirectory dir;
  SinkContext context;
  context.store_id = "store";
  FileSink sink((dir / "out"));
  absl::StatusOr<FileSink::Writer> writer = sink.OpenPartition(context, "all", std::nullopt);
  CheckOk(writer.status());
  for (int i = 1; i <= 3; ++i) {
    CheckOk(writer->Write(7));
    absl::StatusOr<FlushState> state = writer->Flush();
    while (state.ok() && !state->done) {
      CHECK(writer->Snapshot() == std::to_string(2 * (i - 1)));
      std::this_thread::yield();
      state = writer->Flush();
    }
    CheckOk(state.status());
    CHECK(writer->Snapshot() == std::to_string(2 * i));
  }
}

auto ByRemainder(const TemporaryDirectory& dir, FileSinkOptions options = {}) {
  return DirectorySink(
      (dir / ""), [](int64_t number) { return "rest " + std::to_string(number % 5); }, options);
}

TEST_CASE("a directory gets a file for each partition, also after resumes") {
  TemporaryDirectory dir;
  SnapshotStore store;
  Epoch first = 0;
  for (int workers : {1, 3, 2}) {
    CAPTURE(workers);
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", TestingSource(Numbers(40))) | Output("out", ByRemainder(dir));
      store.RestoreInto(scope);
      store.Listen(scope);
    });
    CheckOk(RunMain(flow, {.worker_count = workers,
                           .epoch_config = TestingEpochConfig{},
                           .first_epoch = first,
                           .apply_in_epoch_order = true}));
    for (int64_t rest = 0; rest < 5; ++rest) {
      std::string lines;
      for (int64_t i = rest; i < 40; i += 5) lines += std::to_string(i) + "\n";
      CHECK(dir.Read("rest " + std::to_string(rest)) == lines);
    }
    store.Cut(first + 9);
    first += 10;
  }
}

TEST_CASE("workers of several processes write the files of a directory") {
  for (Shape shape : kShapes) {
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    TemporaryDirectory dir;
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("words", TestingSource(std::vector<std::string>{"b1", "a1", "b2", "c1", "b3"})) |
          Output("out", DirectorySink((dir / ""),
                                      [](std::string_view word) { return word.substr(0, 1); }));
    });
    CheckOk(RunInShape(flow, shape));
    CHECK(dir.Read("a") == "a1\n");
    CHECK(dir.Read("b") == "b1\nb2\nb3\n");
    CHECK(dir.Read("c") == "c1\n");
  }
}

TEST_CASE("a partition that is no file name, or a file of somebody else, is an error") {
  TemporaryDirectory dir;
  auto write = [&](std::string name) {
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", TestingSource(Numbers(1))) |
          Output("out", DirectorySink((dir / ""), [name](int64_t) { return name; }));
    });
    return RunMain(flow, {.worker_count = 2});
  };
  for (const char* name : {"", ".", "..", "../out", "a/b", "/"}) {
    CheckError(write(name), StatusCode::kInvalidArgument,
               {"step 'out'", "the partition '" + std::string(name) + "'", (dir / "")});
  }
  dir.Write("mine", "mine\n");
  CheckError(write("mine"), StatusCode::kFailedPrecondition,
             {"step 'out'", "mine' exists and is not empty"});
  CHECK(dir.Read("mine") == "mine\n");
  CheckError(write(std::string(300, 'x')), StatusCode::kInvalidArgument, {"cannot open '"});
}

}  // namespace
}  // namespace headway
