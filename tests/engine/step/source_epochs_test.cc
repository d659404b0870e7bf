// Epochs of a source that the clock, a number of records, or the reader closes; slow readers.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "tests/engine/run_helpers.h"

namespace headway {
namespace {

using Seen = Collected<std::pair<Epoch, int64_t>>;

// Polls a function on each worker: (worker index, the number of the poll, output).
using PollFunction =
    std::function<absl::StatusOr<SourceState>(int, int64_t, SourceOutput<int64_t>&)>;
struct Polled {
  using Record = int64_t;
  struct Reader {
    absl::StatusOr<SourceState> Poll(SourceOutput<int64_t>& out) {
      return poll(worker, polls++, out);
    }
    std::string Snapshot() const { return ""; }
    int worker;
    PollFunction poll;
    int64_t polls = 0;
  };
  absl::StatusOr<Reader> Open(const SourceContext& context, std::optional<std::string>) {
    return Reader{context.worker_index, poll};
  }
  PollFunction poll;
};

// The same with a config of its own.
struct PolledWithEpochs : Polled {
  EpochConfig epoch_config() const { return epochs; }
  EpochConfig epochs;
};

absl::Status RunPolled(const PollFunction& poll, RunOptions options, Seen& seen) {
  Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("numbers", Polled{poll}) | Exchange("spread") |
        CollectWithTime<int64_t, Epoch>("collect", seen);
  });
  return RunMain(flow, std::move(options));
}

TEST_CASE("RecordCountEpochConfig closes an epoch after so many records of each worker") {
  for (int workers : kWorkerCounts) {
    for (int64_t records : {1, 7, 1000}) {
      CAPTURE(workers);
      CAPTURE(records);
      Seen seen;
      Dataflow flow("flow", [&](Scope<>& scope) {
        scope.Input("numbers", NumbersOfEachWorker(100)) | Exchange("spread") |
            CollectWithTime<int64_t, Epoch>("collect", seen);
      });
      CheckOk(RunMain(flow, {.worker_count = workers,
                             .epoch_config = RecordCountEpochConfig{.records_per_epoch = records},
                             .first_epoch = 5}));
      CHECK(seen.size() == static_cast<size_t>(100 * workers));
      for (const auto& [epoch, number] : seen.InOrder()) {
        CHECK(epoch == static_cast<Epoch>(5 + number % 1000 / records));
      }
    }
  }
}

TEST_CASE("an epoch of a number of records stays open while its reader is idle") {
  Seen seen;
  const PollFunction one_in_two = [](int, int64_t poll, SourceOutput<int64_t>& out) {
    if (poll == 20) return SourceState::Done();
    if (poll % 2 == 0) return SourceState::Idle(absl::Nanoseconds(1));
    out.Emit(poll / 2);
    return SourceState::More();
  };
  CheckOk(RunPolled(one_in_two, {.epoch_config = RecordCountEpochConfig{.records_per_epoch = 4}},
                    seen));
  CHECK(seen.size() == 10);
  for (const auto& [epoch, number] : seen.InOrder()) {
    CHECK(epoch == static_cast<Epoch>(number / 4));
  }
}

TEST_CASE("a number of records or a length that is not positive is an error that says so") {
  Seen seen;
  const PollFunction done = [](int, int64_t, SourceOutput<int64_t>&) {
    return SourceState::Done();
  };
  CheckError(
      RunPolled(done, {.epoch_config = RecordCountEpochConfig{.records_per_epoch = 0}}, seen),
      absl::StatusCode::kInvalidArgument, {"records_per_epoch must be at least 1, not 0"});
  Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("numbers",
                PolledWithEpochs{{done}, PeriodicEpochConfig{.epoch_length = absl::Seconds(-1)}});
  });
  CheckError(RunMain(flow), absl::StatusCode::kInvalidArgument,
             {"step 'numbers'", "epoch_length must be positive, not -1s"});
}

