// Runs that cannot continue end with the reason, and runs that stand still say it.
#include <doctest/doctest.h>

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/engine/run_helpers.h"

namespace headway {
namespace {

using absl::StatusCode;

// A clock on which time passes with each look, so that seconds of a run take no time.
class FastClock final : public Clock {
 public:
  absl::Time Now() override { return absl::UnixEpoch() + absl::Nanoseconds(NowNanos()); }
  int64_t NowNanos() override { return nanos_ += 20'000'000; }

 private:
  std::atomic<int64_t> nanos_{0};
};

// The options of a run on such a clock, and its diagnostics.
struct Observed {
  RunOptions Options(int workers) {
    RunOptions options{.worker_count = workers, .clock = &clock};
    options.epoch_config = TestingEpochConfig{};
    options.monitor = &monitor;
    options.log_hook = [this](LogSeverity severity, std::string_view message) {
      if (severity != LogSeverity::kWarning) return;
      log.Add(std::string(message));
      shown.Add(monitor.Look()->stall);
    };
    return options;
  }

  FastClock clock;
  RunMonitor monitor;
  Collected<std::string> log;    // warnings
  Collected<std::string> shown;  // by the monitor at the time of the warnings
};

// A sink that holds the epochs of its records open until they are complete.
struct Nowhere {
  struct Writer {
    absl::Status Write(int64_t) { return absl::OkStatus(); }
    absl::Status Flush() { return absl::OkStatus(); }
  };
  absl::StatusOr<Writer> Open(const SinkContext&) { return Writer(); }
};

// Adds numbers up, and keeps its first capability to the end of the input.
template <class Keeps>
auto SumAtEnd(std::string id, Keeps keeps) {
  return UnaryFrontier<int64_t>(std::move(id), pact::Gather{}, [keeps](Capability<> first) {
    return [keeps, held = std::move(first), sum = int64_t{0}](NodeInput<int64_t>& in,
                                                              NodeOutput<int64_t>& out) mutable {
      in.ForEach([&](const CapabilityRef<>&, Batch<int64_t>& batch) {
        for (int64_t x : batch) sum += x;
      });
      keeps(held, in.frontier());
      if (held.held() && in.frontier().empty()) {
        out.SessionAt(held).Give(sum);
        held.Drop();
      }
    };
  });
}

TEST_CASE("a source that waits for a capability which is never dropped ends the run with both") {
  for (int workers : {1, 3}) {
    CAPTURE(workers);
    Observed observed;
    Dataflow flow("flow", [](Scope<>& scope) {
      scope.Input("numbers", NumbersOfEachWorker(100)) |
          SumAtEnd("sum", [](Capability<>&, const auto&) {}) | Inspect("see", [](int64_t) {});
    });
    CheckError(RunMain(flow, observed.Options(workers)), StatusCode::kFailedPrecondition,
               {"source 'numbers' on worker ", "waits for epoch 0: step 'sum' on worker ",
                "holds a capability at time 0", "follow the frontier", "All workers sleep"});
  }
}

TEST_CASE("the reason names the worker that holds the capability, in the log and the monitor too") {
  Observed observed;
  Dataflow flow("flow", [](Scope<>& scope) {
    const bool holds = scope.worker_index() == 1;
    scope.Input("numbers", NumbersOfEachWorker(100)) |
        SumAtEnd("sum",
                 [holds](Capability<>& held, const auto&) {
                   if (!holds) held.Drop();
                 }) |
        Inspect("see", [](int64_t) {});
  });
  CheckError(RunMain(flow, observed.Options(3)), StatusCode::kFailedPrecondition,
             {"step 'sum' on worker 1 holds a capability at time 0"});
  for (const Collected<std::string>* texts : {&observed.log, &observed.shown}) {
    for (const std::string& text : texts->InOrder()) {
      CHECK(text.find("step 'sum' on worker 1") != std::string::npos);
    }
  }
}

TEST_CASE("a step that follows the frontier does not hold its run up") {
  Observed observed;
  Collected<int64_t> sums;
  Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("numbers", TestingSource(std::vector<int64_t>{1, 2, 3, 4})) |
        SumAtEnd("sum", [](Capability<>& held, const auto& frontier) { held.Follow(frontier); }) |
        Filter("not_zero", [](int64_t x) { return x != 0; }) | CollectInto("collect", sums);
  });
  CheckOk(RunMain(flow, observed.Options(2)));
  CHECK(sums.Sorted() == std::vector<int64_t>{10});
  CHECK(observed.log.size() == 0);
}

