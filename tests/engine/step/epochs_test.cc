// When epochs close, how many are open, and how a run stops or ends.
#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/engine/run_helpers.h"

namespace headway {
namespace {

TEST_CASE("TestingEpochConfig closes an epoch after each item") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    Collected<std::pair<Epoch, int64_t>> seen;
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", NumbersOfEachWorker(20)) | Exchange("spread") |
          CollectWithTime<int64_t, Epoch>("collect", seen);
    });
    CheckOk(RunMain(
        flow, {.worker_count = workers, .epoch_config = TestingEpochConfig{}, .first_epoch = 7}));
    CHECK(seen.size() == static_cast<size_t>(20 * workers));
    for (const auto& [epoch, item] : seen.InOrder()) {
      CHECK(epoch == static_cast<Epoch>(7 + item % 1000));
    }
  }
}

TEST_CASE("PeriodicEpochConfig closes epochs by the run's clock, though no item comes") {
  for (int workers : kWorkerCounts) {
    for (absl::Duration wait : {absl::Hours(1), absl::InfiniteDuration()}) {
      CAPTURE(workers);
      ManualClock clock;
      std::atomic<int> seen{0};
      absl::Status status = Execute(
          {.workers = workers,
           .run = {.epoch_config = PeriodicEpochConfig{.epoch_length = absl::Seconds(10)},
                   .clock = &clock}},
          [&](Worker& worker) -> absl::Status {
            ProbeHandle<> probe;
            HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
              scope.Input("silent", Silent{wait}) | Exchange("spread") | Probe(probe);
            }));
            for (Epoch epoch = 0; epoch < 5; ++epoch) {
              // All workers have seen that the epoch is open, before the clock advances.
              CHECK(probe.LessEqual(epoch));
              CHECK_FALSE(probe.LessThan(epoch));
              ++seen;
              const int all = static_cast<int>(epoch + 1) * workers;
              HEADWAY_RETURN_IF_ERROR(
                  worker.StepWhile([&] { return worker.index() == 0 && seen < all; }));
              if (worker.index() == 0) clock.Advance(absl::Seconds(10));
              HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return probe.LessThan(epoch + 1); }));
            }
            return worker.Cancel("flow");
          });
      CheckOk(status);
    }
  }
}

TEST_CASE("no more epochs are open than max_epochs_in_flight") {
  for (int workers : kWorkerCounts) {
    for (int max : {1, 2, 5}) {
      CAPTURE(workers);
      CAPTURE(max);
      constexpr int64_t kEpochs = 30;
      // Records of an epoch that have been emitted and consumed, on all workers.
      std::array<std::atomic<int>, kEpochs> consumed{};
      std::atomic<int> violations{0};
      Dataflow flow("flow", [&](Scope<>& scope) {
        auto source = ManualSource(
            [&](int, int, std::optional<int64_t>) -> Generator<std::pair<int64_t, int64_t>> {
              for (int64_t epoch = 0; epoch < kEpochs; ++epoch) {
                for (int64_t before = 0; before <= epoch - max; ++before) {
                  if (consumed[static_cast<size_t>(before)] != workers) ++violations;
                }
                co_yield {epoch, epoch};
              }
            });
        scope.Input("numbers", source) | Exchange("spread") |
            Unary<int64_t>("slow", pact::Pipeline{}, [&](Capability<>) {
              // Takes a batch at a time, and keeps it for a while: other epochs have the time to
              // open, if they may.
              return [&](NodeInput<int64_t>& in, NodeOutput<int64_t>&) {
                in.ForEach([&](const CapabilityRef<Epoch>&, Batch<int64_t>& batch) {
                  for (int i = 0; i < 100; ++i) std::this_thread::yield();
                  for (int64_t epoch : batch) ++consumed[static_cast<size_t>(epoch)];
                });
              };
            });
      });
      CheckOk(RunMain(flow, {.worker_count = workers,
                             .epoch_config = TestingEpochConfig{},
                             .max_epochs_in_flight = max}));
      CHECK(violations == 0);
      for (const auto& count : consumed) CHECK(count == workers);
    }
  }
}

TEST_CASE("CountFinal, which emits at the end only, does not stop the epochs") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    std::vector<std::pair<int64_t, int64_t>> counts;
    Dataflow flow("flow", [&, sink = TestingSink(&counts)](Scope<>& scope) {
      scope.Input("numbers", NumbersOfEachWorker(60)) |
          CountFinal("count", [](int64_t x) { return x % 3; }) | Output("out", sink);
    });
    CheckOk(RunMain(flow, {.worker_count = workers,
                           .epoch_config = TestingEpochConfig{},
                           .max_epochs_in_flight = 2}));
    CHECK(counts.size() == 3);
    int64_t sum = 0;
    for (const auto& [key, count] : counts) sum += count;
    CHECK(sum == 60 * workers);
  }
}

