// PollingSource calls its function at the times of the run's clock that it promises.
#include <doctest/doctest.h>

#include <atomic>
#include <cmath>
#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tests/engine/run_helpers.h"
#include "tests/engine/snapshot_store.h"
#include "tests/engine/thread_cluster.h"

namespace headway {
namespace {

using internal::PollSchedule;

constexpr absl::Duration kTick = absl::Milliseconds(50);

// Runs the source in steps, with a tick of the clock between them, until its input ends.
template <class Source>
absl::Status RunInTicks(ManualClock& clock, const Source& source, Collected<int64_t>& records) {
  return Execute({.run = {.clock = &clock}}, [&](Worker& worker) -> absl::Status {
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      scope.Input("poll", source) | CollectInto("collect", records);
    }));
    while (worker.HasDataflows()) {
      HEADWAY_RETURN_IF_ERROR(worker.Step());
      clock.Advance(kTick);
    }
    return absl::OkStatus();
  });
}

using Polled = absl::StatusOr<std::optional<int64_t>>;

// Answers each call with the function's result for its number, and keeps the times of the calls.
struct Service {
  Polled operator()() {
    const absl::Duration now = clock.Now() - start;
    times.push_back(std::round(now / absl::Seconds(1)));
    // Never early, and few ticks late.
    CHECK(now >= absl::Seconds(times.back()));
    CHECK(now <= absl::Seconds(times.back()) + 5 * kTick);
    return answer(static_cast<int64_t>(times.size()));
  }

  ManualClock& clock;
  absl::Time start;
  std::function<Polled(int64_t)> answer;
  std::vector<double> times = {};  // in seconds
};

TEST_CASE("a function is called at the start and then at the interval, and its records come") {
  ManualClock clock;
  Service service{clock, clock.Now(), [](int64_t call) -> Polled {
                    if (call == 5) return absl::OutOfRangeError("");
                    if (call % 2 == 0) return std::nullopt;
                    return call;
                  }};
  Collected<int64_t> records;
  CheckOk(RunInTicks(clock, PollingSource(absl::Seconds(10), [&] { return service(); }), records));
  CHECK(service.times == std::vector<double>{0, 10, 20, 30, 40});
  CHECK(records.InOrder() == std::vector<int64_t>{1, 3});
}

TEST_CASE("aligned calls are at full multiples of the interval, the first one too") {
  for (const auto& [begin, times] :
       {std::pair{absl::Seconds(0), std::vector<double>{0, 60, 120}},
        std::pair{absl::Seconds(1), std::vector<double>{59, 119, 179}},
        std::pair{absl::Seconds(59), std::vector<double>{1, 61, 121}},
        std::pair{absl::Seconds(-1), std::vector<double>{1, 61, 121}},
        std::pair{absl::Seconds(-61), std::vector<double>{1, 61, 121}}}) {
    CAPTURE(begin);
    const absl::Time midnight = absl::UnixEpoch() + absl::Hours(24 * 365);
    ManualClock clock(midnight + begin);
    Service service{clock, clock.Now(), [](int64_t call) -> Polled {
                      if (call == 3) return absl::OutOfRangeError("");
                      return call;
                    }};
    Collected<int64_t> records;
    CheckOk(RunInTicks(
        clock, PollingSource(absl::Minutes(1), [&] { return service(); }, {.align_to = midnight}),
        records));
    CHECK(service.times == times);
  }
}

TEST_CASE("a call that is retried comes again after its timeout, and the interval stays") {
  for (const bool aligned : {false, true}) {
    CAPTURE(aligned);
    ManualClock clock;
    Service service{clock, clock.Now(), [](int64_t call) -> Polled {
                      if (call == 6) return absl::OutOfRangeError("");
                      if (call == 2) return RetryAfter(absl::Seconds(3));
                      if (call == 3) return RetryAfter(absl::Seconds(2), "not yet");
                      return call;
                    }};
    Collected<int64_t> records;
    PollingSourceOptions options;
    if (aligned) options.align_to = clock.Now();
    CheckOk(RunInTicks(
        clock, PollingSource(absl::Seconds(10), [&] { return service(); }, options), records));
    CHECK(service.times == std::vector<double>{0, 10, 13, 15, 20, 30});
    CHECK(records.InOrder() == std::vector<int64_t>{1, 4, 5});
  }
}