TEST_CASE("a step that keeps more epochs open than the run allows is told the option") {
  for (int max_epochs : {2, 8}) {
    CAPTURE(max_epochs);
    Observed observed;
    Dataflow flow("flow", [](Scope<>& scope) {
      scope.Input("numbers", NumbersOfEachWorker(50)) |
          UnaryFrontier<int64_t>(
              "window", pact::Gather{},
              [](Capability<>) {
                return [held = std::map<Epoch, Capability<>>()](NodeInput<int64_t>& in,
                                                                NodeOutput<int64_t>& out) mutable {
                  in.ForEach([&](const CapabilityRef<>& time, Batch<int64_t>&) {
                    if (!held.contains(time.time())) held.emplace(time.time(), time.Retain());
                  });
                  while (!held.empty() && !in.frontier().LessEqual(held.begin()->first + 3)) {
                    out.SessionAt(held.begin()->second).Give(1);
                    held.erase(held.begin());
                  }
                };
              }) |
          Inspect("see", [](int64_t) {});
    });
    RunOptions options = observed.Options(2);
    options.max_epochs_in_flight = max_epochs;
    const absl::Status status = RunMain(flow, options);
    if (max_epochs == 8) {
      CheckOk(status);
    } else {
      CheckError(status, StatusCode::kFailedPrecondition,
                 {"step 'window' on worker 0 holds a capability", "max_epochs_in_flight (2)"});
    }
  }
}

TEST_CASE("an input that stays open after the worker's function ends the run") {
  Observed observed;
  std::vector<std::unique_ptr<InputHandle<int64_t>>> open;
  open.push_back(std::make_unique<InputHandle<int64_t>>());
  open.push_back(std::make_unique<InputHandle<int64_t>>());
  const absl::Status status =
      Execute({.workers = 2, .run = observed.Options(2)}, [&](Worker& worker) -> absl::Status {
        InputHandle<int64_t>& input = *open[static_cast<size_t>(worker.index())];
        HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
          scope.Input(input) | Exchange("spread") | Output("out", Nowhere());
        }));
        input.Send(1);
        if (worker.index() == 0) input.Close();
        return absl::OkStatus();
      });
  CheckError(status, StatusCode::kFailedPrecondition,
             {"dataflow 'flow' on worker 1 waits: step 'InputHandle", "on worker 1 holds",
              "close the InputHandle"});
}

TEST_CASE("a sink whose flush never ends is named") {
  struct NeverDone {
    struct Writer {
      absl::Status Write(int64_t) { return absl::OkStatus(); }
      absl::StatusOr<FlushState> Flush() { return FlushState::Pending(absl::InfiniteDuration()); }
    };
    absl::StatusOr<Writer> Open(const SinkContext&) { return Writer(); }
  };
  Observed observed;
  Dataflow flow("flow", [](Scope<>& scope) {
    scope.Input("numbers", NumbersOfEachWorker(10)) | Output("out", NeverDone());
  });
  CheckError(RunMain(flow, observed.Options(1)), StatusCode::kFailedPrecondition,
             {"waits for epoch 0: step 'out' on worker 0 has not flushed time 0"});
}

// A flush that another thread ends.
struct ByThread {
  struct Writer {
    absl::Status Write(int64_t) { return absl::OkStatus(); }
    absl::StatusOr<FlushState> Flush() {
      return *done ? FlushState::Done() : FlushState::Pending(absl::InfiniteDuration());
    }
    std::atomic<bool>* done;
  };
  absl::StatusOr<Writer> Open(const SinkContext& context) {
    *activator = context.activator;
    return Writer{done};
  }
  std::atomic<bool>* done;
  ThreadActivator* activator;
};

TEST_CASE("a run that another thread can wake is not ended: it says why it waits") {
  Observed observed;
  std::atomic<bool> done{false};
  ThreadActivator activator;
  Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("numbers", NumbersOfEachWorker(10)) | Output("out", ByThread{&done, &activator});
  });
  std::thread other([&] {
    while (observed.log.size() == 0) std::this_thread::yield();
    done = true;
    activator.Activate();
  });
  CheckOk(RunMain(flow, observed.Options(1)));
  other.join();
  CHECK(observed.log.InOrder()[0].find("step 'out' on worker 0 has not flushed time 0") !=
        std::string::npos);
  CHECK(observed.shown.InOrder()[0] == observed.log.InOrder()[0]);
}

