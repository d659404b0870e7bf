// The steps that move records between workers.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/step/event_time.h"
#include "tests/engine/run_helpers.h"
#include "tests/engine/snapshot_store.h"
#include "tests/engine/store/memory_store.h"
#include "tests/engine/thread_cluster.h"
#include "tests/operators/stopped_runs.h"

namespace headway {
namespace {

// Yields 0, 1, 2, ... up to `count` on worker 0 only.
auto NumbersOfOneWorker(int64_t count) {
  std::vector<int64_t> numbers;
  for (int64_t i = 0; i < count; ++i) numbers.push_back(i);
  return TestingSource(std::move(numbers));
}

// Adds (worker, record).
template <class D>
auto CollectWithWorker(std::string step_id, Collected<std::pair<int, D>>& seen) {
  return InspectTime(std::move(step_id), [&seen](const auto& record, Epoch, int worker) {
    seen.Add({worker, D(record)});
  });
}

TEST_CASE("Redistribute loses and doubles nothing, and one hot worker gives work to all") {
  constexpr int64_t kEpochs = 64;
  constexpr int64_t kInEpoch = 10;
  for (const Shape shape : kShapes) {
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    Collected<std::pair<int, int64_t>> seen;
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", NumbersOfOneWorker(kEpochs * kInEpoch)) | Redistribute("spread") |
          CollectWithWorker("collect", seen);
    });
    CheckOk(RunInShape(flow, shape, {.epoch_config = RecordCountEpochConfig{kInEpoch}}));
    std::vector<int64_t> records;
    std::map<int, int64_t> shares;
    for (const auto& [worker, record] : seen.InOrder()) {
      records.push_back(record);
      ++shares[worker];
    }
    std::sort(records.begin(), records.end());
    REQUIRE(records.size() == kEpochs * kInEpoch);
    for (int64_t i = 0; i < kEpochs * kInEpoch; ++i) {
      CHECK(records[static_cast<size_t>(i)] == i);
    }
    // A batch has one epoch at most, so shares differ by 10 records at most.
    for (int worker = 0; worker < shape.total(); ++worker) {
      CAPTURE(worker);
      CHECK(shares[worker] >= kEpochs * kInEpoch / shape.total() - kInEpoch);
      CHECK(shares[worker] <= kEpochs * kInEpoch / shape.total() + kInEpoch);
    }
  }
}

TEST_CASE("Redistribute is fair where large and small batches alternate") {
  for (const int workers : {2, 4}) {
    Collected<std::pair<int, int64_t>> seen;
    CheckOk(Execute({.workers = workers}, [&](Worker& worker) -> absl::Status {
      InputHandle<int64_t> input;
      ProbeHandle<> probe;
      HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
        scope.Input(input) | Redistribute("spread") | CollectWithWorker("collect", seen) |
            Probe(probe);
      }));
      for (Epoch epoch = 0; epoch < 40; ++epoch) {
        if (worker.index() == 0) {
          for (int64_t i = 0; i < (epoch % 2 == 0 ? 100 : 1); ++i) input.Send(i);
        }
        input.AdvanceTo(epoch + 1);
        HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return probe.LessThan(input.time()); }));
      }
      return absl::OkStatus();
    }));
    std::map<int, int64_t> shares;
    for (const auto& [worker, record] : seen.InOrder()) ++shares[worker];
    CHECK(seen.size() == 2020);
    for (int worker = 0; worker < workers; ++worker) {
      CAPTURE(worker);
      CHECK(shares[worker] >= 2020 / workers - 100);
      CHECK(shares[worker] <= 2020 / workers + 100);
    }
  }
}

TEST_CASE("the workers of a Redistribute do not all begin with the same one") {
  Collected<std::pair<int, int64_t>> seen;
  Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("numbers", NumbersOfEachWorker(1)) | Redistribute("spread") |
        CollectWithWorker("collect", seen);
  });
  CheckOk(RunMain(flow, {.worker_count = 4}));
  // One record of each worker, to the next one.
  CHECK(seen.Sorted() ==
        std::vector<std::pair<int, int64_t>>{{0, 3000}, {1, 0}, {2, 1000}, {3, 2000}});
}

