#include "operators/async_map.h"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/step/event_time.h"
#include "headway.h"
#include "tests/engine/run_helpers.h"
#include "tests/engine/snapshot_store.h"
#include "tests/engine/thread_cluster.h"
#include "tests/temporary_directory.h"

namespace headway {
namespace {

using absl::StatusCode;

std::vector<int64_t> Numbers(int64_t count) {
  std::vector<int64_t> numbers;
  for (int64_t i = 0; i < count; ++i) numbers.push_back(i);
  return numbers;
}

// Holds calls until it is opened, and counts them.
class Gate {
 public:
  void Wait() {
    std::unique_lock lock(mutex_);
    ++entered_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
    ++left_;
    changed_.notify_all();
  }
  void Open() {
    std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void AwaitEntered(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return entered_ >= count; });
  }
  // The calls may refer to the test until they have left.
  void OpenAndAwaitAll() {
    Open();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return left_ == entered_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
  int entered_ = 0;
  int left_ = 0;
};

TEST_CASE("answers and their times do not depend on the shape of the run or the options") {
  for (const Shape shape : kShapes) {
    for (const bool ordered : {true, false}) {
      for (const int max_pending : {4, 256}) {
        CAPTURE(shape.processes);
        CAPTURE(shape.workers);
        CAPTURE(ordered);
        CAPTURE(max_pending);
        Collected<std::pair<Epoch, int64_t>> expected;
        Collected<std::pair<Epoch, int64_t>> answers;
        const Dataflow flow("flow", [&](Scope<>& scope) {
          auto numbers = scope.Input("numbers", NumbersOfEachWorker(100));
          numbers | CollectWithTime("expect", expected);
          numbers |
              AsyncMap("double", [](int64_t x) { return 2 * x; },
                       {.concurrency = 3, .max_pending = max_pending, .ordered = ordered}) |
              CollectWithTime("collect", answers);
        });
        CheckOk(RunInShape(flow, shape, {.epoch_config = RecordCountEpochConfig{7}}));
        std::vector<std::pair<Epoch, int64_t>> doubled = expected.Sorted();
        for (auto& [time, x] : doubled) x *= 2;
        CHECK(answers.Sorted() == doubled);
      }
    }
  }
}

TEST_CASE("answers leave in the order of the records, although a later one is there first") {
  Collected<std::string> answers;
  const Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("words", TestingSource<std::string>({"a", "b", "c", "d", "e", "f"})) |
        AsyncMap("call",
                 [returned = std::make_shared<std::atomic<int>>(0)](const std::string& word) {
                   // The first record waits for three others, which the other threads answer.
                   while (word == "a" && *returned < 3) std::this_thread::yield();
                   ++*returned;
                   return word + word;
                 },
                 {.concurrency = 4}) |
        CollectInto("collect", answers);
  });
  CheckOk(RunMain(flow));
  CHECK(answers.InOrder() == std::vector<std::string>{"aa", "bb", "cc", "dd", "ee", "ff"});
}

TEST_CASE("without order an answer does not wait for that of an earlier record") {
  Collected<int64_t> answers;
  const Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("numbers", TestingSource(Numbers(4))) |
        AsyncMap("call",
                 [&answers](int64_t x) {
                   while (x == 0 && answers.size() < 3) std::this_thread::yield();
                   return x;
                 },
                 {.concurrency = 2, .ordered = false}) |
        CollectInto("collect", answers);
  });
  CheckOk(RunMain(flow));
  CHECK(answers.InOrder().back() == 0);
  CHECK(answers.Sorted() == Numbers(4));
}

TEST_CASE("an epoch is not complete before its records are answered") {
  Gate gate;
  InputHandle<int64_t> input;
  ProbeHandle<> probe;
  CheckOk(Execute({}, [&](Worker& worker) -> absl::Status {
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      scope.Input(input) | AsyncMap("call", [&gate](int64_t x) {
        if (x == 1) gate.Wait();
        return x;
      }) | Probe(probe);
    }));
    input.Send(1);
    const Epoch first = input.time();
    input.AdvanceTo(first + 1);
    input.Send(2);
    input.AdvanceTo(first + 2);
    for (int i = 0; i < 100; ++i) HEADWAY_RETURN_IF_ERROR(worker.Step());
    gate.AwaitEntered(1);
    for (int i = 0; i < 100; ++i) HEADWAY_RETURN_IF_ERROR(worker.Step());
    CHECK(probe.LessThan(first + 1));
    gate.Open();
    HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return probe.LessThan(first + 2); }));
    input.Close();
    return absl::OkStatus();
  }));
}

