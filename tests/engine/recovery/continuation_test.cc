#include <doctest/doctest.h>

#include <atomic>
#include <functional>
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

RunOptions With(std::shared_ptr<RecoveryStore> store) {
  return {.epoch_config = RecordCountEpochConfig{2},
          .recovery_config = RecoveryConfig{.store = std::move(store)}};
}

// The rows of a step that the store has.
uint64_t RowsOf(MemoryStore& store, const std::string& step_id) {
  uint64_t rows = 0;
  const absl::StatusOr<int> count = store.PartitionCount();
  REQUIRE(count.ok());
  for (int index = 0; index < *count; ++index) {
    auto partition = store.OpenToRead(index);
    REQUIRE(partition.ok());
    const absl::StatusOr<PartitionContents> contents = (*partition)->ReadContents();
    REQUIRE(contents.ok());
    for (const StoredStep& step : contents->steps) {
      if (step.id != step_id) continue;
      for (const StoredRun& run : contents->runs) {
        if (run.step == step.number) rows += run.row_count;
      }
    }
  }
  return rows;
}

TEST_CASE("a key that was erased is new after a resume, and leaves nothing in the store") {
  auto store = std::make_shared<MemoryStore>();
  Collected<std::pair<int, int>> sums;
  std::vector<std::pair<int, int>> records;
  const auto run = [&](Shape shape) {
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("records", TestingSource(records)) |
          StatefulMap<int>("sum",
                           [](std::optional<int>& sum, int value) {
                             sum = sum.value_or(0) + value;
                             const int result = *sum;
                             if (value == 0) sum.reset();
                             return result;
                           }) |
          CollectInto("collect", sums) | Output("out", CallbackSink([](const auto&) {}));
    });
    CheckOk(RunInShape(flow, shape, With(store)));
  };
  using Sums = std::vector<std::pair<int, int>>;
  records = {{1, 5}, {2, 7}};
  run({1, 2});
  CHECK(sums.Sorted() == Sums{{1, 5}, {2, 7}});
  CHECK(RowsOf(*store, "flow.sum") > 0);
  records.push_back({1, 0});
  run({2, 1});
  CHECK(sums.size() == 3);
  records.push_back({1, 3});
  records.push_back({2, 1});
  run({1, 3});
  CHECK(sums.Sorted() == Sums{{1, 3}, {1, 5}, {1, 5}, {2, 7}, {2, 8}});
  records.push_back({1, 0});
  records.push_back({2, 0});
  run({1, 1});
  // The store is compacted while it has nothing to write.
  for (int i = 0; i < 1000 && RowsOf(*store, "flow.sum") > 0; ++i) {
    records.push_back({9, 0});
    run({1, 1});
  }
  CHECK(RowsOf(*store, "flow.sum") == 0);
}

// A sink that hands its records over to `collected`, some polls later.
class SlowSink {
 public:
  explicit SlowSink(Collected<int>& collected) : collected_(collected) {}

  class Writer {
   public:
    explicit Writer(Collected<int>& collected) : collected_(collected) {}
    absl::Status Write(int record) {
      records_.push_back(record);
      return absl::OkStatus();
    }
    absl::StatusOr<FlushState> Flush() {
      if (++polls_ % 4 != 0) return FlushState::Pending(absl::Milliseconds(1));
      for (int record : records_) collected_.Add(record);
      records_.clear();
      return FlushState::Done();
    }

   private:
    Collected<int>& collected_;
    std::vector<int> records_;
    int polls_ = 0;
  };
  absl::StatusOr<Writer> Open(const SinkContext&) { return Writer(collected_); }

 private:
  Collected<int>& collected_;
};

TEST_CASE(
    "every record passes a long chain and reaches a slow sink before its epoch is committed") {
  constexpr int kEnd = 20;
  for (const Shape shape : {Shape{1, 1}, Shape{1, 2}}) {
    for (int64_t call = 3; call < 60; call += 8) {
      auto store = std::make_shared<MemoryStore>();
      Collected<int> collected;
      Dataflow flow("flow", [&](Scope<>& scope) {
        auto stream = scope.Input("numbers", TestingSource(NumbersTo(kEnd)));
        for (int i = 0; i < 40; ++i) {
          stream = stream | Exchange("exchange" + std::to_string(i), [i](int n) { return n + i; }) |
                   Map("map" + std::to_string(i), [](int n) { return n; });
        }
        stream | Output("out", SlowSink(collected));
      });
      store->CrashAt(call, call % 3 == 0);
      RunInShape(flow, shape, With(store)).IgnoreError();
      store->Restart();
      CheckOk(RunInShape(flow, shape, With(store)));
      const std::vector<int> all = collected.InOrder();
      CHECK(std::set<int>(all.begin(), all.end()).size() == kEnd);
    }
  }
}