TEST_CASE("Broadcast gives every record to every worker, in its order") {
  for (const Shape shape : kShapes) {
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    Collected<std::pair<int, std::string>> seen;
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", NumbersOfEachWorker(20)) |
          Map("text", [](int64_t x) { return std::to_string(100'000 + x); }) | Broadcast("all") |
          CollectWithWorker("collect", seen);
    });
    CheckOk(RunInShape(flow, shape, {.epoch_config = RecordCountEpochConfig{3}}));
    // By the worker that saw them, and the one that they come from.
    std::map<std::pair<int, int>, std::vector<std::string>> texts;
    for (const auto& [worker, text] : seen.InOrder()) {
      texts[{worker, (std::stoi(text) - 100'000) / 1000}].push_back(text);
    }
    for (int worker = 0; worker < shape.total(); ++worker) {
      for (int from = 0; from < shape.total(); ++from) {
        std::vector<std::string> expected;
        for (int i = 0; i < 20; ++i) expected.push_back(std::to_string(100'000 + from * 1000 + i));
        CHECK(texts[{worker, from}] == expected);
      }
    }
  }
}

// A record moves by up to 5 epochs; some stay in theirs.
Epoch DelayOf(int64_t record) { return static_cast<Epoch>(record % 7 < 2 ? 0 : record % 6); }

// Records as strings, some of them long.
std::string TextOf(int64_t record) {
  return std::to_string(record) + std::string(record % 50 == 0 ? 3000 : 0, '.');
}
int64_t RecordOf(std::string_view text) { return std::stoll(std::string(text)); }

TEST_CASE("Delay moves records to their epochs, in every shape, also at the end of the input") {
  for (const Shape shape : kShapes) {
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    for (const bool in_order : {false, true}) {
      CAPTURE(in_order);
      Collected<std::pair<Epoch, int64_t>> before, after;
      Collected<std::pair<Epoch, std::string>> texts;
      Dataflow flow("flow", [&](Scope<>& scope) {
        auto numbers =
            scope.Input("numbers", NumbersOfEachWorker(60)) | CollectWithTime("before", before);
        numbers | Delay("delay", [](int64_t x, Epoch now) { return now + DelayOf(x); }) |
            CollectWithTime("after", after);
        numbers | Map("text", TextOf) | Delay("delay_texts", [](std::string_view text, Epoch now) {
          return now + DelayOf(RecordOf(text));
        }) | CollectWithTime("texts", texts);
      });
      CheckOk(RunInShape(
          flow, shape,
          {.epoch_config = RecordCountEpochConfig{4}, .apply_in_epoch_order = in_order}));
      auto expected = before.Sorted();
      REQUIRE(expected.size() == 60U * static_cast<size_t>(shape.total()));
      for (auto& [epoch, record] : expected) epoch += DelayOf(record);
      std::sort(expected.begin(), expected.end());
      CHECK(after.Sorted() == expected);
      std::vector<std::pair<Epoch, std::string>> expected_texts;
      for (const auto& [epoch, record] : expected) {
        expected_texts.emplace_back(epoch, TextOf(record));
      }
      std::sort(expected_texts.begin(), expected_texts.end());
      CHECK(texts.Sorted() == expected_texts);
    }
  }
}

TEST_CASE("Delay keeps the order of the records of an epoch, those that are not delayed included") {
  Collected<std::pair<Epoch, int64_t>> after;
  Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("numbers", NumbersOfOneWorker(30)) |
        Delay("delay", [](int64_t, Epoch now) { return now + (3 - now % 4); }) |
        CollectWithTime("after", after);
  });
  CheckOk(RunMain(flow, {.epoch_config = RecordCountEpochConfig{2}}));
  // Epochs 0 to 3 are moved to 3, 4 to 7 to 7, and so on.
  std::vector<std::pair<Epoch, int64_t>> expected;
  for (int64_t i = 0; i < 30; ++i) expected.push_back({static_cast<Epoch>(i / 8 * 4 + 3), i});
  CHECK(after.InOrder() == expected);
}

TEST_CASE("a record that stays in its epoch does not wait for the end of it") {
  CheckOk(Execute({}, [&](Worker& worker) -> absl::Status {
    InputHandle<int> input;
    Collected<int> after;
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      scope.Input(input) | Delay("delay", [](int x, Epoch now) { return now + Epoch(x % 2); }) |
          CollectInto("after", after);
    }));
    auto steps = [&] {
      for (int i = 0; i < 20; ++i) CheckOk(worker.Step());
    };
    input.Send(2);
    input.Send(3);
    steps();
    CHECK(after.InOrder() == std::vector<int>{2});
    input.AdvanceTo(1);
    steps();
    CHECK(after.InOrder() == std::vector<int>{2});
    input.AdvanceTo(2);
    steps();
    CHECK(after.InOrder() == std::vector<int>{2, 3});
    return absl::OkStatus();
  }));
}

TEST_CASE("many delayed records are emitted under credit, in order, and their state is freed") {
  constexpr int64_t kRecords = 200'000;
  int64_t next = 0;
  Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("numbers", NumbersOfOneWorker(kRecords)) |
        Map("pair", [](int64_t x) { return std::pair(x, -x); }) |
        Delay("delay", [](const auto&, Epoch) { return Epoch{1'000'000}; }) | Gather("gather") |
        Inspect("see", [&](const std::pair<int64_t, int64_t>& record) {
          if (record.first == next && record.second == -next) ++next;
        });
  });
  CheckOk(RunMain(
      flow, {.epoch_config = RecordCountEpochConfig{50'000}, .max_bytes_in_flight = 1 << 18}));
  CHECK(next == kRecords);
}

TEST_CASE("a wrong epoch and an exception fail the run with the step") {
  auto run = [](auto until) {
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", NumbersOfOneWorker(10)) | Delay("delay", until);
    });
    return RunMain(flow, {.epoch_config = TestingEpochConfig{}});
  };
  CheckError(run([](int64_t, Epoch now) { return now == 5 ? 4 : now; }), absl::StatusCode::kAborted,
             {"step 'delay'", "it returned epoch 4 for a record of epoch 5"});
  CheckError(run([](int64_t, Epoch) { return kStopEpoch; }), absl::StatusCode::kAborted,
             {"step 'delay'", "below kStopEpoch"});
  CheckError(run([](int64_t, Epoch) -> Epoch { throw std::runtime_error("boom"); }),
             absl::StatusCode::kAborted, {"step 'delay'", "boom"});
}

TEST_CASE("a watermark waits for the delayed records before it") {
  for (const Shape shape : kShapes) {
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    for (const bool in_order : {false, true}) {
      CAPTURE(in_order);
      Collected<int64_t> late;
      Collected<std::pair<int, EventTime>> watermarks;
      Dataflow flow("flow", [&](Scope<>& scope) {
        auto delayed = scope.Input("numbers", NumbersOfOneWorker(300)) |
                       AssignEventTime("time", EventClock([](int64_t x) { return x; }, 0)) |
                       Delay("delay", [](int64_t x, Epoch now) { return now + DelayOf(x); });
        KeyedOperator<int64_t, int64_t, Epoch, std::identity> keyed(delayed, "note", {});
        auto& output = keyed.AddOutput<int64_t>();
        auto& step = keyed.step();
        keyed.OnBatch([&](const CapabilityRef<>&, Batch<int64_t>& batch) {
          for (int64_t x : batch) {
            if (x < step.watermark()) late.Add(x);
          }
        });
        keyed.OnWatermark([&, worker = scope.worker_index()](const CapabilityRef<>&) {
          watermarks.Add({worker, step.watermark()});
        });
        keyed.Build(output);
      });
      CheckOk(RunInShape(
          flow, shape,
          {.epoch_config = RecordCountEpochConfig{10}, .apply_in_epoch_order = in_order}));
      CHECK(late.size() == 0);
      std::map<int, EventTime> last;
      for (const auto& [worker, watermark] : watermarks.InOrder()) last[worker] = watermark;
      for (int worker = 0; worker < shape.total(); ++worker) CHECK(last[worker] == 299);
    }
  }
}

using Count = std::pair<int64_t, int64_t>;

// Delays numbers and counts those of each key: emits (key, 1), (key, 2), ...
Dataflow DelayAndCount(int64_t end, StoppedRuns* runs, Collected<Count>& counts) {
  return Dataflow("delay", [end, runs, &counts](Scope<>& scope) {
    Stream<int64_t> numbers = scope.Input("numbers", NumbersOfOneWorker(end));
    if (runs != nullptr) numbers = numbers | runs->StopHere("stop");
    numbers | Exchange("spread") |
        Delay("delay", [](int64_t x, Epoch now) { return now + DelayOf(x); }) |
        KeyOn("key", [](int64_t x) { return x % 3; }) |
        StatefulMap<int64_t>("count",
                             [](std::optional<int64_t>& count, int64_t) {
                               count = count.value_or(0) + 1;
                               return *count;
                             }) |
        CollectInto("collect", counts) | Output("out", CallbackSink([](const Count&) {}));
  });
}

std::set<Count> ExpectedCounts(int64_t end) {
  std::set<Count> expected;
  for (int64_t i = 0; i < end; ++i) expected.insert({i % 3, i / 3 + 1});
  return expected;
}

TEST_CASE("a run with Delay that is stopped and resumed by others loses and doubles nothing") {
  StoppedRuns runs;
  Collected<Count> counts;
  runs.Run(DelayAndCount(90, &runs, counts), 25, {{1, 1}, {1, 3}, {2, 1}, {1, 2}});
  const std::vector<Count> seen = counts.Sorted();
  CHECK(seen.size() == 90);
  CHECK(std::set<Count>(seen.begin(), seen.end()) == ExpectedCounts(90));
}

TEST_CASE(
    "a run with Delay resumes from every crash of its store, with another number of workers") {
  constexpr int64_t kEnd = 24;
  constexpr Shape kSecond[] = {{1, 1}, {1, 3}, {1, 2}};
  for (const int every : {1, 4}) {
    auto options = [every](const std::shared_ptr<internal::MemoryStore>& store) {
      return RunOptions{
          .epoch_config = RecordCountEpochConfig{3},
          .recovery_config = RecoveryConfig{.store = store, .snapshot_every_epochs = every}};
    };
    auto whole = std::make_shared<internal::MemoryStore>();
    Collected<Count> all;
    CheckOk(RunInShape(DelayAndCount(kEnd, nullptr, all), {1, 2}, options(whole)));
    for (int64_t call = 0; call < whole->calls(); call += 2) {
      CAPTURE(every);
      CAPTURE(call);
      const Shape second = kSecond[call / 2 % 3];
      auto store = std::make_shared<internal::MemoryStore>();
      Collected<Count> counts;
      store->CrashAt(call, call % 4 == 0);
      RunInShape(DelayAndCount(kEnd, nullptr, counts), {1, 2}, options(store)).IgnoreError();
      store->Restart();
      CheckOk(RunInShape(DelayAndCount(kEnd, nullptr, counts), second, options(store)));
      const std::vector<Count> seen = counts.InOrder();
      REQUIRE(std::set<Count>(seen.begin(), seen.end()) == ExpectedCounts(kEnd));
    }
  }
}

TEST_CASE("a snapshot writes a delayed record once, however long it waits") {
  constexpr int64_t kEpochs = 20;
  SnapshotStore store;
  Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("numbers", NumbersOfOneWorker(kEpochs)) |
        Delay("delay", [](int64_t, Epoch) { return Epoch{1000}; });
    store.Listen(scope);
  });
  CheckOk(RunMain(flow, {.epoch_config = RecordCountEpochConfig{1}, .apply_in_epoch_order = true}));
  std::map<bool, int64_t> changes;  // by whether they say that the entry is gone
  for (const SnapshotStore::Change& change : store.changes()) {
    if (change.step_id == "delay") ++changes[!change.state.has_value()];
  }
  CHECK(changes == std::map<bool, int64_t>{{false, kEpochs}, {true, kEpochs}});
}

}  // namespace
}  // namespace headway