TEST_CASE(
    "while the step is full it takes no more records, and a graceful stop answers those in it") {
  struct Large {
    int64_t number;
    std::array<char, 16'000> rest;
  };
  Gate gate;
  std::atomic<int64_t> emitted = 0;
  std::atomic<int64_t> called = 0;
  std::atomic<int64_t> answered = 0;
  StopHandle stop;
  const RunOptions options = {.max_bytes_in_flight = int64_t{1} << 20, .stop = stop};
  CheckOk(Execute({.run = options}, [&](Worker& worker) -> absl::Status {
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      scope.Input("large",
                  ManualSource([&](int, int,
                                   std::optional<int64_t>) -> Generator<std::pair<int64_t, Large>> {
                    for (int64_t i = 0;; ++i) {
                      ++emitted;
                      co_yield {i + 1, Large{i, {}}};
                    }
                  })) |
          AsyncMap("call",
                   [&](const Large& large) {
                     ++called;
                     gate.Wait();
                     return large.number;
                   },
                   {.concurrency = 2, .max_pending = 8}) |
          Inspect("count", [&](int64_t) { ++answered; });
    }));
    // Without a bound the source would emit for ever.
    int64_t before = -1;
    while (emitted != before) {
      before = emitted;
      for (int i = 0; i < 100; ++i) HEADWAY_RETURN_IF_ERROR(worker.Step());
    }
    gate.AwaitEntered(2);
    CHECK(called == 2);
    CHECK(answered == 0);
    stop.RequestStop();
    gate.Open();
    return absl::OkStatus();
  }));
  CHECK(answered == emitted);
}

TEST_CASE("a watermark does not overtake the records before it") {
  for (const bool ordered : {true, false}) {
    for (const int workers : kWorkerCounts) {
      CAPTURE(ordered);
      CAPTURE(workers);
      std::atomic<int> behind = 0;
      std::atomic<int> records = 0;
      std::vector<EventTime> last(static_cast<size_t>(workers));
      const Dataflow flow("flow", [&](Scope<>& scope) {
        auto answers = scope.Input("numbers", TestingSource(Numbers(300))) |
                       AssignEventTime("time", EventClock([](int64_t x) { return x; }, 0)) |
                       AsyncMap("call",
                                [](int64_t x) {
                                  for (int64_t i = 0; i < x % 7; ++i) std::this_thread::yield();
                                  return x;
                                },
                                {.concurrency = 3, .max_pending = 32, .ordered = ordered});
        KeyedOperator<int64_t, int64_t, Epoch, std::identity> keyed(answers, "note",
                                                                    std::identity());
        auto& output = keyed.AddOutput<int64_t>();
        auto& step = keyed.step();
        EventTime& watermark = last[static_cast<size_t>(scope.worker_index())];
        keyed.OnBatch([&behind, &records, &step](const CapabilityRef<>&, Batch<int64_t>& batch) {
          for (int64_t x : batch) behind += x < step.watermark() ? 1 : 0;
          records += static_cast<int>(batch.size());
        });
        keyed.OnWatermark(
            [&watermark, &step](const CapabilityRef<>&) { watermark = step.watermark(); });
        keyed.Build(output);
      });
      CheckOk(RunMain(flow, {.worker_count = workers, .epoch_config = RecordCountEpochConfig{50}}));
      CHECK(behind == 0);
      CHECK(records == 300);
      CHECK(last == std::vector<EventTime>(last.size(), 299));
    }
  }
}

