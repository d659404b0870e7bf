// Runs in which an allocation fails: each one in turn, alone or with all later ones. The run ends
// with an error, and the heap stays whole.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <functional>
#include <new>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "engine/launch/cluster.h"
#include "engine/run.h"
#include "tests/comm/test_seed.h"
#include "tests/engine/graph/allocation_counter.h"
#include "tests/engine/run_helpers.h"
#include "tests/sanitizers.h"

namespace headway {
namespace {

// Exit codes of a process with a run in it.
constexpr int kOk = 11;  // the run did without the memory
constexpr int kResourceExhausted = 12;
constexpr int kOther = 13;

// Runs `run` in a process of its own, in which `count` allocations from number `first` on fail.
// Returns its exit code, or minus the signal that ended it.
int RunWithFailures(const std::function<absl::Status()>& run, int64_t first, int64_t count) {
  std::fflush(nullptr);  // or the child would write it too
  const pid_t pid = fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    for (const int number : {SIGABRT, SIGSEGV}) signal(number, SIG_DFL);  // not doctest's handlers
    FailAllocations(first, count);
    absl::Status status;
    try {
      status = run();
    } catch (const std::bad_alloc&) {  // in the code of the test
      _exit(AnyAllocationFailed() ? kResourceExhausted : kOther);
    }
    FailAllocations(INT64_MAX / 2, 0);
    if (status.ok()) _exit(kOk);
    if (absl::IsResourceExhausted(status)) _exit(kResourceExhausted);
    std::fprintf(stderr, "failure at allocation %ld: %s\n", static_cast<long>(first),
                 status.ToString().c_str());
    _exit(kOther);
  }
  int end = 0;
  REQUIRE(waitpid(pid, &end, 0) == pid);
  return WIFEXITED(end) ? WEXITSTATUS(end) : -WTERMSIG(end);
}

// The allocations of a run.
int64_t CountAllocations(const std::function<absl::Status()>& run) {
  const uint64_t before = AllocationCount();
  CheckOk(run());
  return static_cast<int64_t>(AllocationCount() - before);
}

Dataflow Words() {
  return Dataflow("words", [](Scope<>& scope) {
    scope.Input("numbers", NumbersOfEachWorker(100)) | Map("text with a long name", [](int64_t n) {
      return std::make_pair("a key that is longer than a small string " + std::to_string(n % 7), n);
    }) | CountFinal("count", [](const auto& word) {
      return std::string(word.first);
    }) | Inspect("look", [](const auto&) {});
  });
}

// Runs `run` with failures of one allocation, and of all from one on. Each of these is one of
// `each`.
void CheckEnds(const std::function<absl::Status()>& run, const std::vector<int64_t>& each) {
  for (const int64_t count : {int64_t{1}, INT64_MAX}) {
    for (const int64_t first : each) {
      CAPTURE(count);
      CAPTURE(first);
      const int end = RunWithFailures(run, first, count);
      CHECK((end == kOk || end == kResourceExhausted));
    }
  }
}

TEST_CASE("whichever allocation of a run fails, the run ends with an error or without harm") {
  if (kSanitized) return;
  const std::function<absl::Status()> run = [] { return RunMain(Words()); };
  std::vector<int64_t> all(static_cast<size_t>(CountAllocations(run)));
  std::iota(all.begin(), all.end(), 0);
  CheckEnds(run, all);
}

// The numbers of the allocations vary from run to run.
TEST_CASE("in a cluster too, an allocation that fails ends the run with an error at most") {
  if (kSanitized) return;
  std::mt19937_64 random(internal::TestSeed("allocations of a cluster"));
  std::vector<int64_t> some;
  for (int i = 0; i < 150; ++i) some.push_back(static_cast<int64_t>(random() % 3000));
  CheckEnds([] { return RunMain(Words(), {.worker_count = 3}); }, some);
  CheckEnds([] { return SpawnCluster(Words(), {.proc_count = 2, .worker_count_per_proc = 2}); },
            some);
}

}  // namespace
}  // namespace headway
