// Steps that are built with KeyedOperator: their exchange, and the timers of their keys.
#include "engine/step/keyed_operator.h"

#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "tests/engine/run_helpers.h"

namespace headway {
namespace {

using Keyed = std::pair<int64_t, int64_t>;
using KeyedNumbers = KeyedOperator<int64_t, Keyed, Epoch, FirstOfPair>;
using Step = KeyedNumbers::Step;
using Fired = std::tuple<Epoch, int64_t, int64_t>;  // (time of the result, key, time of the timer)

struct Functions {
  // Called with each record.
  std::function<void(Step&, const CapabilityRef<Epoch>&, Keyed)> record;
  std::function<void(Step&, const CapabilityRef<Epoch>&, int64_t key, Epoch)> epoch_timer = {};
  bool has_clock_timer = false;
  bool has_epoch_timer = false;
  bool at_end = false;  // emits (time, -1, -1)
};

// Emits (key, time) for each timer that fires; the time of a clock timer is in seconds.
Stream<Keyed> TimerStep(const Stream<Keyed>& stream, const Functions& functions) {
  KeyedNumbers keyed(stream, "timers", FirstOfPair());
  auto& output = keyed.AddOutput<Keyed>();
  Step& step = keyed.step();
  keyed.OnBatch([&step, functions](const CapabilityRef<Epoch>& time, Batch<Keyed>& batch) {
    for (const Keyed& record : batch) functions.record(step, time, record);
  });
  if (functions.has_clock_timer) {
    keyed.OnClockTimer([&output](const CapabilityRef<Epoch>& time, int64_t key, absl::Time at) {
      output.SessionAt(time).Give(Keyed(key, absl::ToUnixSeconds(at)));
    });
  }
  if (functions.has_epoch_timer) {
    keyed.OnEpochTimer(
        [&step, &output, functions](const CapabilityRef<Epoch>& time, int64_t key, Epoch epoch) {
          output.SessionAt(time).Give(Keyed(key, static_cast<int64_t>(epoch)));
          if (functions.epoch_timer) functions.epoch_timer(step, time, key, epoch);
        });
  }
  if (functions.at_end) {
    keyed.AtEnd([&output](const CapabilityRef<Epoch>& time) {
      output.SessionAt(time).Give(Keyed(-1, -1));
    });
  }
  return keyed.Build(output);
}

std::vector<Fired> FiredOf(const Collected<std::pair<Epoch, Keyed>>& collected) {
  std::vector<Fired> fired;
  for (const auto& [time, each] : collected.InOrder()) {
    fired.push_back({time, each.first, each.second});
  }
  return fired;
}

// A flow with a handle for its input, whose fired timers are collected.
struct TimerFlow {
  InputHandle<Keyed> input;
  Collected<std::pair<Epoch, Keyed>> collected;

  absl::Status Build(Worker& worker, const Functions& functions) {
    return worker.Build("flow", [&](Scope<>& scope) {
      TimerStep(scope.Input(input), functions) | CollectWithTime("collect", collected);
    });
  }
  std::vector<Fired> AfterSteps(Worker& worker) {
    input.Flush();
    for (int i = 0; i < 100; ++i) CheckOk(worker.Step());
    return FiredOf(collected);
  }
};

// Runs `body` with the run's options of both kinds.
void InBothOrders(const std::function<void(RunOptions)>& body) {
  for (bool in_order : {false, true}) {
    CAPTURE(in_order);
    body({.apply_in_epoch_order = in_order});
  }
}

absl::Time AtSecond(int64_t seconds) { return absl::FromUnixSeconds(seconds); }

TEST_CASE("a clock timer fires after the batches of earlier epochs, however many are behind them") {
  ManualClock clock;
  CheckOk(Execute({.run = {.apply_in_epoch_order = true, .clock = &clock}},
                  [&](Worker& worker) -> absl::Status {
                    InputHandle<Keyed> left;
                    InputHandle<Keyed> right;
                    std::vector<std::string> events;
                    auto record = [&](Step& step, const CapabilityRef<Epoch>& time, Keyed record) {
                      if (record.second > 0) step.SetTimer(record.first, AtSecond(record.second));
                      events.push_back("record at " + std::to_string(time.time()));
                    };
                    Collected<std::pair<Epoch, Keyed>> fired;
                    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
                      auto both = scope.Input(left) | Merge("both", scope.Input(right));
                      TimerStep(both, {.record = record, .has_clock_timer = true}) |
                          Inspect("fired", [&](const Keyed&) { events.push_back("timer"); }) |
                          CollectWithTime("collect", fired);
                    }));
                    auto steps = [&] {
                      for (int i = 0; i < 20; ++i) CheckOk(worker.Step());
                    };
                    left.Send(Keyed(1, 5));
                    right.AdvanceTo(1);
                    right.Send(Keyed(2, 0));
                    left.Flush();
                    right.Flush();
                    steps();
                    CHECK(events ==
                          std::vector<std::string>{"record at 0"});  // that of epoch 1 waits
                    // More batches than a step takes at once, in an epoch that has begun
                    // everywhere.
                    right.AdvanceTo(2);
                    left.AdvanceTo(2);
                    CheckOk(worker.Step());  // the step is to run, and has not run yet
                    for (int i = 0; i < 100; ++i) {
                      right.Send(Keyed(3, 0));
                      right.Flush();
                    }
                    clock.Advance(absl::Seconds(10));
                    steps();
                    REQUIRE(events.size() == 103);
                    CHECK(events[1] == "record at 1");
                    CHECK(FiredOf(fired) == std::vector<Fired>{{2, 1, 5}});
                    left.Close();
                    right.Close();
                    return worker.StepWhile([&] { return worker.HasDataflows(); });
                  }));
}

