#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "engine/launch/cluster.h"
#include "engine/launch/spawned_processes.h"
#include "engine/program.h"
#include "engine/run_program.h"
#include "tests/engine/launch/process_harness.h"
#include "tests/engine/run_helpers.h"

namespace headway {
namespace {

constexpr std::pair<int, int> kShapes[] = {{1, 1}, {1, 4}, {2, 1}, {2, 2}, {4, 1}};

// Numbers that all processes write down.
class SharedFile {
 public:
  SharedFile() : file_(std::tmpfile()) { REQUIRE(file_ != nullptr); }
  ~SharedFile() { std::fclose(file_); }
  void Write(int64_t number) {
    const std::string line = std::to_string(number) + "\n";
    if (write(fileno(file_), line.data(), line.size()) < 0) std::abort();
  }
  std::vector<int64_t> Sorted() {
    std::rewind(file_);
    std::vector<int64_t> numbers;
    for (int64_t number; std::fscanf(file_, "%ld", &number) == 1;) numbers.push_back(number);
    std::sort(numbers.begin(), numbers.end());
    return numbers;
  }

 private:
  std::FILE* file_;
};

TEST_CASE("every worker of every process takes part, and records reach the worker of their key") {
  for (const auto& [processes, workers] : kShapes) {
    CAPTURE(processes);
    CAPTURE(workers);
    constexpr int kCount = 100;
    SharedFile seen;
    const Dataflow flow("numbers", [&](Scope<>& scope) {
      scope.Input("numbers", NumbersOfEachWorker(kCount)) |
          Exchange("by_number", [](int64_t x) { return x; }) |
          Inspect("write", [&](int64_t x) { seen.Write(x); });
    });
    CheckOk(SpawnCluster(flow, {.proc_count = processes, .worker_count_per_proc = workers}));
    std::vector<int64_t> expected;
    for (int worker = 0; worker < processes * workers; ++worker) {
      for (int i = 0; i < kCount; ++i) expected.push_back(worker * 1000 + i);
    }
    CHECK(seen.Sorted() == expected);
  }
  CHECK_FALSE(HasChildren());
}

TEST_CASE("what a step throws in one process is the error of the run") {
  const Dataflow flow("numbers", [&](Scope<>& scope) {
    scope.Input("numbers", NumbersOfEachWorker(10)) |
        Exchange("by_number", [](int64_t x) { return x; }) | Inspect("check", [](int64_t x) {
          if (x == 1007) throw std::runtime_error("bad luck");
        });
  });
  CheckError(SpawnCluster(flow, {.proc_count = 2}), absl::StatusCode::kAborted,
             {"step 'check'", "bad luck"});
  CHECK_FALSE(HasChildren());
}

TEST_CASE("a process that is killed is the error of the run, and the others end") {
  const Dataflow flow("numbers", [&](Scope<>& scope) {
    scope.Input("numbers", NumbersOfEachWorker(10)) |
        Exchange("by_number", [](int64_t x) { return x; }) | Inspect("die", [](int64_t x) {
          if (x == 1007) kill(getpid(), SIGKILL);
        });
  });
  CheckError(SpawnCluster(flow, {.proc_count = 3}), absl::StatusCode::kUnavailable,
             {"was killed by signal 9 (Killed)"});
  CHECK_FALSE(HasChildren());
}

TEST_CASE("an Unavailable of a process's own counts, though another one reports its loss first") {
  const Dataflow flow("numbers", [](Scope<>& scope) {
    scope.Input("numbers", NumbersOfEachWorker(INT64_MAX)) |
        Exchange("by_number", [](int64_t x) { return x; });
  });
  Pipe connected;
  Pipe lost;
  const absl::Status status = internal::SpawnedProcesses(2, 1).Place(
      {},
      [&](const RunOptions& run, std::unique_ptr<internal::Transport> transport) -> absl::Status {
        if (transport->process_id() == 0) {
          connected.Read<char>();
          transport.reset();
          lost.Read<char>();
          return absl::UnavailableError("the database is down");
        }
        connected.Write('x');
        const absl::Status loss =
            internal::RunProcess(internal::DataflowProgram(flow), run, 1, std::move(transport));
        lost.Write('x');
        return loss;
      });
  CHECK(status == absl::UnavailableError("the database is down"));
}

TEST_CASE("a source without an end is stopped gracefully on all processes") {
  Pipe stop;
  const Dataflow flow("numbers", [&](Scope<>& scope) {
    scope.Input("numbers", NumbersOfEachWorker(INT64_MAX)) |
        Exchange("by_number", [](int64_t x) { return x; }) | Inspect("stop", [&](int64_t x) {
          if (x == 10'000) stop.Write('x');
        });
  });
  CheckOk(internal::Run(internal::DataflowProgram(flow),
                        internal::SpawnedProcesses(2, 2, {.stop_descriptor = stop.out.get()}), {}));
}

TEST_CASE("what is printed cannot get into a connection: a closed descriptor is refused") {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    Pipe told;
    const pid_t program = StartProgram([&] {
      close(descriptor);
      const absl::Status spawned = SpawnCluster(Dataflow("none", [](Scope<>&) {}), {});
      const absl::Status connected =
          ClusterMain(Dataflow("none", [](Scope<>&) {}), {.addresses = {"127.0.0.1:1"}});
      const std::string what = "descriptor " + std::to_string(descriptor);
      told.Write(absl::IsFailedPrecondition(spawned) && spawned == connected &&
                 spawned.message().find(what) != std::string::npos);
    });
    CHECK(told.Read<bool>());
    waitpid(program, nullptr, 0);
  }
}

TEST_CASE("counts that make no sense are refused before anything is forked") {
  const Dataflow flow("none", [](Scope<>&) {});
  CheckError(SpawnCluster(flow, {.proc_count = 0}), absl::StatusCode::kInvalidArgument,
             {"at least one process"});
  CheckError(SpawnCluster(flow, {.worker_count_per_proc = 0}), absl::StatusCode::kInvalidArgument,
             {"1 to"});
}

}  // namespace
}  // namespace headway
