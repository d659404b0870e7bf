#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
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
  constexpr int kEnd = 12;
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

// Partitions of eight numbers each. Notes the positions that it is told of.
struct Acknowledged {
  using Record = int;

  struct Told {
    std::mutex mutex;
    std::map<std::string, int> positions;
    std::set<int> workers;
  };
  struct Reader {
    absl::StatusOr<SourceState> Poll(SourceOutput<int>& out) {
      for (; next < kEnd; ++next) {
        if (!out.WantsMore()) return SourceState::More();
        out.Emit(next);
      }
      return SourceState::Done();
    }
    std::string Snapshot() const { return std::to_string(next); }

    int next;
  };
  static constexpr int kEnd = 8;

  absl::StatusOr<std::vector<std::string>> Partitions(const SourceContext&) {
    return std::vector<std::string>{"a", "b", "c"};
  }
  absl::StatusOr<Reader> OpenPartition(const SourceContext& context, const std::string& partition,
                                       std::optional<std::string> position) {
    worker = context.worker_index;
    const int next = position.has_value() ? std::stoi(*position) : 0;
    const std::lock_guard lock(told->mutex);
    CHECK(next >= told->positions[partition]);
    return Reader{next};
  }
  absl::Status Committed(const CommittedPositions& positions) {
    const std::lock_guard lock(told->mutex);
    CHECK_FALSE(positions.empty());
    told->workers.insert(worker);
    for (const auto& [partition, position] : positions) {
      int& last = told->positions[partition];
      CHECK(std::stoi(position) >= last);
      last = std::stoi(position);
    }
    return refusal;
  }

  std::shared_ptr<Told> told;
  absl::Status refusal = absl::OkStatus();
  int worker = -1;
};

TEST_CASE("a source is told of the positions that no resumed run begins before, and of the last") {
  const Shape shape{1, 2};
  auto flow = [](std::shared_ptr<Acknowledged::Told> told, absl::Status refusal = {}) {
    return Dataflow("numbers", [told, refusal](Scope<>& scope) {
      scope.Input("numbers", Acknowledged{.told = told, .refusal = refusal}) |
          Output("out", CallbackSink([](int) {}));
    });
  };
  int64_t calls = 0;
  for (const int snapshot_every_epochs : {1, 4}) {
    auto store = std::make_shared<MemoryStore>();
    auto told = std::make_shared<Acknowledged::Told>();
    CheckOk(RunInShape(flow(told), shape, With(store, snapshot_every_epochs)));
    CHECK(told->positions == std::map<std::string, int>{{"a", 8}, {"b", 8}, {"c", 8}});
    CHECK(told->workers == std::set<int>{0, 1});
    calls = store->calls();
  }
  for (int64_t call = 0; call < calls; ++call) {
    CAPTURE(call);
    auto store = std::make_shared<MemoryStore>();
    auto told = std::make_shared<Acknowledged::Told>();
    store->CrashAt(call, call % 2 == 0);
    (void)RunInShape(flow(told), shape, With(store));
    store->Restart();
    CheckOk(RunInShape(flow(told), {2, 1}, With(store)));
  }
  auto told = std::make_shared<Acknowledged::Told>();
  CheckError(RunMain(flow(told, absl::InternalError("no")), With(std::make_shared<MemoryStore>())),
             absl::StatusCode::kInternal, {"step 'numbers' on worker 0: no"});
}

}  // namespace
}  // namespace headway