TEST_CASE("a clock timer fires when the clock has reached it, at the open epoch") {
  InBothOrders([](RunOptions options) {
    ManualClock clock;
    options.clock = &clock;
    CheckOk(Execute({.run = options}, [&](Worker& worker) -> absl::Status {
      TimerFlow flow;
      // A negative number cancels.
      auto record = [](Step& step, const CapabilityRef<Epoch>&, Keyed record) {
        const auto [key, at] = record;
        CHECK((at < 0 ? step.CancelTimer(key, AtSecond(-at)) : step.SetTimer(key, AtSecond(at))));
        if (at >= 0) CHECK_FALSE(step.SetTimer(key, AtSecond(at)));
      };
      HEADWAY_RETURN_IF_ERROR(flow.Build(worker, {.record = record, .has_clock_timer = true}));
      for (const Keyed& each : {Keyed(1, 10), Keyed(2, 5), Keyed(1, 7), Keyed(3, 6), Keyed(3, -6)})
        flow.input.Send(each);
      CHECK(flow.AfterSteps(worker).empty());
      clock.Advance(absl::Seconds(5) - absl::Nanoseconds(1));
      CHECK(flow.AfterSteps(worker).empty());
      clock.Advance(absl::Nanoseconds(1));
      std::vector<Fired> expected{{0, 2, 5}};
      CHECK(flow.AfterSteps(worker) == expected);
      flow.input.AdvanceTo(3);
      CHECK(flow.AfterSteps(worker) == expected);
      clock.Advance(absl::Seconds(4));
      expected.push_back({3, 1, 7});
      CHECK(flow.AfterSteps(worker) == expected);
      flow.input.Close();  // fires the rest
      expected.push_back({3, 1, 10});
      CHECK(flow.AfterSteps(worker) == expected);
      CHECK_FALSE(worker.HasDataflows());
      return absl::OkStatus();
    }));
  });
}

TEST_CASE("a clock timer wakes a worker that waits") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    std::atomic<int> fired{0};
    std::atomic<bool> done{false};
    // Yields one record on each worker, and is idle until all timers have fired.
    struct Source {
      using Record = Keyed;
      struct Reader {
        absl::StatusOr<SourceState> Poll(SourceOutput<Keyed>& out) {
          if (std::exchange(first, false)) out.Emit(Keyed(index, 0));
          if (*done) return SourceState::Done();
          return SourceState::Idle(absl::InfiniteDuration());
        }
        std::string Snapshot() const { return ""; }
        int index;
        std::atomic<bool>* done;
        bool first = true;
      };
      absl::StatusOr<Reader> Open(const SourceContext& context, std::optional<std::string>) {
        activators->Add(context.activator);
        return Reader{context.worker_index, done};
      }
      std::atomic<bool>* done;
      Collected<ThreadActivator>* activators;
    };
    Collected<ThreadActivator> activators;
    Dataflow flow("flow", [&](Scope<>& scope) {
      Functions functions;
      functions.has_clock_timer = true;
      functions.record = [](Step& step, const CapabilityRef<Epoch>&, Keyed record) {
        step.SetTimer(record.first, absl::Now() + absl::Milliseconds(5));
      };
      TimerStep(scope.Input("source", Source{&done, &activators}), functions) |
          Inspect("fired", [&](const Keyed&) {
            if (++fired < workers) return;
            done = true;
            for (const ThreadActivator& activator : activators.InOrder()) activator.Activate();
          });
    });
    CheckOk(RunMain(flow, {.worker_count = workers}));
    CHECK(fired == workers);
  }
}

