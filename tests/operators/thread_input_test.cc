#include "operators/io/thread_input.h"

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "headway.h"
#include "tests/engine/run_helpers.h"

namespace headway {
namespace {

TEST_CASE("records of several threads all arrive, those of one thread in its order") {
  for (int workers : kWorkerCounts) {
    for (size_t max_records : {1, 7, 1024}) {
      CAPTURE(workers);
      CAPTURE(max_records);
      constexpr int kThreads = 3;
      constexpr int kRecords = 5'000;
      ThreadInput<std::pair<int, int>> input(max_records);
      std::vector<std::thread> feeders;
      std::atomic<int> left{kThreads};
      for (int thread = 0; thread < kThreads; ++thread) {
        feeders.emplace_back([input, thread, &left] {
          for (int i = 0; i < kRecords; ++i) {
            if (!input.Send({thread, i}).ok()) std::abort();
          }
          if (--left == 0) input.Close();
        });
      }
      std::vector<int> next(kThreads, 0);
      int64_t count = 0;
      bool in_order = true;
      const Dataflow flow("flow", [&](Scope<>& scope) {
        scope.Input("input", input) | Inspect("check", [&](const std::pair<int, int>& record) {
          in_order = in_order && record.second == next[static_cast<size_t>(record.first)]++;
          ++count;
        });
      });
      CheckOk(RunMain(flow, {.worker_count = workers}));
      for (std::thread& feeder : feeders) feeder.join();
      CHECK(in_order);
      CHECK(count == kThreads * kRecords);
    }
  }
}

TEST_CASE("a full buffer refuses a record and leaves it, until the worker has emptied it") {
  ThreadInput<std::unique_ptr<int>> input(2);
  CHECK(input.TrySend(std::make_unique<int>(1)));
  CHECK(input.TrySend(std::make_unique<int>(2)));
  auto third = std::make_unique<int>(3);
  CHECK_FALSE(input.TrySend(std::move(third)));
  REQUIRE(third != nullptr);
  std::vector<int> seen;
  CheckOk(Execute({}, [&](Worker& worker) -> absl::Status {
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      scope.Input("input", input) |
          Inspect("see", [&](const std::unique_ptr<int>& record) { seen.push_back(*record); });
    }));
    HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return seen.size() < 2; }));
    CHECK(input.TrySend(std::move(third)));
    input.Close();
    CHECK_FALSE(input.TrySend(std::make_unique<int>(4)));
    return absl::OkStatus();
  }));
  CHECK(seen == std::vector{1, 2, 3});
}

TEST_CASE("a sender that would wait for itself is told so") {
  CheckOk(Execute({}, [&](Worker& worker) -> absl::Status {
    ThreadInput<int> input(1);
    HEADWAY_RETURN_IF_ERROR(worker.Build(
        "flow", [&](Scope<>& scope) { scope.Input("input", input) | Inspect("see", [](int) {}); }));
    HEADWAY_RETURN_IF_ERROR(worker.Step());
    CheckOk(input.Send(1));
    CheckError(input.Send(2), absl::StatusCode::kFailedPrecondition, {"is full", "TrySend"});
    input.Close();
    return absl::OkStatus();
  }));
}

TEST_CASE("blocked senders return when the input is closed, and when its dataflow ends") {
  for (const bool close : {true, false}) {
    ThreadInput<int> input(1);
    StopHandle stop;
    std::vector<absl::Status> refused(2);
    std::vector<std::thread> feeders;
    std::atomic<int> sent{0};
    for (absl::Status& status : refused) {
      feeders.emplace_back([input, &status, &sent] {
        while (status.ok()) {
          status = input.Send(1);
          ++sent;
        }
      });
    }
    const Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("input", input) | Inspect("end", [&](int) {
        if (sent < 1'000) return;
        close ? input.Close() : stop.RequestStop();
      });
    });
    CheckOk(RunMain(flow, {.stop = stop}));
    for (std::thread& feeder : feeders) feeder.join();
    for (const absl::Status& status : refused) {
      CheckError(status, absl::StatusCode::kFailedPrecondition,
                 {close ? "ThreadInput" : "the dataflow of the ThreadInput has ended"});
    }
    CHECK(input.closed());
  }
}

TEST_CASE("an input feeds one dataflow") {
  ThreadInput<int> input;
  const Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("first", input) | Inspect("a", [](int) {});
    scope.Input("second", input) | Inspect("b", [](int) {});
  });
  CheckError(RunMain(flow), absl::StatusCode::kFailedPrecondition,
             {"step 'second'", "feeds another dataflow"});
}

TEST_CASE("a callback runs on the thread of worker 0 with every record that is gathered there") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    const std::thread::id host = std::this_thread::get_id();
    std::vector<std::string> seen;
    bool on_host = true;
    const Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", NumbersOfEachWorker(100)) |
          Map("text", [](int64_t x) { return std::to_string(x); }) | Gather("gather") |
          Output("call", CallbackSink([&](std::string_view text) {
                   on_host = on_host && std::this_thread::get_id() == host;
                   seen.emplace_back(text);
                 }));
    });
    CheckOk(RunMain(flow, {.worker_count = workers}));
    CHECK(on_host);
    CHECK(seen.size() == 100 * static_cast<size_t>(workers));
  }
}

TEST_CASE("the error of a callback ends the run and names the step") {
  const Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("numbers", NumbersOfEachWorker(100)) |
        Output("call", CallbackSink([](int64_t x) {
                 return x == 7 ? absl::DataLossError("seven") : absl::OkStatus();
               }));
  });
  CheckError(RunMain(flow), absl::StatusCode::kDataLoss, {"step 'call'", "seven"});
}

}  // namespace
}  // namespace headway
