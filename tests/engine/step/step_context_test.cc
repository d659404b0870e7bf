// The context that steps, sources and sinks have of their run, and wake-ups by other threads.
#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/engine/run_helpers.h"

namespace headway {
namespace {

// Another thread puts numbers into it one at a time; a reader takes them.
struct Inlet {
  static constexpr int64_t kEmpty = -1;
  static constexpr int64_t kEnd = -2;

  std::atomic<int64_t> next{kEmpty};
  std::atomic<bool> open{false};
  StepContext context;  // of the reader, once `open`
};

// Yields the numbers of an inlet on the last worker, and waits for ever in between.
struct InletSource {
  using Record = int64_t;
  struct Reader {
    absl::StatusOr<SourceState> Poll(SourceOutput<int64_t>& out) {
      if (inlet == nullptr) return SourceState::Done();
      const int64_t number = inlet->next.exchange(Inlet::kEmpty);
      if (number == Inlet::kEnd) return SourceState::Done();
      if (number != Inlet::kEmpty) out.Emit(number);
      return SourceState::Idle(absl::InfiniteDuration());
    }
    std::string Snapshot() const { return ""; }
    Inlet* inlet;
  };
  absl::StatusOr<Reader> Open(const SourceContext& context, std::optional<std::string>) {
    if (context.worker_index != context.worker_count - 1) return Reader{nullptr};
    inlet->context = context;
    inlet->open = true;
    return Reader{inlet};
  }
  Inlet* inlet;
};

TEST_CASE("another thread wakes a source that is idle for ever") {
  constexpr int64_t kCount = 2000;
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    Inlet inlet;
    Collected<int64_t> collected;
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("inlet", InletSource{&inlet}) | CollectInto("collect", collected);
    });
    std::thread producer([&] {
      while (!inlet.open) std::this_thread::yield();
      for (int64_t i = 0; i <= kCount; ++i) {
        inlet.next = i < kCount ? i : Inlet::kEnd;
        inlet.context.activator.Activate();
        while (i < kCount && inlet.next != Inlet::kEmpty) std::this_thread::yield();
      }
    });
    CheckOk(RunMain(flow, {.worker_count = workers}));
    producer.join();
    std::vector<int64_t> expected(kCount);
    for (int64_t i = 0; i < kCount; ++i) expected[static_cast<size_t>(i)] = i;
    CHECK(collected.InOrder() == expected);
    inlet.context.activator.Activate();  // the run is over
  }
}

TEST_CASE("an idle source is not polled before its time, whatever activates it") {
  ManualClock clock;
  std::atomic<int> polls{0};
  CheckOk(Execute({.run = {.epoch_config = PeriodicEpochConfig{absl::Seconds(1)}, .clock = &clock}},
                  [&](Worker& worker) -> absl::Status {
                    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
                      scope.Input("silent", Silent{.wait = absl::Seconds(10), .polls = &polls}) |
                          Exchange("spread");
                    }));
                    for (int second = 0; second <= 25; ++second) {
                      for (int i = 0; i < 100; ++i) HEADWAY_RETURN_IF_ERROR(worker.Step());
                      CHECK(polls == 1 + second / 10);
                      clock.Advance(absl::Seconds(1));
                    }
                    return worker.Cancel("flow");
                  }));
}

// A source and a sink that note the context they are opened with.
struct NotesContext {
  using Record = int64_t;
  struct Reader {
    absl::StatusOr<SourceState> Poll(SourceOutput<int64_t>&) { return SourceState::Done(); }
    std::string Snapshot() const { return ""; }
  };
  struct Writer {
    absl::Status Write(int64_t) { return absl::OkStatus(); }
    absl::Status Flush() { return absl::OkStatus(); }
  };
  absl::StatusOr<Reader> Open(const SourceContext& context, std::optional<std::string>) {
    contexts->Add(context);
    return Reader();
  }
  absl::StatusOr<Writer> Open(const SinkContext& context) {
    contexts->Add(context);
    return Writer();
  }
  Collected<StepContext>* contexts;
};

TEST_CASE("a context has the full step id, the worker and the clock of the run") {
  ManualClock clock;
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    Collected<StepContext> contexts;
    Dataflow flow("flow", [&](Scope<>& scope) {
      Scope<>::Substeps outer(scope, "outer");
      OperatorBuilder<Epoch> builder(scope, "operator");
      builder.AddOutput<int64_t>();
      contexts.Add(builder.context());
      builder.Build([](std::vector<Capability<>>) { return [] {}; });
      scope.Input("source", NotesContext{&contexts}) | Output("sink", NotesContext{&contexts});
    });
    CheckOk(RunMain(flow, {.worker_count = workers, .clock = &clock}));
    std::vector<std::string> found;
    for (const StepContext& context : contexts.InOrder()) {
      found.push_back(context.step_id + " " + std::to_string(context.worker_index));
      CHECK(context.worker_count == workers);
      CHECK(context.clock == &clock);
    }
    std::sort(found.begin(), found.end());
    std::vector<std::string> expected;
    for (int worker = 0; worker < workers; ++worker) {
      for (std::string step : {"outer.operator ", "outer.sink ", "outer.source "}) {
        expected.push_back(step + std::to_string(worker));
      }
    }
    std::sort(expected.begin(), expected.end());
    CHECK(found == expected);
  }
}

}  // namespace
}  // namespace headway