TEST_CASE("an epoch timer fires at its epoch, when that is complete, earliest first") {
  InBothOrders([](RunOptions options) {
    CheckOk(Execute({.run = options}, [&](Worker& worker) -> absl::Status {
      TimerFlow flow;
      auto record = [](Step& step, const CapabilityRef<Epoch>& time, Keyed record) {
        const auto [key, at] = record;
        if (at < 0) {
          CHECK(step.CancelTimer(key, static_cast<Epoch>(-at)));
        } else {
          CHECK(step.SetTimer(time, key, static_cast<Epoch>(at)));
        }
      };
      HEADWAY_RETURN_IF_ERROR(
          flow.Build(worker, {.record = record, .has_epoch_timer = true, .at_end = true}));
      for (const Keyed& each : {Keyed(1, 4), Keyed(2, 0), Keyed(3, 2), Keyed(4, 3), Keyed(4, -3),
                                Keyed(5, 9), Keyed(6, 2), Keyed(6, -2)}) {
        flow.input.Send(each);
      }
      CHECK(flow.AfterSteps(worker).empty());
      flow.input.AdvanceTo(1);
      std::vector<Fired> expected{{0, 2, 0}};
      CHECK(flow.AfterSteps(worker) == expected);
      flow.input.AdvanceTo(2);
      CHECK(flow.AfterSteps(worker) == expected);
      flow.input.Send(Keyed(7, 2));
      flow.input.AdvanceTo(4);
      std::vector<Fired> fired = flow.AfterSteps(worker);
      std::sort(fired.begin(), fired.end());
      for (int64_t key : {3, 7}) expected.push_back({2, key, 2});
      CHECK(fired == expected);
      flow.input.AdvanceTo(5);
      expected.push_back({4, 1, 4});
      flow.input.Close();
      expected.push_back({9, 5, 9});
      fired = flow.AfterSteps(worker);
      CHECK(std::count_if(fired.begin(), fired.end(),
                          [](const Fired& each) { return std::get<1>(each) == -1; }) == 1);
      std::erase_if(fired, [](const Fired& each) { return std::get<1>(each) == -1; });
      std::sort(fired.begin(), fired.end());
      CHECK(fired == expected);
      CHECK_FALSE(worker.HasDataflows());
      return absl::OkStatus();
    }));
  });
}

TEST_CASE("an epoch timer sets the next one, until the input ends") {
  InBothOrders([](RunOptions options) {
    CheckOk(Execute({.run = options}, [&](Worker& worker) -> absl::Status {
      TimerFlow flow;
      auto record = [](Step& step, const CapabilityRef<Epoch>& time, Keyed record) {
        step.SetTimer(time, record.first, time.time());
      };
      auto again = [](Step& step, const CapabilityRef<Epoch>& time, int64_t key, Epoch epoch) {
        step.SetTimer(time, key, epoch + 1);
      };
      HEADWAY_RETURN_IF_ERROR(
          flow.Build(worker, {.record = record, .epoch_timer = again, .has_epoch_timer = true}));
      flow.input.Send(Keyed(1, 0));
      flow.input.AdvanceTo(3);
      std::vector<Fired> expected{{0, 1, 0}, {1, 1, 1}, {2, 1, 2}};
      CHECK(flow.AfterSteps(worker) == expected);
      flow.input.Close();
      expected.push_back({3, 1, 3});
      CHECK(flow.AfterSteps(worker) == expected);
      CHECK_FALSE(worker.HasDataflows());
      return absl::OkStatus();
    }));
  });
}

