// Operators that run though no batch came: at once, after a delay, and when another thread asks.
#include <doctest/doctest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "tests/engine/run_helpers.h"

namespace headway {
namespace {

// An operator without inputs that holds a capability until `run(activator, output, capability)`
// drops it.
template <class Run>
void BuildActive(Scope<>& scope, Run run) {
  OperatorBuilder<Epoch> builder(scope, "active");
  NodeOutput<int64_t>& output = builder.AddOutput<int64_t>();
  Activator activator = builder.activator();
  builder.Build([&](std::vector<Capability<>> first) {
    return [&output, activator, run, held = std::move(first[0])]() mutable {
      run(activator, output, held);
    };
  });
  builder.StreamOf(output) | Exchange("spread");
}

TEST_CASE("an operator that activates itself runs again, until it is done") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    std::atomic<int> runs{0};
    Dataflow flow("flow", [&](Scope<>& scope) {
      BuildActive(scope, [&runs, left = 1000](Activator& activator, NodeOutput<int64_t>& output,
                                              Capability<>& held) mutable {
        if (!held.held()) return;
        ++runs;
        output.SessionAt(held).Give(int64_t{left});
        if (--left == 0) {
          held.Drop();
        } else {
          activator.Activate();
          activator.Activate();  // two requests are one run
        }
      });
    });
    CheckOk(RunMain(flow, {.worker_count = workers}));
    CHECK(runs == 1000 * workers);
  }
}

TEST_CASE("an operator runs when its delay is over by the run's clock, and not before") {
  ManualClock clock;
  int runs = 0;
  absl::Status status = Execute({.run = {.clock = &clock}}, [&](Worker& worker) -> absl::Status {
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      BuildActive(scope, [&runs](Activator& activator, NodeOutput<int64_t>&, Capability<>& held) {
        if (++runs == 1) {
          activator.ActivateAfter(absl::Seconds(10));
          activator.ActivateAfter(absl::InfiniteDuration());  // never
          activator.ActivateAfter(absl::Hours(24 * 365 * 292));
        } else if (runs == 2) {
          activator.ActivateAfter(absl::Seconds(5));
        } else {
          held.Drop();
        }
      });
    }));
    auto step = [&] {
      for (int i = 0; i < 100; ++i) CheckOk(worker.Step());
    };
    step();
    CHECK(runs == 1);
    clock.Advance(absl::Seconds(10) - absl::Nanoseconds(1));
    step();
    CHECK(runs == 1);
    clock.Advance(absl::Nanoseconds(1));
    step();
    CHECK(runs == 2);
    clock.Advance(absl::Seconds(4));
    step();
    CHECK(runs == 2);
    CHECK(worker.HasDataflows());
    clock.Advance(absl::Seconds(1));
    return absl::OkStatus();
  });
  CheckOk(status);
  CHECK(runs == 3);
}

TEST_CASE("a worker that waits for a delay wakes up when the delay is over") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    std::atomic<int> runs{0};
    Dataflow flow("flow", [&](Scope<>& scope) {
      BuildActive(scope, [&runs, left = 3](Activator& activator, NodeOutput<int64_t>&,
                                           Capability<>& held) mutable {
        ++runs;
        if (--left == 0) {
          held.Drop();
        } else {
          activator.ActivateAfter(absl::Milliseconds(1));
        }
      });
    });
    CheckOk(RunMain(flow, {.worker_count = workers}));
    CHECK(runs == 3 * workers);
  }
}

TEST_CASE("another thread activates operators of workers that wait, until its work is done") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    constexpr int64_t kItems = 2000;
    std::atomic<int> built{0};
    std::vector<ThreadActivator> activators(static_cast<size_t>(workers));
    std::vector<std::atomic<int64_t>> given(static_cast<size_t>(workers));
    std::atomic<int64_t> taken{0};
    Dataflow flow("flow", [&](Scope<>& scope) {
      const auto index = static_cast<size_t>(scope.worker_index());
      BuildActive(scope, [&, index, first = true](Activator& activator, NodeOutput<int64_t>& output,
                                                  Capability<>& held) mutable {
        if (std::exchange(first, false)) {
          activators[index] = activator.thread_activator();
          ++built;
        }
        if (!held.held()) return;
        taken += given[index].exchange(0);
        output.SessionAt(held).Give(int64_t{1});
        if (taken == kItems * workers) held.Drop();
      });
    });
    std::thread producer([&] {
      while (built < workers) std::this_thread::yield();
      for (int64_t i = 0; i < kItems; ++i) {
        for (size_t worker = 0; worker < given.size(); ++worker) {
          ++given[worker];
          activators[worker].Activate();
        }
      }
      // The operators that were not the last to take see that all is taken.
      while (taken < kItems * workers) std::this_thread::yield();
      for (const ThreadActivator& activator : activators) activator.Activate();
    });
    CheckOk(RunMain(flow, {.worker_count = workers}));
    producer.join();
    CHECK(taken == kItems * workers);
    // The run is over.
    for (const ThreadActivator& activator : activators) activator.Activate();
  }
}

TEST_CASE("an activator has no effect once its dataflow is gone, or without one") {
  ThreadActivator().Activate();
  ThreadActivator thread_activator;
  int runs = 0;
  absl::Status status = Execute({}, [&](Worker& worker) -> absl::Status {
    std::optional<Activator> activator;
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      OperatorBuilder<Epoch> builder(scope, "active");
      builder.AddOutput<int64_t>();
      activator = builder.activator();
      thread_activator = activator->thread_activator();
      builder.Build([&](std::vector<Capability<>> first) {
        return [&runs, held = std::move(first[0])]() mutable { ++runs; };
      });
    }));
    HEADWAY_RETURN_IF_ERROR(worker.Step());
    activator->ActivateAfter(absl::ZeroDuration());
    HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return runs < 2; }));
    activator->ActivateAfter(absl::Nanoseconds(1));
    thread_activator.Activate();
    HEADWAY_RETURN_IF_ERROR(worker.Cancel("flow"));
    activator->Activate();
    activator->ActivateAfter(absl::ZeroDuration());
    activator->thread_activator().Activate();
    for (int i = 0; i < 100; ++i) HEADWAY_RETURN_IF_ERROR(worker.Step());
    return absl::OkStatus();
  });
  CheckOk(status);
  CHECK(runs == 2);
  thread_activator.Activate();
}

}  // namespace
}  // namespace headway
