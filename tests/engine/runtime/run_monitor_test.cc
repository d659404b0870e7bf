#include "engine/runtime/run_monitor.h"

#include <doctest/doctest.h>

#include <atomic>

#include "tests/engine/run_helpers.h"
#include "tests/engine/thread_cluster.h"

namespace headway {
namespace {

constexpr int64_t kCount = 100;

TEST_CASE("a monitor sees a run while it goes on, and how it ended") {
  for (const int workers : kWorkerCounts) {
    CAPTURE(workers);
    RunMonitor monitor;
    CHECK_FALSE(monitor.Look().has_value());
    std::atomic<int64_t> wrong{0};
    const Dataflow flow("numbers", [&](Scope<>& scope) {
      scope.Input("numbers", NumbersOfEachWorker(kCount)) |
          Exchange("spread", [](int64_t x) { return x; }) | Inspect("look", [&](int64_t x) {
            // Each worker emits one number in each epoch, and this one's is not complete.
            const std::optional<RunStatistics> seen = monitor.Look();
            const bool good = seen.has_value() && seen->epoch.has_value() &&
                              *seen->epoch <= static_cast<Epoch>(x % 1000) &&
                              seen->records <= static_cast<uint64_t>(workers * kCount);
            if (!good) ++wrong;
          });
    });
    CheckOk(RunMain(
        flow,
        {.worker_count = workers, .epoch_config = TestingEpochConfig{}, .monitor = &monitor}));
    CHECK(wrong == 0);
    const std::optional<RunStatistics> ended = monitor.Look();
    REQUIRE(ended.has_value());
    CHECK(ended->records == static_cast<uint64_t>(workers * kCount));
    CHECK_FALSE(ended->epoch.has_value());
    CHECK(ended->source_epoch >= kCount - 1);
    CHECK(ended->bytes_in_flight == 0);
  }
}

TEST_CASE("a monitor watches one run at a time, and the first one goes on") {
  RunMonitor monitor;
  absl::Status second;
  const Dataflow flow("numbers", [&](Scope<>& scope) {
    scope.Input("numbers", NumbersOfEachWorker(1)) | Inspect("start another", [&](int64_t) {
      second = RunMain(Dataflow("other", [](Scope<>&) {}), {.monitor = &monitor});
    });
  });
  CheckOk(RunMain(flow, {.monitor = &monitor}));
  CheckError(second, absl::StatusCode::kInvalidArgument, {"monitor", "another run"});
  CHECK(monitor.Look()->records == 1);
}

TEST_CASE("a monitor of one process of several counts what its own sources emit") {
  RunMonitor monitors[2];
  const Dataflow flow("numbers", [&](Scope<>& scope) {
    scope.Input("numbers", NumbersOfEachWorker(kCount)) |
        Exchange("spread", [](int64_t x) { return x; });
  });
  for (const absl::Status& status : RunInThreads(SocketMesh(2, 2), flow, 2, [&](int process) {
         return RunOptions{.monitor = &monitors[process]};
       })) {
    CheckOk(status);
  }
  for (const RunMonitor& monitor : monitors) CHECK(monitor.Look()->records == 2 * kCount);
}

}  // namespace
}  // namespace headway