TEST_CASE(
    "timers are in the snapshot of their epoch, and fire in the run that it is restored into") {
  using Bytes = std::vector<std::byte>;
  std::vector<std::tuple<Bytes, Bytes, std::optional<Bytes>>> entries;
  ManualClock clock;
  const Functions functions{.record =
                                [](Step& step, const CapabilityRef<Epoch>& time, Keyed record) {
                                  step.states().At(record.first) = record.second;
                                  step.SetTimer(record.first, AtSecond(record.second));
                                  step.SetTimer(time, record.first,
                                                static_cast<Epoch>(record.second));
                                },
                            .has_clock_timer = true,
                            .has_epoch_timer = true};
  auto participant = [](Scope<>& scope) { return scope.graph().parts().participants[0]; };
  const RunOptions options{.apply_in_epoch_order = true, .clock = &clock};
  CheckOk(Execute({.run = options}, [&](Worker& worker) -> absl::Status {
    InputHandle<Keyed> input;
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      TimerStep(scope.Input(input), functions);
      participant(scope)->TrackChanges();
      participant(scope)->SetListener([&](EpochParticipant& timers, Epoch) {
        timers.Snapshot([&](const StateEntry& entry) {
          std::optional<Bytes> state;
          if (entry.state.has_value()) state.emplace(entry.state->begin(), entry.state->end());
          entries.push_back({Bytes(entry.key.begin(), entry.key.end()),
                             Bytes(entry.part.begin(), entry.part.end()), state});
        });
      });
    }));
    input.Send(Keyed(1, 100));
    input.Send(Keyed(2, 2));
    input.AdvanceTo(1);
    for (int i = 0; i < 100; ++i) HEADWAY_RETURN_IF_ERROR(worker.Step());
    CHECK(entries.size() == 6);
    return worker.Cancel("flow");
  }));
  RunOptions resumed = options;
  resumed.first_epoch = 1;
  CheckOk(Execute({.run = resumed}, [&](Worker& worker) -> absl::Status {
    InputHandle<Keyed> input;
    Collected<std::pair<Epoch, Keyed>> collected;
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      TimerStep(scope.Input(input), functions) | CollectWithTime("collect", collected);
      for (const auto& [key, part, state] : entries) {
        REQUIRE(state.has_value());
        CheckOk(participant(scope)->Restore({key, *state, part}));
      }
    }));
    auto steps = [&] {
      for (int i = 0; i < 100; ++i) CheckOk(worker.Step());
      return FiredOf(collected);
    };
    CHECK(steps().empty());
    clock.Advance(absl::Seconds(2));
    CHECK(steps() == std::vector<Fired>{{1, 2, 2}});
    input.AdvanceTo(3);
    CHECK(steps() == std::vector<Fired>{{1, 2, 2}, {2, 2, 2}});
    return worker.Cancel("flow");
  }));
}

TEST_CASE("a timer without a function for it is an error of the step") {
  for (bool clock : {false, true}) {
    Dataflow flow("flow", [&](Scope<>& scope) {
      auto numbers = scope.Input("numbers", TestingSource(std::vector<Keyed>{{1, 1}}));
      TimerStep(numbers,
                {.record = [clock](Step& step, const CapabilityRef<Epoch>& time, Keyed record) {
                  if (clock) {
                    step.SetTimer(record.first, absl::Now());
                  } else {
                    step.SetTimer(time, record.first, time.time());
                  }
                }});
    });
    CheckError(RunMain(flow, {}), absl::StatusCode::kFailedPrecondition,
               {"step 'timers'", clock ? "OnClockTimer" : "OnEpochTimer"});
  }
}

TEST_CASE("an epoch timer before the epoch of its batch is an error of the step") {
  Dataflow flow("flow", [&](Scope<>& scope) {
    auto numbers = scope.Input("numbers", TestingSource(std::vector<Keyed>{{1, 1}}));
    TimerStep(numbers,
              {.record = [](Step& step, const CapabilityRef<Epoch>& time,
                            Keyed record) { step.SetTimer(time, record.first, time.time() - 1); },
               .has_epoch_timer = true});
  });
  CheckError(RunMain(flow, {.first_epoch = 5}), absl::StatusCode::kFailedPrecondition,
             {"step 'timers'", "at time 5"});
}