TEST_CASE("a reader that closes its epochs decides which records are in one") {
  for (int workers : kWorkerCounts) {
    for (int max : {1, 2, 5}) {
      CAPTURE(workers);
      CAPTURE(max);
      Seen seen;
      // Epoch e has the e + 1 records 100 * e, 100 * e + 1, ...
      const PollFunction growing = [](int, int64_t poll, SourceOutput<int64_t>& out) {
        if (poll == 20) return SourceState::Done();
        CHECK(out.epoch() == static_cast<Epoch>(poll));
        for (int64_t i = 0; i <= poll; ++i) out.Emit(100 * poll + i);
        return SourceState::EndEpoch();
      };
      CheckOk(RunPolled(growing,
                        {.worker_count = workers,
                         .epoch_config = SourceEpochConfig{},
                         .max_epochs_in_flight = max},
                        seen));
      CHECK(seen.size() == static_cast<size_t>(210 * workers));
      for (const auto& [epoch, number] : seen.InOrder()) {
        CHECK(epoch == static_cast<Epoch>(number / 100));
      }
    }
  }
}

TEST_CASE("a reader may choose epochs by number, far apart and other ones on each worker") {
  for (int workers : kWorkerCounts) {
    for (int max : {1, 2, 5}) {
      CAPTURE(workers);
      CAPTURE(max);
      Seen seen;
      const PollFunction jumping = [](int worker, int64_t poll, SourceOutput<int64_t>& out) {
        if (poll == 30) return SourceState::Done();
        if (poll > 0) out.Emit(static_cast<int64_t>(out.epoch()));
        return SourceState::AdvanceTo(1'000'000 * static_cast<Epoch>(poll * (worker + 1)));
      };
      CheckOk(RunPolled(jumping,
                        {.worker_count = workers,
                         .epoch_config = SourceEpochConfig{},
                         .max_epochs_in_flight = max},
                        seen));
      CHECK(seen.size() == static_cast<size_t>(29 * workers));
      for (const auto& [epoch, number] : seen.InOrder()) {
        CHECK(epoch == static_cast<Epoch>(number));
      }
    }
  }
}

TEST_CASE("a reader cannot go back to an earlier epoch, nor to one beyond all epochs") {
  Seen seen;
  const PollFunction beyond = [](int, int64_t, SourceOutput<int64_t>&) {
    return SourceState::AdvanceTo(UINT64_MAX);
  };
  CheckError(RunPolled(beyond, {.epoch_config = SourceEpochConfig{}}, seen),
             absl::StatusCode::kFailedPrecondition,
             {"step 'numbers'", "SourceState::AdvanceTo(18446744073709551615); an epoch must be"});
  const PollFunction back = [](int, int64_t poll, SourceOutput<int64_t>&) {
    return SourceState::AdvanceTo(poll == 0 ? 7 : 5);
  };
  CheckError(RunPolled(back, {.epoch_config = SourceEpochConfig{}}, seen),
             absl::StatusCode::kFailedPrecondition,
             {"step 'numbers'", "SourceState::AdvanceTo(5), but is in epoch 7"});
}

TEST_CASE("the epochs of a source of its own config do not depend on the run's") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    Seen pairs;
    Seen singles;
    Dataflow flow("flow", [&](Scope<>& scope) {
      const PollFunction two = [](int, int64_t poll, SourceOutput<int64_t>& out) {
        if (poll == 10) return SourceState::Done();
        out.Emit(poll);
        return poll % 2 == 1 ? SourceState::EndEpoch() : SourceState::More();
      };
      scope.Input("pairs", PolledWithEpochs{{two}, SourceEpochConfig{}}) | Exchange("spread") |
          CollectWithTime<int64_t, Epoch>("collect", pairs);
      scope.Input("singles", NumbersOfEachWorker(10)) |
          CollectWithTime<int64_t, Epoch>("collect_singles", singles);
    });
    CheckOk(RunMain(flow, {.worker_count = workers, .epoch_config = TestingEpochConfig{}}));
    CHECK(pairs.size() == static_cast<size_t>(10 * workers));
    for (const auto& [epoch, number] : pairs.InOrder()) {
      CHECK(epoch == static_cast<Epoch>(number / 2));
    }
    for (const auto& [epoch, number] : singles.InOrder()) {
      CHECK(epoch == static_cast<Epoch>(number % 1000));
    }
  }
}