TEST_CASE("a call that fails is repeated, and its answer takes the place of its record") {
  std::mutex mutex;
  std::map<int64_t, int> calls;
  Collected<int64_t> answers;
  const Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("numbers", TestingSource(Numbers(20))) |
        AsyncMap("call",
                 [&](int64_t x) -> absl::StatusOr<int64_t> {
                   int call;
                   {
                     std::lock_guard lock(mutex);
                     call = ++calls[x];
                   }
                   if (x % 3 == 0 && call == 1) return absl::UnavailableError("the server is away");
                   if (x % 3 == 0 && call == 2) throw std::runtime_error("the connection broke");
                   return 10 * x;
                 },
                 {.concurrency = 3, .max_attempts = 3, .backoff = absl::Milliseconds(1)}) |
        CollectInto("collect", answers);
  });
  CheckOk(RunMain(flow));
  std::vector<int64_t> expected;
  for (int64_t x : Numbers(20)) expected.push_back(10 * x);
  CHECK(answers.InOrder() == expected);
  for (const auto& [x, count] : calls) CHECK(count == (x % 3 == 0 ? 3 : 1));
}

TEST_CASE("the last failure of a call ends the run and names the step") {
  for (const int max_attempts : {1, 3}) {
    CAPTURE(max_attempts);
    std::atomic<int> calls = 0;
    const Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", TestingSource(Numbers(1))) |
          AsyncMap("call",
                   [&](int64_t) -> absl::StatusOr<int64_t> {
                     ++calls;
                     return absl::UnavailableError("the server is away");
                   },
                   {.max_attempts = max_attempts, .backoff = absl::ZeroDuration()}) |
          Inspect("see", [](int64_t) {});
    });
    CheckError(RunMain(flow), StatusCode::kUnavailable,
               {"step 'call' on worker 0",
                max_attempts == 1 ? "the call failed: the server is away"
                                  : "the last of 3 attempts failed: the server is away"});
    CHECK(calls == max_attempts);
  }
}

TEST_CASE("an exception of the function ends the run and names the step") {
  const Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("numbers", NumbersOfEachWorker(100)) | AsyncMap("call", [](int64_t x) {
      if (x % 1000 == 50) throw std::runtime_error("no such row");
      return x;
    }) | Inspect("see", [](int64_t) {});
  });
  CheckError(RunMain(flow, {.worker_count = 2}), StatusCode::kAborted,
             {"step 'call'", "its function threw: no such row"});
}

TEST_CASE("a call that hangs ends the run at its timeout, though it has not returned") {
  Gate gate;
  const Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("numbers", TestingSource(Numbers(3))) |
        AsyncMap("call",
                 [&](int64_t x) {
                   gate.Wait();
                   return x;
                 },
                 {.timeout = absl::Milliseconds(20)}) |
        Inspect("see", [](int64_t) {});
  });
  CheckError(RunMain(flow), StatusCode::kDeadlineExceeded,
             {"step 'call' on worker 0", "did not return within 20ms"});
  gate.OpenAndAwaitAll();
}

TEST_CASE("a call that hangs is repeated on another thread, and its late answer is dropped") {
  Gate gate;
  std::atomic<int> calls_of_first = 0;
  Collected<std::string> answers;
  const Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("words", TestingSource<std::string>({"a", "b", "c"})) |
        AsyncMap("call",
                 [&](const std::string& word) {
                   const bool hangs = word == "a" && ++calls_of_first == 1;
                   if (hangs) gate.Wait();
                   return word + (hangs ? " late" : " in time");
                 },
                 {.concurrency = 1,
                  .timeout = absl::Milliseconds(100),
                  .max_attempts = 5,
                  .backoff = absl::ZeroDuration()}) |
        Inspect("release",
                [&](std::string_view answer) {
                  if (answer == "c in time") gate.Open();
                }) |
        CollectInto("collect", answers);
  });
  CheckOk(RunMain(flow));
  CHECK(answers.InOrder() == std::vector<std::string>{"a in time", "b in time", "c in time"});
  CHECK(calls_of_first >= 2);
  gate.OpenAndAwaitAll();
}