TEST_CASE("a timer that an epoch timer sets for an earlier epoch is an error, with more to fire") {
  Dataflow flow("flow", [&](Scope<>& scope) {
    auto numbers = scope.Input("numbers", TestingSource(std::vector<Keyed>{{1, 1}, {2, 2}}));
    TimerStep(numbers, {.record = [](Step& step, const CapabilityRef<Epoch>& time,
                                     Keyed record) { step.SetTimer(time, record.first, 9); },
                        .epoch_timer = [](Step& step, const CapabilityRef<Epoch>& time, int64_t key,
                                          Epoch epoch) { step.SetTimer(time, key, epoch - 1); },
                        .has_epoch_timer = true});
  });
  CheckError(RunMain(flow, {}), absl::StatusCode::kFailedPrecondition,
             {"step 'timers'", "epoch 8 at time 9"});
}

TEST_CASE("a timer for the last epoch of all fires at the end of the input") {
  InBothOrders([](RunOptions options) {
    constexpr Epoch kLast = std::numeric_limits<Epoch>::max();
    CheckOk(Execute({.run = options}, [&](Worker& worker) -> absl::Status {
      TimerFlow flow;
      auto record = [](Step& step, const CapabilityRef<Epoch>& time, Keyed record) {
        step.SetTimer(time, record.first, kLast);
      };
      HEADWAY_RETURN_IF_ERROR(flow.Build(worker, {.record = record, .has_epoch_timer = true}));
      flow.input.Send(Keyed(1, 1));
      CHECK(flow.AfterSteps(worker).empty());
      flow.input.Close();
      CHECK(flow.AfterSteps(worker) == std::vector<Fired>{{kLast, 1, static_cast<int64_t>(kLast)}});
      CHECK_FALSE(worker.HasDataflows());
      return absl::OkStatus();
    }));
  });
}

TEST_CASE("a keyed operator without a function for batches is an error of the step") {
  Dataflow flow("flow", [](Scope<>& scope) {
    auto numbers = scope.Input("numbers", TestingSource(std::vector<Keyed>{{1, 1}}));
    KeyedNumbers keyed(numbers, "empty", FirstOfPair());
    auto& output = keyed.AddOutput<Keyed>();
    keyed.Build(output);
  });
  CheckError(RunMain(flow, {}), absl::StatusCode::kInvalidArgument, {"step 'empty'", "OnBatch"});
}

TEST_CASE("all records of a key are on one worker, whatever worker they come from") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    Collected<Keyed> seen;
    Dataflow flow("flow", [&](Scope<>& scope) {
      auto pairs = scope.Input("numbers", NumbersOfEachWorker(100)) |
                   Map("pair", [](int64_t x) { return Keyed(x % 10, x); });
      TimerStep(pairs, {.record = [&, index = scope.worker_index()](
                                      Step&, const CapabilityRef<Epoch>&, Keyed record) {
                  seen.Add({record.first, index});
                }});
    });
    CheckOk(RunMain(flow, {.worker_count = workers}));
    CHECK(seen.size() == static_cast<size_t>(100 * workers));
    for (const auto& [key, index] : seen.InOrder()) {
      CHECK(index == RouteHash(StableHash(key), workers));
    }
  }
}

TEST_CASE("a graceful stop fires epoch timers, and neither clock timers nor the end") {
  InBothOrders([](RunOptions options) {
    StopHandle stop = options.stop;
    Collected<std::pair<Epoch, Keyed>> collected;
    auto record = [](Step& step, const CapabilityRef<Epoch>& time, Keyed record) {
      step.SetTimer(time, record.first, time.time() + 1000);
      step.SetTimer(record.first, absl::InfiniteFuture());
    };
    Dataflow flow("flow", [&](Scope<>& scope) {
      auto pairs = scope.Input("pairs", NumbersOfEachWorker(std::numeric_limits<int64_t>::max())) |
                   Map("pair", [stop](int64_t x) mutable {
                     if (x == 500) stop.RequestStop();
                     return Keyed(x % 3, x);
                   });
      TimerStep(
          pairs,
          {.record = record, .has_clock_timer = true, .has_epoch_timer = true, .at_end = true}) |
          CollectWithTime("collect", collected);
    });
    options.epoch_config = TestingEpochConfig{};
    CheckOk(RunMain(flow, options));
    CHECK(collected.size() >= 501);
    for (const auto& [time, key, at] : FiredOf(collected)) {
      CHECK(static_cast<Epoch>(at) == time);
      CHECK(key >= 0);
    }
  });
}

}  // namespace
}  // namespace headway