TEST_CASE("calls that were missed are left out") {
  for (const bool aligned : {false, true}) {
    CAPTURE(aligned);
    ManualClock clock;
    Service service{clock, clock.Now(), [&clock](int64_t call) -> Polled {
                      if (call == 4) return absl::OutOfRangeError("");
                      if (call == 2) clock.Advance(absl::Seconds(37));
                      return call;
                    }};
    Collected<int64_t> records;
    PollingSourceOptions options;
    if (aligned) options.align_to = clock.Now();
    CheckOk(RunInTicks(
        clock, PollingSource(absl::Seconds(10), [&] { return service(); }, options), records));
    CHECK(service.times == std::vector<double>{0, 10, 50, 60});
  }
}

TEST_CASE("epochs end while a source waits for its next call") {
  // A flush for each epoch that ended with records.
  struct Counting {
    struct Writer {
      absl::Status Write(int) { return absl::OkStatus(); }
      absl::Status Flush() const {
        if (++*flushes == 3) stop.RequestStop();
        return absl::OkStatus();
      }
      std::atomic<int>* flushes;
      StopHandle stop;
    };
    absl::StatusOr<Writer> Open(const SinkContext&) const { return Writer{flushes, stop}; }
    std::atomic<int>* flushes;
    StopHandle stop;
  };
  for (const int workers : {1, 3}) {
    RunOptions options{.worker_count = workers,
                       .epoch_config = PeriodicEpochConfig{absl::Milliseconds(1)}};
    std::atomic<int> flushes{0};
    int calls = 0;
    Dataflow flow("flow", [&](Scope<>& scope) {
      const auto hourly = scope.Input(
          "hourly", PollingSource(absl::Hours(1), [&calls]() -> absl::StatusOr<std::optional<int>> {
            return ++calls;
          }));
      const auto often = scope.Input(
          "often", PollingSource(absl::Microseconds(200),
                                 []() -> absl::StatusOr<std::optional<int>> { return 1; }));
      hourly | Merge("both", often) | Output("out", Counting{&flushes, options.stop});
    });
    CheckOk(RunMain(flow, options));
    CHECK(calls == 1);
    CHECK(flushes >= 3);
  }
}

// Clocks that the test sets apart from each other.
class TwoClocks final : public Clock {
 public:
  absl::Time Now() override { return wall; }
  int64_t NowNanos() override { return nanos; }
  void Advance(absl::Duration by) {
    wall += by;
    nanos += absl::ToInt64Nanoseconds(by);
  }

  absl::Time wall = absl::UnixEpoch();
  int64_t nanos = 1'000'000'000'000;
};

TEST_CASE("a wall clock that jumps moves one call; a slow one does not call twice") {
  TwoClocks clock;
  PollSchedule schedule(clock, absl::Minutes(1), absl::UnixEpoch());
  CHECK(schedule.UntilNext() == absl::ZeroDuration());
  schedule.Advance();
  CHECK(schedule.UntilNext() == absl::Minutes(1));
  // An hour and ten seconds back: the call is still due after a minute, and the next one aligned.
  clock.wall -= absl::Hours(1) + absl::Seconds(10);
  clock.Advance(absl::Minutes(1));
  CHECK(schedule.UntilNext() == absl::ZeroDuration());
  schedule.Advance();
  CHECK(schedule.UntilNext() == absl::Seconds(70));
  clock.Advance(absl::Seconds(70));
  schedule.Advance();
  CHECK(schedule.UntilNext() == absl::Minutes(1));
  // A wall clock that is a millisecond short of the minute.
  clock.Advance(absl::Minutes(1));
  clock.wall -= absl::Milliseconds(1);
  CHECK(schedule.UntilNext() == absl::ZeroDuration());
  schedule.Advance();
  CHECK(schedule.UntilNext() == absl::Minutes(1) + absl::Milliseconds(1));
}