TEST_CASE("threads in calls that do not return are bounded") {
  Gate gate;
  std::mutex mutex;
  std::map<int64_t, int> calls;
  const Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("numbers", TestingSource(Numbers(100))) |
        AsyncMap("call",
                 [&](int64_t x) {
                   bool hangs;
                   {
                     std::lock_guard lock(mutex);
                     hangs = ++calls[x] == 1;
                   }
                   if (hangs) gate.Wait();
                   return x;
                 },
                 {.concurrency = 1,
                  .timeout = absl::Milliseconds(30),
                  .max_attempts = 5,
                  .backoff = absl::ZeroDuration()}) |
        Inspect("see", [](int64_t) {});
  });
  CheckError(RunMain(flow), StatusCode::kResourceExhausted,
             {"step 'call'", "6 threads are in calls that did not return within 30ms"});
  gate.OpenAndAwaitAll();
}

TEST_CASE("each helper thread has a copy of the function") {
  std::mutex mutex;
  std::map<const void*, std::thread::id> user_of_copy;
  bool shared = false;
  struct Connection {
    Connection() = default;
    Connection(const Connection&) {}
    std::unique_ptr<int> handle = std::make_unique<int>(0);
  };
  const Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("numbers", NumbersOfEachWorker(200)) |
        AsyncMap("call",
                 [&, connection = Connection()](int64_t x) {
                   std::lock_guard lock(mutex);
                   const auto [user, is_new] =
                       user_of_copy.emplace(connection.handle.get(), std::this_thread::get_id());
                   shared |= user->second != std::this_thread::get_id();
                   return x;
                 },
                 {.concurrency = 3}) |
        Inspect("see", [](int64_t) {});
  });
  CheckOk(RunMain(flow, {.worker_count = 2}));
  CHECK_FALSE(shared);
}

TEST_CASE("records that only move, and an answer of a type that only moves") {
  std::vector<int> answers;
  CheckOk(Execute({}, [&](Worker& worker) -> absl::Status {
    InputHandle<std::unique_ptr<int>> input;
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      scope.Input(input) | AsyncMap("call", [](const std::unique_ptr<int>& x) {
        return std::make_unique<int>(*x + 1);
      }) | Inspect("see", [&](const std::unique_ptr<int>& x) { answers.push_back(*x); });
    }));
    input.Send(std::make_unique<int>(1));
    input.Close();
    return absl::OkStatus();
  }));
  CHECK(answers == std::vector{2});
}

TEST_CASE("an option that is out of its range is refused") {
  const AsyncMapOptions wrong[] = {{.concurrency = 0},
                                   {.concurrency = 8, .max_pending = 7},
                                   {.timeout = absl::ZeroDuration()},
                                   {.max_attempts = 0},
                                   {.backoff = absl::Seconds(-1)}};
  for (const AsyncMapOptions& options : wrong) {
    const Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", TestingSource(Numbers(1))) |
          AsyncMap("call", [](int64_t x) { return x; }, options) | Inspect("see", [](int64_t) {});
    });
    CheckError(RunMain(flow), StatusCode::kInvalidArgument, {"step 'call'", "out of its range"});
  }
}

TEST_CASE("a run that resumes calls again for the records of epochs that were not committed") {
  TemporaryDirectory dir;
  const std::string path = dir / "out";
  SnapshotStore store;
  std::string expected;
  for (int64_t x : Numbers(40)) expected += std::to_string(3 * x) + "\n";
  Epoch first = 0;
  for (const int workers : {1, 3, 2, 8}) {
    CAPTURE(workers);
    const Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", TestingSource(Numbers(40))) |
          AsyncMap("triple", [](int64_t x) { return 3 * x; },
                   {.concurrency = 4, .ordered = false}) |
          Output("out", FileSink(path));
      store.RestoreInto(scope);
      store.Listen(scope);
    });
    CheckOk(RunMain(flow, {.worker_count = workers,
                           .epoch_config = TestingEpochConfig{},
                           .first_epoch = first,
                           .apply_in_epoch_order = true}));
    CHECK(dir.Read("out") == expected);
    store.Cut(first + 7);
    first += 8;
  }
}

}  // namespace
}  // namespace headway