TEST_CASE("workers with different numbers of items, and none, end together") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    Collected<int64_t> seen;
    Dataflow flow("flow", [&](Scope<>& scope) {
      auto uneven = ManualSource(
          [](int index, int, std::optional<int64_t>) -> Generator<std::pair<int64_t, int64_t>> {
            for (int64_t i = 0; i < index * index * 7; ++i) co_yield {i, i};
          });
      auto on_first = scope.Input("on_first", TestingSource(std::vector<int64_t>(33, 1)));
      scope.Input("uneven", uneven) | Merge("merge", on_first) | Exchange("spread") |
          CollectInto("collect", seen);
    });
    CheckOk(RunMain(flow, {.worker_count = workers, .epoch_config = TestingEpochConfig{}}));
    size_t expected = 33;
    for (int i = 0; i < workers; ++i) expected += static_cast<size_t>(i * i * 7);
    CHECK(seen.size() == expected);
  }
}

TEST_CASE("a graceful stop ends endless sources; what was emitted is out; nothing is final") {
  for (int workers : kWorkerCounts) {
    for (bool testing : {true, false}) {
      CAPTURE(workers);
      CAPTURE(testing);
      StopHandle stop;
      std::atomic<int64_t> emitted{0};
      std::atomic<bool> ended{false};
      std::vector<int64_t> out;
      std::vector<std::pair<int64_t, int64_t>> counts;
      Dataflow flow(
          "flow", [&, sink = TestingSink(&out), count_sink = TestingSink(&counts)](Scope<>& scope) {
            auto numbers = scope.Input("numbers", Endless(&emitted, [&](int index, int64_t i) {
                                         if (index == workers - 1 && i == 500) stop.RequestStop();
                                       }));
            auto spread = numbers | Exchange("spread");
            spread | Output("out", sink);
            spread | CountFinal("count") | Output("count_out", count_sink);
            spread | UnaryFrontier<int64_t>("final", pact::Pipeline{}, [&](Capability<>) {
              return [&](NodeInput<int64_t>& in, NodeOutput<int64_t>&) {
                in.ForEach([](const CapabilityRef<Epoch>&, Batch<int64_t>&) {});
                if (in.frontier().empty()) ended = true;
              };
            });
          });
      RunOptions options{.worker_count = workers, .stop = stop};
      if (testing) options.epoch_config = TestingEpochConfig{};
      CheckOk(RunMain(flow, options));
      CHECK(emitted > 500);
      CHECK(static_cast<int64_t>(out.size()) == emitted);
      CHECK(counts.empty());
      CHECK_FALSE(ended);
    }
  }
}

TEST_CASE("a stop that was asked for before the run, or by another thread while it is idle") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    StopHandle stopped;
    stopped.RequestStop();
    std::atomic<int64_t> emitted{0};
    Dataflow endless("flow", [&](Scope<>& scope) {
      scope.Input("numbers", Endless(&emitted, [](int, int64_t) {})) | Exchange("spread");
    });
    CheckOk(RunMain(endless, {.worker_count = workers, .stop = stopped}));
    CHECK(emitted == 0);

    StopHandle stop;
    std::atomic<int> built{0};
    Dataflow silent("flow", [&](Scope<>& scope) {
      scope.Input("silent", Silent{}) | Exchange("spread");
      ++built;
    });
    std::thread other([&] {
      while (built < workers) std::this_thread::yield();
      stop.RequestStop();
    });
    CheckOk(RunMain(silent, {.worker_count = workers, .stop = stop}));
    other.join();
  }
}

TEST_CASE("a dataflow without records, without sources, or without anything ends") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    Collected<int64_t> seen;
    Dataflow no_records("flow", [&](Scope<>& scope) {
      scope.Input("none", TestingSource(std::vector<int64_t>{})) | Exchange("spread") |
          CountFinal("count") | Map("key", [](const auto& count) { return count.first; }) |
          CollectInto("collect", seen);
    });
    CheckOk(RunMain(no_records, {.worker_count = workers}));
    CheckOk(RunMain(no_records, {.worker_count = workers, .epoch_config = TestingEpochConfig{}}));
    CheckOk(RunMain(Dataflow("empty", [](Scope<>&) {}), {.worker_count = workers}));
    CheckOk(Execute({.workers = workers}, [](Worker&) { return absl::OkStatus(); }));
    CHECK(seen.size() == 0);
  }
}

// ---- The cost of an epoch ----

uint64_t UpdatesPerEpoch(int transforms) {
  uint64_t updates = 0;
  CheckOk(Execute({}, [&](Worker& worker) -> absl::Status {
    InputHandle<int64_t> input;
    ProbeHandle<> probe;
    internal::Graph* graph = nullptr;
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      graph = &scope.graph();
      Stream<int64_t> stream = scope.Input(input);
      for (int i = 0; i < transforms; ++i) {
        stream = stream | Map("map" + std::to_string(i), [](int64_t x) { return x + 1; });
      }
      stream | Exchange("spread") | Probe(probe);
    }));
    HEADWAY_RETURN_IF_ERROR(worker.Step());
    const uint64_t before = graph->tracker().update_count();
    input.AdvanceTo(1);
    HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return probe.LessThan(1); }));
    updates = graph->tracker().update_count() - before;
    return absl::OkStatus();
  }));
  return updates;
}

TEST_CASE("advancing an epoch costs as much with 10 as with 10,000 maps") {
  const uint64_t with_10 = UpdatesPerEpoch(10);
  CHECK(with_10 > 0);
  CHECK(UpdatesPerEpoch(10'000) == with_10);
}

}  // namespace
}  // namespace headway
