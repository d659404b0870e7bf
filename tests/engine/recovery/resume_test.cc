#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "headway.h"
#include "tests/engine/run_helpers.h"
#include "tests/engine/store/memory_store.h"
#include "tests/engine/thread_cluster.h"

namespace headway {
namespace {

using internal::MemoryStore;
using Sum = std::pair<int, int64_t>;

Dataflow RunningSums(int end, Collected<Sum>& sums) {
  return Dataflow("sums", [end, &sums](Scope<>& scope) {
    scope.Input("numbers", TestingSource(NumbersTo(end))) |
        KeyOn("key", [](int number) { return number % 5; }) |
        StatefulMap<int64_t>("sum",
                             [](std::optional<int64_t>& sum, int number) {
                               sum = sum.value_or(0) + number;
                               return *sum;
                             }) |
        CollectInto("collect", sums) | Output("out", CallbackSink([](const Sum&) {}));
  });
}

std::set<Sum> Expected(int end) {
  std::map<int, int64_t> sums;
  std::set<Sum> all;
  for (int number = 0; number < end; ++number) {
    all.insert({number % 5, sums[number % 5] += number});
  }
  return all;
}

RunOptions With(std::shared_ptr<RecoveryStore> store, int snapshot_every_epochs = 1) {
  return {.epoch_config = RecordCountEpochConfig{3},
          .recovery_config = RecoveryConfig{.store = std::move(store),
                                            .snapshot_every_epochs = snapshot_every_epochs}};
}

TEST_CASE("a run that has ended has nothing to do when it is run again, and goes on with more") {
  for (const int workers : {1, 2}) {
    auto store = std::make_shared<MemoryStore>();
    RunOptions options = With(store);
    options.worker_count = workers;
    Collected<Sum> sums;
    CheckOk(RunMain(RunningSums(20, sums), options));
    const std::vector<Sum> first = sums.Sorted();
    CHECK(std::set<Sum>(first.begin(), first.end()) == Expected(20));
    CHECK(first.size() == 20);

    CheckOk(RunMain(RunningSums(20, sums), options));
    CHECK(sums.size() == 20);

    options.worker_count = 4 - workers;
    CheckOk(RunMain(RunningSums(33, sums), options));
    const std::vector<Sum> all = sums.Sorted();
    CHECK(all.size() == 33);
    CHECK(std::set<Sum>(all.begin(), all.end()) == Expected(33));
  }
}

TEST_CASE("a snapshot may be shared by several epochs, more than may be in flight") {
  constexpr int kEnd = 60;
  for (const int every : {2, 3, 7, 100}) {
    CAPTURE(every);
    for (const Shape shape : {Shape{1, 1}, Shape{1, 2}, Shape{2, 1}}) {
      auto store = std::make_shared<MemoryStore>();
      Collected<Sum> sums;
      CheckOk(RunInShape(RunningSums(kEnd / 2, sums), shape, With(store, every)));
      CheckOk(RunInShape(RunningSums(kEnd, sums), shape, With(store, every)));
      const std::vector<Sum> all = sums.InOrder();
      CHECK(all.size() == kEnd);
      CHECK(std::set<Sum>(all.begin(), all.end()) == Expected(kEnd));
      const int64_t calls = store->calls();
      for (int64_t call = 0; call < calls; call += 3) {
        CAPTURE(call);
        auto crashing = std::make_shared<MemoryStore>();
        Collected<Sum> again;
        crashing->CrashAt(call, call % 2 == 0);
        RunInShape(RunningSums(kEnd, again), shape, With(crashing, every)).IgnoreError();
        crashing->Restart();
        CheckOk(RunInShape(RunningSums(kEnd, again), shape, With(crashing, every)));
        const std::vector<Sum> seen = again.InOrder();
        REQUIRE(std::set<Sum>(seen.begin(), seen.end()) == Expected(kEnd));
      }
    }
  }
}

TEST_CASE("a run resumes from every crash of its store") {
  constexpr int kEnd = 24;
  for (const Shape shape : {Shape{1, 1}, Shape{1, 2}, Shape{2, 1}}) {
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    int64_t calls = 0;
    {
      auto store = std::make_shared<MemoryStore>();
      Collected<Sum> sums;
      CheckOk(RunInShape(RunningSums(kEnd, sums), shape, With(store)));
      calls = store->calls();
    }
    for (int64_t call = 0; call < calls; ++call) {
      for (const bool after : {false, true}) {
        CAPTURE(call);
        CAPTURE(after);
        auto store = std::make_shared<MemoryStore>();
        Collected<Sum> sums;
        store->CrashAt(call, after);
        const absl::Status crashed = RunInShape(RunningSums(kEnd, sums), shape, With(store));
        store->Restart();
        if (!crashed.ok()) CHECK(absl::IsUnavailable(crashed));
        // With another number of workers, and of processes.
        CheckOk(
            RunInShape(RunningSums(kEnd, sums), {shape.workers, shape.processes + 1}, With(store)));
        const std::vector<Sum> all = sums.InOrder();
        REQUIRE(std::set<Sum>(all.begin(), all.end()) == Expected(kEnd));
      }
    }
  }
}

}  // namespace
}  // namespace headway