TEST_CASE("the readers of other workers continue after the first one is done") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    Seen seen;
    std::atomic<int> ends{0};
    const PollFunction uneven = [](int worker, int64_t poll, SourceOutput<int64_t>& out) {
      if (poll == 10 * worker) return SourceState::Done();
      out.Emit(poll);
      return SourceState::EndEpoch();
    };
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", Polled{uneven}) | Exchange("spread") |
          CollectWithTime<int64_t, Epoch>("collect", seen) |
          UnaryFrontier<int64_t>("end", pact::Pipeline{}, [&](Capability<>) {
            return [&, ended = false](NodeInput<int64_t>& in, NodeOutput<int64_t>&) mutable {
              in.ForEach([&](const CapabilityRef<Epoch>&, Batch<int64_t>&) { CHECK(!ended); });
              if (in.frontier().empty() && !std::exchange(ended, true)) ++ends;
            };
          });
    });
    CheckOk(RunMain(flow, {.worker_count = workers, .epoch_config = SourceEpochConfig{}}));
    CHECK(seen.size() == static_cast<size_t>(10 * workers * (workers - 1) / 2));
    CHECK(ends == workers);
  }
}

// ---- Epochs that take longer to complete than they last ----

// A sink whose flush takes `duration` of the run's clock.
struct SlowSink {
  struct Writer {
    absl::Status Write(int64_t) {
      ++*written;
      return absl::OkStatus();
    }
    absl::StatusOr<FlushState> Flush() {
      const int64_t now = clock->NowNanos();
      if (done_at == 0) done_at = now + absl::ToInt64Nanoseconds(duration);
      if (now < done_at) return FlushState::Pending(absl::Nanoseconds(done_at - now));
      done_at = 0;
      return FlushState::Done();
    }
    Clock* clock;
    absl::Duration duration;
    std::atomic<int64_t>* written;
    int64_t done_at = 0;
  };
  absl::StatusOr<Writer> Open(const SinkContext& context) {
    return Writer{context.clock, duration, written};
  }
  absl::Duration duration;
  std::atomic<int64_t>* written;
};

TEST_CASE("a source emits however much longer the completion of its timed epochs takes") {
  static constexpr absl::Duration kTick = absl::Milliseconds(1);
  constexpr absl::Duration kFlush = absl::Milliseconds(30);
  constexpr int64_t kRecords = 60;
  for (int workers : {1, 2, 3}) {
    for (int max : {1, 2, 3, 5}) {
      for (absl::Duration length : {absl::Nanoseconds(1), absl::Milliseconds(10)}) {
        CAPTURE(workers);
        CAPTURE(max);
        CAPTURE(absl::FormatDuration(length));
        ManualClock clock;
        std::atomic<int64_t> written{0};
        Seen seen;
        // One record a millisecond.
        const PollFunction steady = [](int, int64_t poll, SourceOutput<int64_t>& out) {
          if (poll == kRecords) return SourceState::Done();
          out.Emit(poll);
          return SourceState::Idle(kTick);
        };
        // An epoch for each record, and some ticks for progress to reach the other workers.
        const absl::Duration limit = (kRecords + 10) * (kFlush + 20 * kTick);
        std::barrier ticks(workers);
        absl::Status status =
            Execute({.workers = workers,
                     .run = {.epoch_config = PeriodicEpochConfig{.epoch_length = length},
                             .max_epochs_in_flight = max,
                             .clock = &clock}},
                    [&](Worker& worker) -> absl::Status {
                      HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
                        scope.Input("steady", Polled{steady}) | Exchange("spread") |
                            CollectWithTime<int64_t, Epoch>("collect", seen) |
                            Output("out", SlowSink{kFlush, &written});
                      }));
                      const absl::Cleanup leave = [&] { ticks.arrive_and_drop(); };
                      while (worker.HasDataflows() && clock.Now() < absl::UnixEpoch() + limit) {
                        if (worker.index() == 0) clock.Advance(kTick);
                        ticks.arrive_and_wait();
                        HEADWAY_RETURN_IF_ERROR(worker.Step());
                      }
                      if (!worker.HasDataflows()) return absl::OkStatus();
                      return absl::DeadlineExceededError("records are left");
                    });
        CheckOk(status);
        CHECK(written == kRecords * workers);
        // Each epoch but the last few has been flushed, which took its time.
        Epoch last = 0;
        for (const auto& [epoch, number] : seen.InOrder()) last = std::max(last, epoch);
        CHECK(static_cast<int64_t>(last) <= (clock.Now() - absl::UnixEpoch()) / kFlush + max);
      }
    }
  }
}