TEST_CASE("a stopped run does nothing twice when it is resumed, with any number of workers") {
  constexpr int kEnd = 400;
  auto store = std::make_shared<MemoryStore>();
  Collected<std::pair<int, int>> sums;
  const Shape shapes[] = {{1, 2}, {2, 1}, {1, 1}, {1, 3}, {2, 2}};
  bool ended = false;
  for (int round = 0; round < 100 && !ended; ++round) {
    RunOptions options = With(store);
    std::atomic<int> left = 37;
    const StopHandle stop = options.stop;
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", TestingSource(NumbersTo(kEnd))) |
          Inspect("stop",
                  [&](int) {
                    if (--left == 0) stop.RequestStop();
                  }) |
          KeyOn("key", [](int number) { return number % 7; }) |
          StatefulMap<int>("count",
                           [](std::optional<int>& count, int) {
                             count = count.value_or(0) + 1;
                             return *count;
                           }) |
          CollectInto("collect", sums) | Output("out", CallbackSink([](const auto&) {}));
    });
    CheckOk(RunInShape(flow, shapes[round % 5], options));
    ended = left > 0;
  }
  CHECK(ended);
  CHECK(sums.size() == kEnd);
  const auto all = sums.Sorted();
  CHECK(std::set<std::pair<int, int>>(all.begin(), all.end()).size() == kEnd);
}

TEST_CASE("timers that wait when a run is stopped fire in the run that resumes") {
  auto store = std::make_shared<MemoryStore>();
  Collected<std::pair<int, int>> fired;
  static constexpr int kKeys = 20;
  for (const bool first : {true, false}) {
    RunOptions options = With(store);
    std::atomic<int> seen = 0;
    const StopHandle stop = options.stop;
    Dataflow flow("flow", [&](Scope<>& scope) {
      auto numbers = scope.Input("numbers", TestingSource(NumbersTo(kKeys + 1)));
      KeyedOperator<int, int, Epoch, std::identity> keyed(numbers, "timers", {});
      auto& output = keyed.AddOutput<std::pair<int, int>>();
      keyed.OnBatch(
          [&stop, &seen, first, &step = keyed.step()](const CapabilityRef<>&, Batch<int>& batch) {
            step.AtEach(batch, [&](size_t i, int& state) {
              state = batch[i] * 10;
              step.SetTimer(batch[i], absl::Now() + absl::Hours(100));
              if (first && ++seen == kKeys) stop.RequestStop();
            });
          });
      keyed.OnClockTimer(
          [&output, &step = keyed.step()](const CapabilityRef<>& time, int key, absl::Time) {
            output.SessionAt(time).Give(std::pair(key, *step.states().Find(key)));
          });
      keyed.Build(output) | CollectInto("collect", fired) |
          Output("out", CallbackSink([](const auto&) {}));
    });
    CheckOk(RunInShape(flow, first ? Shape{1, 2} : Shape{1, 3}, options));
    if (first) CHECK(fired.size() == 0);
  }
  // The end of the input fires all timers.
  std::vector<std::pair<int, int>> expected;
  for (int key = 0; key <= kKeys; ++key) expected.push_back({key, key * 10});
  CHECK(fired.Sorted() == expected);
}

TEST_CASE("a coroutine keeps its position in runs in which it yields nothing") {
  auto store = std::make_shared<MemoryStore>();
  Collected<int> collected;
  const auto run = [&](int end) {
    Dataflow flow("flow", [&](Scope<>& scope) {
      auto numbers = [end](int worker, int workers, std::optional<int> next,
                           ManualOutput<int>& out) -> Generator<SourceYield<int>> {
        for (int i = next.value_or(worker); i < end; i += workers) {
          out.Emit(i);
          co_yield i + workers;
        }
      };
      scope.Input("numbers", ManualSource(numbers)) | CollectInto("collect", collected) |
          Output("out", CallbackSink([](int) {}));
    });
    CheckOk(RunInShape(flow, {1, 2}, With(store)));
  };
  for (const int end : {6, 6, 6, 9, 9}) run(end);
  CHECK(collected.Sorted() == NumbersTo(9));
}

TEST_CASE("a source with a reader for each worker resumes though one of them was never polled") {
  auto store = std::make_shared<MemoryStore>();
  Collected<int> collected;
  for (const bool stops : {true, false}) {
    RunOptions options = With(store);
    if (stops) options.stop.RequestStop();
    Dataflow flow("flow", [&](Scope<>& scope) {
      auto numbers = [](int worker, int workers, std::optional<int> next,
                        ManualOutput<int>& out) -> Generator<SourceYield<int>> {
        for (int i = next.value_or(worker); i < 8; i += workers) {
          out.Emit(i);
          co_yield i + workers;
        }
      };
      scope.Input("numbers", ManualSource(numbers)) | CollectInto("collect", collected) |
          Output("out", CallbackSink([](int) {}));
    });
    CheckOk(RunInShape(flow, {1, 3}, options));
  }
  CHECK(collected.Sorted() == NumbersTo(8));
  CHECK(RowsOf(*store, "flow.numbers") > 0);
}

TEST_CASE("a run without state resumes at the positions of its sources") {
  auto store = std::make_shared<MemoryStore>();
  Collected<int> collected;
  const auto run = [&](int end, Shape shape) {
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", TestingSource(NumbersTo(end))) | CollectInto("collect", collected) |
          Output("out", CallbackSink([](int) {}));
    });
    CheckOk(RunInShape(flow, shape, With(store)));
  };
  run(5, {1, 1});
  run(5, {1, 2});
  run(9, {2, 1});
  CHECK(collected.Sorted() == NumbersTo(9));
}

}  // namespace
}  // namespace headway
