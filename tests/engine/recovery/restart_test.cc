#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <memory>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "headway.h"
#include "tests/engine/run_helpers.h"
#include "tests/engine/store/memory_store.h"
#include "tests/temporary_directory.h"

// Runs that fail, and resume by themselves.

namespace headway {
namespace {

using internal::MemoryStore;

constexpr int kEnd = 60;

// Running sums by key, in a file. `check` sees each number before it is added, and may fail.
Dataflow SumsInFile(const std::string& path, const std::function<void(int)>& check) {
  return Dataflow("sums", [path, check](Scope<>& scope) {
    std::vector<int> numbers(kEnd);
    std::iota(numbers.begin(), numbers.end(), 0);
    scope.Input("numbers", TestingSource(numbers)) | Inspect("check", check) |
        KeyOn("key", [](int number) { return number % 7; }) |
        StatefulMap<int64_t>("sum",
                             [](std::optional<int64_t>& sum, int number) {
                               sum = sum.value_or(0) + number;
                               return *sum;
                             }) |
        Map("line",
            [](const std::pair<int, int64_t>& sum) {
              return std::to_string(sum.first) + " " + std::to_string(sum.second);
            }) |
        Output("out", FileSink(path));
  });
}

std::vector<std::string> SortedLines(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  std::sort(lines.begin(), lines.end());
  return lines;
}

std::vector<std::string> ExpectedLines() {
  std::vector<int64_t> sums(7);
  std::vector<std::string> lines;
  for (int number = 0; number < kEnd; ++number) {
    int64_t& sum = sums[static_cast<size_t>(number % 7)];
    sum += number;
    lines.push_back(std::to_string(number % 7) + " " + std::to_string(sum));
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

// The warnings of a run, which say when it resumes. Thread safe.
class Warnings {
 public:
  LogHook hook() {
    return [this](LogSeverity severity, std::string_view message) {
      if (severity == LogSeverity::kWarning) texts_.Add(std::string(message));
    };
  }
  std::vector<std::string> Restarts() const {
    std::vector<std::string> restarts;
    for (const std::string& text : texts_.InOrder()) {
      if (text.find("resumes in") != std::string::npos) restarts.push_back(text);
    }
    return restarts;
  }

 private:
  Collected<std::string> texts_;
};

RunOptions WithRestart(std::shared_ptr<RecoveryStore> store, Warnings& warnings,
                       absl::Duration backoff = absl::Milliseconds(1)) {
  return {.epoch_config = RecordCountEpochConfig{3},
          .recovery_config = RecoveryConfig{.store = std::move(store)},
          .restart = RestartConfig{.max_restarts = 4, .backoff = backoff},
          .log_hook = warnings.hook()};
}

// Throws at the given numbers, once at each.
class Throws {
 public:
  explicit Throws(std::vector<int> at) : at_(std::make_shared<std::vector<int>>(std::move(at))) {}
  void operator()(int number) const {
    if (at_->empty() || at_->front() != number) return;
    at_->erase(at_->begin());
    throw std::runtime_error("no luck with " + std::to_string(number));
  }

 private:
  std::shared_ptr<std::vector<int>> at_;
};

// The executions of the generations of a store.
std::vector<uint64_t> ExecutionsIn(MemoryStore& store) {
  const auto partition = store.OpenToRead(0);
  REQUIRE(partition.ok());
  const absl::StatusOr<PartitionContents> contents = (*partition)->ReadContents();
  REQUIRE(contents.ok());
  std::vector<uint64_t> executions;
  for (const Generation& generation : contents->generations) {
    executions.push_back(generation.execution);
  }
  return executions;
}

TEST_CASE("a run whose step throws twice resumes by itself, and nothing is missing or doubled") {
  for (const int workers : {1, 3}) {
    CAPTURE(workers);
    TemporaryDirectory dir;
    const std::string path = dir.path() + "/out";
    Warnings warnings;
    auto store = std::make_shared<MemoryStore>();
    RunOptions options = WithRestart(store, warnings);
    options.worker_count = workers;
    CheckOk(RunMain(SumsInFile(path, Throws({20, 41})), options));
    CHECK(SortedLines(path) == ExpectedLines());
    CHECK(ExecutionsIn(*store) == std::vector<uint64_t>{1, 1, 1});
    CheckOk(RunMain(SumsInFile(path, Throws({})), options));
    CHECK(ExecutionsIn(*store) == std::vector<uint64_t>{1, 1, 1, 2});
    const std::vector<std::string> restarts = warnings.Restarts();
    REQUIRE(restarts.size() == 2);
    CHECK(restarts[0].find("no luck with 20") != std::string::npos);
    CHECK(restarts[1].find("no luck with 41") != std::string::npos);
  }
}

TEST_CASE("the program of Execute is called again after a failure") {
  TemporaryDirectory dir;
  const std::string path = dir.path() + "/out";
  Warnings warnings;
  int calls = 0;
  const Dataflow flow = SumsInFile(path, [](int) {});
  const auto program = [&](Worker& worker) -> absl::Status {
    ++calls;
    absl::Status status = worker.Build(flow.name(), [&](Scope<>& scope) { flow.Build(scope); });
    if (!status.ok()) return status;
    if (!status.ok() || calls == 3) return status;
    int steps = 0;
    status = worker.StepWhile([&] { return ++steps < 10 * calls; });
    return status.ok() ? absl::InternalError("call " + std::to_string(calls)) : status;
  };
  CheckOk(Execute({.run = WithRestart(std::make_shared<MemoryStore>(), warnings)}, program));
  CHECK(calls == 3);
  CHECK(warnings.Restarts().size() == 2);
  CHECK(SortedLines(path) == ExpectedLines());
}

TEST_CASE("a failure that comes three times in a row ends the run") {
  TemporaryDirectory dir;
  Warnings warnings;
  int calls = 0;
  const Dataflow flow = SumsInFile(dir.path() + "/out", [&calls](int number) {
    if (number != 30) return;
    ++calls;
    throw std::runtime_error("never");
  });
  CheckError(RunMain(flow, WithRestart(std::make_shared<MemoryStore>(), warnings)),
             absl::StatusCode::kAborted, {"step 'check'", "never"});
  CHECK(calls == 3);
  CHECK(warnings.Restarts().size() == 2);
}

TEST_CASE("a run that fails more often than max_restarts ends with its last failure") {
  TemporaryDirectory dir;
  Warnings warnings;
  const Dataflow flow = SumsInFile(dir.path() + "/out", Throws({10, 20, 30, 40, 50}));
  CheckError(RunMain(flow, WithRestart(std::make_shared<MemoryStore>(), warnings)),
             absl::StatusCode::kAborted, {"no luck with 50"});
  CHECK(warnings.Restarts().size() == 4);
}

TEST_CASE("an InvalidArgument is not restarted") {
  Warnings warnings;
  int calls = 0;
  CheckError(Execute({.run = WithRestart(std::make_shared<MemoryStore>(), warnings)},
                     [&](Worker&) -> absl::Status {
                       ++calls;
                       return absl::InvalidArgumentError("wrong");
                     }),
             absl::StatusCode::kInvalidArgument, {"wrong"});
  CHECK(calls == 1);
  CHECK(warnings.Restarts().empty());
}

TEST_CASE("a stop ends the wait before a restart") {
  TemporaryDirectory dir;
  Warnings warnings;
  RunOptions options =
      WithRestart(std::make_shared<MemoryStore>(), warnings, /*backoff=*/absl::Hours(1));
  options.log_hook = [hook = warnings.hook(), stop = options.stop](LogSeverity severity,
                                                                   std::string_view message) {
    hook(severity, message);
    if (message.find("resumes in 1m") != std::string_view::npos) stop.RequestStop();
  };
  CheckError(RunMain(SumsInFile(dir.path() + "/out", Throws({10, 20})), options),
             absl::StatusCode::kAborted, {"no luck with 20"});
  CHECK(warnings.Restarts().size() == 2);
}

TEST_CASE("restarts without a store, or with limits that make no sense, are refused") {
  const Dataflow flow("none", [](Scope<>&) {});
  CheckError(RunMain(flow, {.restart = RestartConfig{}}), absl::StatusCode::kInvalidArgument,
             {"restart needs a recovery_config"});
  Warnings warnings;
  RunOptions options = WithRestart(std::make_shared<MemoryStore>(), warnings);
  options.restart = RestartConfig{.max_restarts = 0};
  CheckError(RunMain(flow, options), absl::StatusCode::kInvalidArgument, {"max_restarts"});
  options.restart = RestartConfig{.window = absl::ZeroDuration()};
  CheckError(RunMain(flow, options), absl::StatusCode::kInvalidArgument, {"window"});
  options.restart = RestartConfig{.backoff = -absl::Seconds(1)};
  CheckError(RunMain(flow, options), absl::StatusCode::kInvalidArgument, {"backoff"});
}

TEST_CASE("spawned processes go on by themselves when one of them is killed") {
  TemporaryDirectory dir;
  const std::string path = dir.path() + "/out";
  Warnings warnings;
  // Dies at each of these numbers in the first process that comes there.
  const auto die_once = [&dir](int number) {
    if (number != 25 && number != 47) return;
    const std::string mark = dir.path() + "/died-" + std::to_string(number);
    const int created = open(mark.c_str(), O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (created < 0) return;
    close(created);
    kill(getpid(), SIGKILL);
  };
  CheckOk(SpawnCluster(
      SumsInFile(path, die_once),
      {.proc_count = 2, .run = WithRestart(StoreInDirectory(dir.path() + "/store"), warnings)}));
  CHECK(SortedLines(path) == ExpectedLines());
  const std::vector<std::string> restarts = warnings.Restarts();
  REQUIRE(restarts.size() == 2);
  for (const std::string& restart : restarts) {
    CHECK(restart.find("was killed by signal 9") != std::string::npos);
  }
}

}  // namespace
}  // namespace headway
