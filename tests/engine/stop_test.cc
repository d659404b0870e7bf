// A request to stop reaches every worker, whatever it is doing.
#include <doctest/doctest.h>

#include <atomic>
#include <thread>

#include "headway/tests/engine/run_helpers.h"

namespace headway {
namespace {

// Asks for a stop, in another thread, at another moment of the run in each round: after `looks` has
// reached `expected`, and some yields, in every other round only when it has come to rest, which it
// does when everybody sleeps.
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
    for (int round = 0; round < 1'000; ++round) {
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
    for (int round = 0; round < 300; ++round) {
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

}  // namespace
}  // namespace headway