// ---- Readers that wait for their records ----

// Takes `duration` of the clock for each record.
Polled SlowReader(ManualClock& clock, absl::Duration duration, int64_t records,
                  std::atomic<int64_t>& made, std::function<void(int64_t)> before_record) {
  return Polled{[&clock, &made, duration, records, before_record, next = int64_t{0}](
                    int, int64_t, SourceOutput<int64_t>& out) mutable {
    while (out.WantsMore()) {
      if (next == records) return SourceState::Done();
      before_record(next);
      clock.Advance(duration);
      ++made;
      out.Emit(next++);
    }
    return SourceState::More();
  }};
}

TEST_CASE("a record moves on before a slow reader waits for the next but one") {
  ManualClock clock;
  std::atomic<int64_t> made{0};
  std::atomic<int64_t> seen{0};
  int64_t furthest_ahead = 0;
  Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("slow", SlowReader(clock, absl::Milliseconds(5), 1000, made,
                                   [&](int64_t i) {
                                     furthest_ahead = std::max(furthest_ahead, i - seen.load());
                                   })) |
        Inspect("see", [&](int64_t) { ++seen; });
  });
  CheckOk(RunMain(flow, {.clock = &clock}));
  CHECK(seen == 1000);
  CHECK(furthest_ahead <= 1);
}

TEST_CASE("records of a reader that is slow now and then do not wait for many others") {
  ManualClock clock;
  std::atomic<int64_t> made{0};
  std::atomic<int64_t> seen{0};
  int64_t furthest_ahead = 0;
  Dataflow flow("flow", [&](Scope<>& scope) {
    auto take_longer = [&](int64_t i) {
      if (i % 100 != 0) return;
      clock.Advance(absl::Seconds(1));
      // Read after the wait: these records have waited for it.
      furthest_ahead = std::max(furthest_ahead, made - seen);
    };
    scope.Input("slow", SlowReader(clock, absl::Nanoseconds(1), 1000, made, take_longer)) |
        Inspect("see", [&](int64_t) { ++seen; });
  });
  CheckOk(RunMain(flow, {.clock = &clock}));
  CHECK(seen == 1000);
  CHECK(furthest_ahead <= 116);
}

TEST_CASE(
    "a reader that asks for several records at once gets no more than the epoch has room for") {
  Polled reader{[next = int64_t{0}](int, int64_t, SourceOutput<int64_t>& out) mutable {
    while (next < 100) {
      const int64_t count = out.WantsUpTo(std::min<int64_t>(8, 100 - next));
      CHECK(count <= 8);
      if (count == 0) return SourceState::More();
      for (int64_t i = 0; i < count; ++i) out.Emit(next++);
    }
    return SourceState::Done();
  }};
  Collected<std::pair<Epoch, int64_t>> seen;
  Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("eager", reader) | CollectWithTime<int64_t, Epoch>("collect", seen);
  });
  CheckOk(RunMain(flow, {.epoch_config = RecordCountEpochConfig{11}}));
  CHECK(seen.size() == 100);
  for (const auto& [epoch, number] : seen.InOrder()) {
    CHECK(static_cast<int64_t>(epoch) == number / 11);
  }
}

TEST_CASE("a graceful stop ends the poll of a slow reader within one record") {
  ManualClock clock;
  StopHandle stop;
  std::atomic<int64_t> made{0};
  std::atomic<int64_t> seen{0};
  Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("slow", SlowReader(clock, absl::Milliseconds(5), 1'000'000, made,
                                   [&](int64_t i) {
                                     if (i == 500) stop.RequestStop();
                                   })) |
        Inspect("see", [&](int64_t) { ++seen; });
  });
  CheckOk(RunMain(flow, {.stop = stop, .clock = &clock}));
  CHECK(made == 501);
  CHECK(seen == made);
}

}  // namespace
}  // namespace headway
