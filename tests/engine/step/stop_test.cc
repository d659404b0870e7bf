// A request to stop reaches every worker, whatever it is doing.
#include <doctest/doctest.h>

#include <atomic>
#include <thread>
#include <utility>

#include "tests/engine/run_helpers.h"
#include "tests/sanitizers.h"

namespace headway {
namespace {

// Asks for a stop, in another thread, at a different moment of the run in each round: after `looks`
// has reached `expected`, and some yields. In every other round it waits until `looks` no longer
// changes, that is, until all workers sleep.
std::thread StopLater(StopHandle stop, const std::atomic<int>& looks, int expected, int round) {
  return std::thread([stop, &looks, expected, round]() mutable {
    while (looks < expected) std::this_thread::yield();
    int before = -1;
    for (int i = 0; i < round % 64; ++i) {
      std::this_thread::yield();
      const int now = looks;
      if (round % 2 == 0 && now != before) i = 0;
      before = now;
    }
    stop.RequestStop();
  });
}

TEST_CASE("a stop that comes after a worker has looked for it does not find the worker asleep") {
  StopHandle stop;
  CheckOk(Execute({.run = {.stop = stop}}, [&](Worker& worker) {
    return worker.StepWhile([&] {
      const bool go_on = !stop.requested();
      stop.RequestStop();  // and the step finds nothing to do
      return go_on;
    });
  }));
}

TEST_CASE("a stop that another thread asks for wakes every worker that sleeps or falls asleep") {
  for (int workers : {1, 2, 3}) {
    for (int round = 0; round < Repeated(1'000, 128); ++round) {
      CAPTURE(workers);
      CAPTURE(round);
      StopHandle stop;
      std::atomic<int> looks{0};
      std::thread other = StopLater(stop, looks, workers, round);
      CheckOk(Execute({.workers = workers, .run = {.stop = stop}}, [&](Worker& worker) {
        return worker.StepWhile([&] {
          ++looks;
          return !stop.requested();
        });
      }));
      other.join();
    }
  }
}

TEST_CASE("a stop that another thread asks for ends a run whose sources have nothing to emit") {
  for (int workers : {1, 2, 3}) {
    for (int round = 0; round < Repeated(300, 64); ++round) {
      CAPTURE(workers);
      CAPTURE(round);
      StopHandle stop;
      std::atomic<int> polls{0};
      Dataflow flow("flow", [&](Scope<>& scope) {
        scope.Input("silent", Silent{.wait = absl::InfiniteDuration(), .polls = &polls}) |
            Exchange("spread");
      });
      std::thread other = StopLater(stop, polls, workers, round);
      CheckOk(RunMain(flow, {.worker_count = workers, .stop = stop}));
      other.join();
    }
  }
}

TEST_CASE("a stop of Execute completes the epoch of sources, and works off what is fed by hand") {
  for (int workers : kWorkerCounts) {
    for (bool program_waits : {true, false}) {
      CAPTURE(workers);
      CAPTURE(program_waits);
      constexpr int64_t kSent = 10'000;
      StopHandle stop;
      std::atomic<int64_t> emitted{0};
      std::atomic<bool> ended{false};
      Collected<int64_t> from_sources, by_hand;
      auto before_item = [&](int index, int64_t i) {
        if (index == workers - 1 && i == 500) stop.RequestStop();
      };
      auto note_the_end = [&](Capability<>) {
        return [&](NodeInput<int64_t>& in, NodeOutput<int64_t>&) {
          in.ForEach([](const CapabilityRef<Epoch>&, Batch<int64_t>&) {});
          if (in.frontier().empty()) ended = true;
        };
      };
      // Takes the batches that come long after the sources stopped.
      auto take_late = [](Capability<>) {
        return [turns = 0](NodeInput<int64_t>& in, NodeOutput<int64_t>& out) mutable {
          if (++turns < 10'000) return;
          in.ForEach([&](const CapabilityRef<Epoch>& time, Batch<int64_t>& batch) {
            out.SessionAt(time).GiveBatch(std::move(batch));
          });
        };
      };
      auto run = [&](Worker& worker) -> absl::Status {
        InputHandle<int64_t> input;
        HEADWAY_RETURN_IF_ERROR(worker.Build("by hand", [&](Scope<>& scope) {
          scope.Input(input) | Exchange("spread") |
              Unary<int64_t>("late", pact::Pipeline{}, take_late) | CollectInto("collect", by_hand);
        }));
        HEADWAY_RETURN_IF_ERROR(worker.Build("from sources", [&](Scope<>& scope) {
          scope.Input("numbers", Endless(&emitted, before_item)) | Exchange("spread") |
              CollectInto("collect", from_sources) |
              UnaryFrontier<int64_t>("end", pact::Pipeline{}, note_the_end);
        }));
        if (program_waits) {
          HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return !stop.requested(); }));
        }
        for (int64_t i = 0; i < kSent; ++i) input.Send(i);
        return absl::OkStatus();
      };
      CheckOk(Execute({.workers = workers, .run = {.stop = stop}}, run));
      CHECK(emitted > 500);
      CHECK(static_cast<int64_t>(from_sources.size()) == emitted);
      CHECK_FALSE(ended);
      CHECK(static_cast<int64_t>(by_hand.size()) == kSent * workers);
    }
  }
}

}  // namespace
}  // namespace headway