TEST_CASE("a schedule of very long times does not overflow") {
  TwoClocks clock;
  PollSchedule schedule(clock, absl::Hours(1'000'000'000), absl::InfinitePast());
  schedule.Advance();
  schedule.Retry(absl::InfiniteDuration());
  CHECK(schedule.UntilNext() > absl::Hours(24 * 365));
  CHECK(internal::RetryTimeOf(RetryAfter(absl::InfiniteDuration())) == absl::InfiniteDuration());
  CHECK(internal::RetryTimeOf(RetryAfter(absl::Seconds(-1))) == absl::ZeroDuration());
  CHECK(internal::RetryTimeOf(absl::UnavailableError("")) == std::nullopt);
}

TEST_CASE("a function that returns a range yields all of it, on one worker, in every shape") {
  for (Shape shape : kShapes) {
    Collected<std::pair<int, int>> records;
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("poll", PollingSource(absl::Nanoseconds(1),
                                        [call = 0]() mutable -> absl::StatusOr<std::vector<int>> {
                                          if (++call == 4) return absl::OutOfRangeError("");
                                          return std::vector<int>(static_cast<size_t>(call), call);
                                        })) |
          Inspect("collect", [&records, worker = scope.worker_index()](int record) {
            records.Add({worker, record});
          });
    });
    CheckOk(RunInShape(flow, shape));
    CHECK(records.Sorted() ==
          std::vector<std::pair<int, int>>{{0, 1}, {0, 2}, {0, 2}, {0, 3}, {0, 3}, {0, 3}});
  }
}

TEST_CASE("the state of a function is the position, for any number of workers") {
  SnapshotStore store;
  std::vector<int64_t> all;
  Epoch first = 0;
  for (const int workers : {1, 3, 2}) {
    Collected<std::pair<Epoch, int64_t>> seen;
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("poll", PollingSource(absl::Nanoseconds(1), int64_t{0},
                                        [](int64_t& last) -> absl::StatusOr<std::vector<int64_t>> {
                                          if (last == 60) return absl::OutOfRangeError("");
                                          last += 2;
                                          return std::vector{last - 1, last};
                                        })) |
          CollectWithTime<int64_t, Epoch>("collect", seen);
      store.RestoreInto(scope);
      store.Listen(scope);
    });
    CheckOk(RunMain(flow, {.worker_count = workers,
                           .epoch_config = TestingEpochConfig{},
                           .first_epoch = first,
                           .apply_in_epoch_order = true}));
    // The run dies after the commit of this epoch.
    const Epoch last = workers == 2 ? ~Epoch{0} : first + 9;
    store.Cut(last);
    for (const auto& [epoch, record] : seen.InOrder()) {
      if (epoch <= last) all.push_back(record);
    }
    first = last + 1;
  }
  std::vector<int64_t> expected;
  for (int64_t i = 1; i <= 60; ++i) expected.push_back(i);
  CHECK(all == expected);
}

TEST_CASE("errors and exceptions of a function end the run, and name the step") {
  const auto run = [](const std::function<Polled()>& function, absl::Duration interval) {
    Dataflow flow("flow",
                  [&](Scope<>& scope) { scope.Input("poll", PollingSource(interval, function)); });
    return RunMain(flow);
  };
  CheckError(run([]() -> Polled { return absl::UnavailableError("no answer"); }, kTick),
             absl::StatusCode::kUnavailable, {"step 'poll'", "no answer"});
  CheckError(run([]() -> Polled { throw std::runtime_error("thrown"); }, kTick),
             absl::StatusCode::kAborted, {"step 'poll'", "thrown"});
  for (const absl::Duration wrong : {absl::ZeroDuration(), -kTick, absl::InfiniteDuration()}) {
    CheckError(run([]() -> Polled { return std::nullopt; }, wrong),
               absl::StatusCode::kInvalidArgument, {"step 'poll'", "interval"});
  }
}

}  // namespace
}  // namespace headway