TEST_CASE("a stop that waits for a capability of a step ends with the step and the time") {
  for (bool follows : {false, true}) {
    CAPTURE(follows);
    Observed observed;
    RunOptions options = observed.Options(2);
    StopHandle stop = options.stop;
    std::atomic<int64_t> emitted{0};
    std::atomic<int64_t> seen{0};
    Dataflow flow("flow", [&](Scope<>& scope) {
      OperatorBuilder<Epoch> builder(scope, "own_times");
      auto& in = builder.AddInput(scope.Input("numbers", Endless(&emitted,
                                                                 [&](int, int64_t i) {
                                                                   if (i == 300) stop.RequestStop();
                                                                 })),
                                  pact::Pipeline{});
      auto& out = builder.AddOutput<int64_t>();
      builder.SetSummary(0, 0, std::nullopt);
      builder.Build([&in, &out, follows](std::vector<Capability<>> first) {
        return [&in, &out, follows, held = std::move(first[0])]() mutable {
          in.ForEach([&](const CapabilityRef<>&, Batch<int64_t>& batch) {
            const Epoch next = held.time() + 1'000;
            out.SessionAt(held).GiveBatch(std::move(batch));
            held.Downgrade(next);
          });
          if (follows) held.Follow(in.frontier());
        };
      });
      builder.StreamOf(out) | Inspect("count", [&](int64_t) { ++seen; });
    });
    options.max_epochs_in_flight = 1'000'000;
    const absl::Status status = RunMain(flow, options);
    CHECK(seen == emitted);
    if (follows) {
      CheckOk(status);
    } else {
      CheckError(status, StatusCode::kFailedPrecondition,
                 {"the stop of dataflow 'flow' on worker ", "step 'own_times' on worker ",
                  "holds a capability at time "});
    }
  }
}

TEST_CASE("a worker that waits for a probe without a stream is told") {
  for (int workers : {1, 2}) {
    CAPTURE(workers);
    const absl::Status status = Execute({.workers = workers}, [](Worker& worker) -> absl::Status {
      InputHandle<int64_t> input;
      ProbeHandle<> probe;
      HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
        scope.Input(input) | Exchange("spread") | Inspect("see", [](int64_t) {});
      }));
      input.Send(1);
      input.AdvanceTo(1);
      return worker.StepWhile([&] { return probe.LessThan(1); });
    });
    CheckError(status, StatusCode::kFailedPrecondition,
               {"worker ", "waits for a ProbeHandle that is attached to no stream"});
  }
}

TEST_CASE("a probe may be asked before it has a stream") {
  CheckOk(Execute({.workers = 2}, [](Worker& worker) -> absl::Status {
    InputHandle<int64_t> input;
    ProbeHandle<> probe;
    CHECK(probe.LessThan(1));
    CHECK_FALSE(probe.Done());
    CHECK(probe.frontier().Contains(0));
    HEADWAY_RETURN_IF_ERROR(worker.Build(
        "flow", [&](Scope<>& scope) { scope.Input(input) | Exchange("spread") | Probe(probe); }));
    input.AdvanceTo(1);
    return worker.StepWhile([&] { return probe.LessThan(1); });
  }));
}

TEST_CASE("a worker that does not cancel a dataflow is told who did") {
  for (int odd : {0, 2}) {
    CAPTURE(odd);
    Observed observed;
    const absl::Status status =
        Execute({.workers = 3, .run = observed.Options(3)}, [&](Worker& worker) -> absl::Status {
          InputHandle<int64_t> input;
          HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
            scope.Input(input) | Exchange("spread") | Inspect("see", [](int64_t) {});
          }));
          input.Send(1);
          return worker.index() == odd ? absl::OkStatus() : worker.Cancel("flow");
        });
    CheckError(status, StatusCode::kFailedPrecondition,
               {"dataflow 'flow' on worker " + std::to_string(odd), "has cancelled it",
                "every worker must cancel"});
  }
}

TEST_CASE("an operator that builds a dataflow after the worker's function is told so") {
  const absl::Status status = Execute({.workers = 1}, [](Worker& worker) -> absl::Status {
    return worker.Build("first", [&](Scope<>& scope) {
      scope.Input("numbers", NumbersOfEachWorker(10)) |
          Inspect("build", [&](int64_t) { worker.Build("second", [](Scope<>&) {}).IgnoreError(); });
    });
  });
  CheckError(status, StatusCode::kFailedPrecondition,
             {"dataflow 'second' on worker 0", "after the worker's function has returned"});
}

}  // namespace
}  // namespace headway
