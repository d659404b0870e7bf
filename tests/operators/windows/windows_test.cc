#include <algorithm>
#include <array>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "doctest/doctest.h"
#include "headway.h"
#include "tests/engine/run_helpers.h"
#include "tests/engine/snapshot_store.h"
#include "tests/engine/thread_cluster.h"
#include "tests/operators/stopped_runs.h"

namespace headway {
namespace {

// An event of a key: (time, amount).
using Event = std::pair<int64_t, int64_t>;
using Keyed = std::pair<std::string, Event>;
// Key, start, end, result.
template <class R>
using Row = std::tuple<std::string, int64_t, int64_t, R>;

constexpr int64_t kDisorder = 20;

const auto kTime = [](const auto& event) { return event.first; };

// Events of some keys, none earlier than the latest by more than kDisorder.
std::vector<Keyed> Events(uint32_t seed, int count) {
  std::mt19937 random(seed);
  std::vector<Keyed> events;
  int64_t now = -50;
  for (int i = 0; i < count; ++i) {
    now += static_cast<int64_t>(random() % 4);
    if (random() % 40 == 0) now += 60;
    const int64_t time = now - static_cast<int64_t>(random() % kDisorder);
    events.emplace_back("k" + std::to_string(random() % 7),
                        Event(time, static_cast<int64_t>(random() % 100)));
  }
  return events;
}

template <class R>
struct Collected {
  std::mutex mutex;
  std::vector<Row<R>> rows;
  std::vector<Keyed> late;
};

// Adds the results and late records of a step to `collected`.
template <class R, class Windows>
void Collect(const Windows& windows, Collected<R>& collected, const std::string& id = "results") {
  windows | Inspect(id, [&](const auto& record) {
    const std::lock_guard lock(collected.mutex);
    collected.rows.emplace_back(std::string(record.first), record.second.window.start,
                                record.second.window.end, record.second.value);
  });
  windows.late() | Inspect(id + "_late", [&](const auto& record) {
    const std::lock_guard lock(collected.mutex);
    collected.late.emplace_back(std::string(record.first), record.second);
  });
}

// The events of each key and window of [start, start + length), start = slide * i.
std::map<std::tuple<std::string, int64_t, int64_t>, std::vector<Event>> Divide(
    const std::vector<Keyed>& events, int64_t length, int64_t slide) {
  std::map<std::tuple<std::string, int64_t, int64_t>, std::vector<Event>> windows;
  for (const auto& [key, event] : events) {
    for (int64_t start = -100 * slide; start <= event.first; start += slide) {
      if (event.first < start + length) windows[{key, start, start + length}].push_back(event);
    }
  }
  return windows;
}

template <class R, class F>
std::vector<Row<R>> Model(const std::vector<Keyed>& events, int64_t length, int64_t slide,
                          F&& result) {
  std::vector<Row<R>> rows;
  for (const auto& [window, in_window] : Divide(events, length, slide)) {
    const auto& [key, start, end] = window;
    rows.emplace_back(key, start, end, result(in_window));
  }
  return rows;
}

template <class R>
std::vector<Row<R>> Sorted(std::vector<Row<R>> rows) {
  std::ranges::sort(rows);
  return rows;
}

int64_t Sum(const std::vector<Event>& events) {
  int64_t sum = 0;
  for (const Event& event : events) sum += event.second;
  return sum;
}

TEST_CASE("tumbling and sliding windows have the results of a model, in every shape") {
  const uint32_t seed = std::random_device()();
  CAPTURE(seed);
  const std::vector<Keyed> events = Events(seed, 600);
  const std::pair<int64_t, int64_t> kWindows[] = {{10, 10}, {30, 10}, {25, 10}, {7, 10}, {55, 20}};
  for (const auto& [length, slide] : kWindows) {
    const auto expected = Sorted(Model<int64_t>(events, length, slide, Sum));
    for (Shape shape : kShapes) {
      for (bool in_order : {false, true}) {
        CAPTURE(length);
        CAPTURE(slide);
        CAPTURE(shape.processes);
        CAPTURE(shape.workers);
        CAPTURE(in_order);
        Collected<int64_t> collected;
        CheckOk(RunInShape(
            Dataflow("flow",
                     [&, length = length, slide = slide](Scope<>& scope) {
                       Collect(
                           scope.Input("events", TestingSource(events)) |
                               WindowFold<int64_t>(
                                   "sum", EventClock(kTime, kDisorder),
                                   SlidingWindows(length, slide),
                                   [](int64_t& sum, const Event& event) { sum += event.second; },
                                   [](int64_t& sum, int64_t other) { sum += other; }),
                           collected);
                     }),
            shape, {.epoch_config = RecordCountEpochConfig{70}, .apply_in_epoch_order = in_order}));
        CHECK(Sorted(collected.rows) == expected);
        CHECK(collected.late.empty());
      }
    }
  }
}

// The sessions of each key by the rule of SessionWindows: (key, first, last + gap + 1, sum).
std::vector<Row<int64_t>> ModelSessions(std::vector<Keyed> events, int64_t gap) {
  std::ranges::sort(events, {}, [](const Keyed& each) { return each.second.first; });
  std::map<std::string, std::vector<Row<int64_t>>> by_key;
  for (const auto& [key, event] : events) {
    std::vector<Row<int64_t>>& sessions = by_key[key];
    const auto& [time, amount] = event;
    if (sessions.empty() || time >= std::get<2>(sessions.back())) {
      sessions.emplace_back(key, time, time + gap + 1, amount);
    } else {
      std::get<2>(sessions.back()) = time + gap + 1;
      std::get<3>(sessions.back()) += amount;
    }
  }
  std::vector<Row<int64_t>> rows;
  for (const auto& [key, sessions] : by_key)
    rows.insert(rows.end(), sessions.begin(), sessions.end());
  return rows;
}

TEST_CASE("sessions have the results of a model, in every shape") {
  const uint32_t seed = std::random_device()();
  CAPTURE(seed);
  const std::vector<Keyed> events = Events(seed, 600);
  for (int64_t gap : {0, 3, 15, 40}) {
    const auto expected = Sorted(ModelSessions(events, gap));
    for (Shape shape : kShapes) {
      CAPTURE(gap);
      CAPTURE(shape.processes);
      CAPTURE(shape.workers);
      Collected<int64_t> collected;
      CheckOk(RunInShape(
          Dataflow("flow",
                   [&](Scope<>& scope) {
                     Collect(scope.Input("events", TestingSource(events)) |
                                 WindowFold<int64_t>(
                                     "sum", EventClock(kTime, kDisorder), SessionWindows(gap),
                                     [](int64_t& sum, const Event& event) { sum += event.second; },
                                     [](int64_t& sum, int64_t other) { sum += other; }),
                             collected);
                   }),
          shape, {.epoch_config = RecordCountEpochConfig{70}}));
      CHECK(Sorted(collected.rows) == expected);
      CHECK(collected.late.empty());
    }
  }
}

// The windows of the last `length` events of each key, after every `slide`-th one and at the end.
std::vector<Row<int64_t>> ModelCounts(const std::vector<Keyed>& events, int64_t length,
                                      int64_t slide) {
  std::map<std::string, std::vector<int64_t>> by_key;
  for (const auto& [key, event] : events) by_key[key].push_back(event.second);
  std::vector<Row<int64_t>> rows;
  for (const auto& [key, amounts] : by_key) {
    const auto count = static_cast<int64_t>(amounts.size());
    for (int64_t end = slide; end - length < count; end += slide) {
      int64_t sum = 0;
      for (int64_t i = std::max<int64_t>(0, end - length); i < std::min(end, count); ++i) {
        sum += amounts[static_cast<size_t>(i)];
      }
      rows.emplace_back(key, end - length, end, sum);
    }
  }
  return rows;
}

TEST_CASE("windows of counts have the results of a model, in every shape") {
  const uint32_t seed = std::random_device()();
  CAPTURE(seed);
  const std::vector<Keyed> events = Events(seed, 300);
  const std::pair<int64_t, int64_t> kWindows[] = {{1, 1}, {4, 4}, {10, 3}, {2, 5}};
  for (const auto& [length, slide] : kWindows) {
    const auto expected = Sorted(ModelCounts(events, length, slide));
    for (Shape shape : kShapes) {
      CAPTURE(length);
      CAPTURE(slide);
      CAPTURE(shape.processes);
      CAPTURE(shape.workers);
      Collected<int64_t> collected;
      CheckOk(RunInShape(
          Dataflow("flow",
                   [&, length = length, slide = slide](Scope<>& scope) {
                     Collect(scope.Input("events", TestingSource(events)) |
                                 WindowFold<int64_t>(
                                     "sum", SystemClock(), CountWindows(length, slide),
                                     [](int64_t& sum, const Event& event) { sum += event.second; },
                                     [](int64_t& sum, int64_t other) { sum += other; }),
                             collected);
                   }),
          shape, {.epoch_config = RecordCountEpochConfig{70}}));
      CHECK(Sorted(collected.rows) == expected);
      CHECK(collected.late.empty());
    }
  }
}

TEST_CASE("aggregates of windows of counts see the records in order, with the times of the clock") {
  std::vector<Row<std::vector<Event>>> rows;
  auto run = [&](auto clock) {
    Collected<std::vector<Event>> collected;
    CheckOk(RunMain(Dataflow("flow", [&](Scope<>& scope) {
      const std::vector<Keyed> events{{"k", {5, 1}}, {"k", {3, 2}}, {"k", {4, 3}}, {"k", {0, 4}}};
      Collect(scope.Input("events", TestingSource(events)) |
                  WindowCollect("collect", clock, CountWindows(3)),
              collected);
    })));
    return collected.rows;
  };
  CHECK(run(SystemClock()) == std::vector<Row<std::vector<Event>>>{
                                  {"k", 0, 3, {{5, 1}, {3, 2}, {4, 3}}}, {"k", 3, 6, {{0, 4}}}});
  CHECK(run(EventClock(kTime, kDisorder)) ==
        std::vector<Row<std::vector<Event>>>{{"k", 0, 3, {{3, 2}, {4, 3}, {5, 1}}},
                                             {"k", 3, 6, {{0, 4}}}});
}

TEST_CASE("a window of counts that the end of the input has closed stays closed in the next run") {
  auto store = std::make_shared<internal::MemoryStore>();
  Collected<int64_t> collected;
  std::vector<Keyed> events(4, Keyed("k", Event(0, 1)));
  for (int run = 0; run < 2; ++run) {
    CheckOk(RunMain(Dataflow("flow",
                             [&](Scope<>& scope) {
                               Collect(scope.Input("events", TestingSource(events)) |
                                           WindowCount("count", SystemClock(), CountWindows(3)),
                                       collected);
                             }),
                    {.recovery_config = RecoveryConfig{.store = store}}));
    events.resize(8, Keyed("k", Event(0, 1)));
  }
  CHECK(collected.rows ==
        std::vector<Row<int64_t>>{{"k", 0, 3, 3}, {"k", 3, 6, 1}, {"k", 6, 9, 3}, {"k", 9, 12, 1}});
}

constexpr int64_t kHour = int64_t{3600} * 1'000'000'000;

// The windows of each key by the rule of KeyClock, while the clock stands still: of the records
// that are not behind all of their windows.
std::vector<Row<int64_t>> ModelKeyClock(const std::vector<Keyed>& events, int64_t disorder,
                                        int64_t length, int64_t slide, std::vector<Keyed>& late) {
  std::map<std::string, int64_t> watermarks;
  std::map<std::tuple<std::string, int64_t, int64_t>, int64_t> sums;
  for (const Keyed& each : events) {
    const auto& [key, event] = each;
    const auto [known, is_new] = watermarks.try_emplace(key, event.first - disorder);
    int64_t& watermark = known->second;
    watermark = std::max(watermark, event.first - disorder);
    bool is_late = true;
    for (int64_t start = -100 * slide; start <= event.first; start += slide) {
      if (event.first >= start + length || start + length <= watermark) continue;
      sums[{key, start, start + length}] += event.second;
      is_late = false;
    }
    if (is_late) late.push_back(each);
  }
  std::vector<Row<int64_t>> rows;
  for (const auto& [window, sum] : sums)
    std::apply([&](const auto&... part) { rows.emplace_back(part..., sum); }, window);
  return rows;
}

TEST_CASE("with a KeyClock the windows of a key follow its own records, in every shape") {
  const uint32_t seed = std::random_device()();
  CAPTURE(seed);
  std::vector<Keyed> events = Events(seed, 300);
  // The run's clock moves by less than an hour. Late records need less disorder than there is.
  for (auto& [key, event] : events) event.first *= kHour;
  std::vector<Keyed> late;
  const auto expected = Sorted(ModelKeyClock(events, 3 * kHour, 12 * kHour, 4 * kHour, late));
  CHECK(!late.empty());
  std::ranges::sort(late);
  for (Shape shape : kShapes) {
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    Collected<int64_t> collected;
    CheckOk(RunInShape(
        Dataflow("flow",
                 [&](Scope<>& scope) {
                   Collect(scope.Input("events", TestingSource(events)) |
                               WindowFold<int64_t>(
                                   "sum", KeyClock(kTime, absl::Hours(3)),
                                   SlidingWindows(12 * kHour, 4 * kHour),
                                   [](int64_t& sum, const Event& event) { sum += event.second; },
                                   [](int64_t& sum, int64_t other) { sum += other; }),
                           collected);
                 }),
        shape, {.epoch_config = RecordCountEpochConfig{70}}));
    CHECK(Sorted(collected.rows) == expected);
    std::ranges::sort(collected.late);
    CHECK(collected.late == late);
  }
}

// Each event as a record of its own key, so that a step emits one result for each.
template <class Step>
void CheckWindowsBehind(const std::string& name, Step step) {
  CAPTURE(name);
  constexpr int kCount = 200;
  // In the order of their times: the watermark is that of the last record.
  const auto numbers = [] {
    std::vector<std::pair<int64_t, int64_t>> records;
    for (int64_t i = 0; i < kCount; ++i) records.emplace_back(i * 3, i * 3);
    return records;
  };
  for (const Shape shape : {Shape{1, 1}, Shape{1, 3}, Shape{2, 2}}) {
    for (const bool in_order : {false, true}) {
      CAPTURE(shape.processes);
      CAPTURE(shape.workers);
      CAPTURE(in_order);
      Collected<int64_t> results;
      Dataflow flow("flow", [&](Scope<>& scope) {
        const auto times =
            scope.Input("numbers", TestingSource(numbers(), {.batch_size = 7})) |
            AssignEventTime("time",
                            EventClock([](const auto& record) { return record.second; }, 0));
        // A result is a pair whose key is the time of its only record.
        const auto kept = step(times) | Map("event", [](const auto& result) {
                            return Keyed("k", Event(result.first, 1));
                          });
        Collect(kept | WindowCount("count", EventClock(kTime), TumblingWindows(30)), results);
      });
      CheckOk(RunInShape(
          flow, shape,
          {.epoch_config = RecordCountEpochConfig{50}, .apply_in_epoch_order = in_order}));
      CHECK(results.late.empty());
      CHECK(results.rows.size() == kCount * 3 / 30);
      for (const auto& row : results.rows) CHECK(std::get<3>(row) == 10);
    }
  }
}

TEST_CASE("behind a step that keeps records and emits them later, no record is late") {
  const auto time_of = [](const std::pair<int64_t, int64_t>& record) { return record.first; };
  CheckWindowsBehind("CountPerEpoch",
                     [&](const auto& times) { return times | CountPerEpoch("step", time_of); });
  CheckWindowsBehind("RunningCount", [&](const auto& times) {
    return times | RunningCount("step", time_of, UpdateEach::kEpoch);
  });
  CheckWindowsBehind("Collect", [](const auto& times) {
    return times | headway::Collect("step", {.size_max = 2});  // which no list reaches
  });
  CheckWindowsBehind("CountFinal",
                     [&](const auto& times) { return times | CountFinal("step", time_of); });
  CheckWindowsBehind("MaxFinal", [](const auto& times) { return times | MaxFinal("step"); });
}

TEST_CASE("windows that are open at a stop are resumed, with another number of workers") {
  const uint32_t seed = std::random_device()();
  CAPTURE(seed);
  const std::vector<Keyed> events = Events(seed, 300);
  auto sum = [](int64_t& sum, const Event& event) { sum += event.second; };
  auto merge = [](int64_t& sum, int64_t other) { sum += other; };
  const EventClock clock(kTime, kDisorder);
  const auto sliding = Sorted(Model<int64_t>(events, 50, 20, Sum));
  const auto sessions = Sorted(ModelSessions(events, 15));
  const auto counts = Sorted(ModelCounts(events, 10, 3));
  for (const auto& shapes : {std::array<Shape, 4>{{{1, 1}, {1, 3}, {2, 1}, {1, 2}}},
                             {{{1, 4}, {1, 1}, {2, 2}, {1, 1}}}}) {
    StoppedRuns runs;
    Collected<int64_t> windows;
    Collected<int64_t> of_sessions;
    Collected<int64_t> of_counts;
    Collected<int64_t> of_keys;
    const Dataflow flow("flow", [&](Scope<>& scope) {
      auto in = scope.Input("events", TestingSource(events)) | runs.StopHere("stop");
      Collect(in | WindowFold<int64_t>("sliding", clock, SlidingWindows(50, 20), sum, merge),
              windows);
      Collect(in | WindowFold<int64_t>("sessions", clock, SessionWindows(15), sum, merge),
              of_sessions, "of_sessions");
      Collect(in | WindowFold<int64_t>("counts", SystemClock(), CountWindows(10, 3), sum, merge),
              of_counts, "of_counts");
      // The watermark of a key does not advance with the clock by the disorder.
      const KeyClock key_clock([](const Event& event) { return event.first * kHour; },
                               absl::Hours(1000));
      Collect(in | WindowFold<int64_t>("keys", key_clock, SlidingWindows(50 * kHour, 20 * kHour),
                                       sum, merge),
              of_keys, "of_keys");
    });
    const std::vector<int> passed =
        runs.Run(flow, 80, {shapes[0], shapes[1], shapes[2], shapes[3]});
    CHECK(passed.back() > 0);
    CHECK(Sorted(windows.rows) == sliding);
    CHECK(Sorted(of_sessions.rows) == sessions);
    CHECK(Sorted(of_counts.rows) == counts);
    for (auto& [key, start, end, result] : of_keys.rows) {
      start /= kHour;
      end /= kHour;
    }
    CHECK(Sorted(of_keys.rows) == sliding);
    CHECK(windows.late.empty());
    CHECK(of_sessions.late.empty());
    CHECK(of_keys.late.empty());
  }
}

TEST_CASE("windows are exact after every crash of the store, with another number of workers") {
  const uint32_t seed = std::random_device()();
  CAPTURE(seed);
  const std::vector<Keyed> events = Events(seed, 90);
  std::vector<Keyed> kept;  // most epochs have watermarks and no records
  std::ranges::copy_if(events, std::back_inserter(kept),
                       [](const Keyed& each) { return each.second.second % 4 == 0; });
  auto sum = [](int64_t& sum, const Event& event) { sum += event.second; };
  auto merge = [](int64_t& sum, int64_t other) { sum += other; };
  const auto sliding = Sorted(Model<int64_t>(kept, 50, 20, Sum));
  const auto sessions = Sorted(ModelSessions(kept, 15));
  Collected<int64_t> windows;
  Collected<int64_t> of_sessions;
  const Dataflow flow("flow", [&](Scope<>& scope) {
    auto in =
        scope.Input("events", TestingSource(events)) |
        AssignEventTime(
            "time", EventClock([](const Keyed& each) { return each.second.first; }, kDisorder)) |
        Filter("kept", [](const Keyed& each) { return each.second.second % 4 == 0; });
    const EventClock of_stream(kTime);
    Collect(in | WindowFold<int64_t>("sliding", of_stream, SlidingWindows(50, 20), sum, merge),
            windows);
    Collect(in | WindowFold<int64_t>("sessions", of_stream, SessionWindows(15), sum, merge),
            of_sessions, "of_sessions");
  });
  auto options = [](const std::shared_ptr<internal::MemoryStore>& store) {
    return RunOptions{.epoch_config = RecordCountEpochConfig{2},
                      .recovery_config = RecoveryConfig{.store = store}};
  };
  // A result may be emitted again after a crash. None is missing, or another one.
  auto check = [](Collected<int64_t>& collected, const std::vector<Row<int64_t>>& expected) {
    std::ranges::sort(collected.rows);
    const auto again = std::ranges::unique(collected.rows);
    collected.rows.erase(again.begin(), again.end());
    CHECK(collected.rows == expected);
    CHECK(collected.late.empty());
    collected.rows.clear();
  };
  auto whole = std::make_shared<internal::MemoryStore>();
  CheckOk(RunInShape(flow, {1, 2}, options(whole)));
  check(windows, sliding);
  check(of_sessions, sessions);
  constexpr Shape kSecond[] = {{1, 1}, {1, 3}, {2, 1}};
  // The seed decides which of the crashes are tried.
  for (int64_t call = seed % 7; call < whole->calls(); call += 7) {
    CAPTURE(call);
    auto store = std::make_shared<internal::MemoryStore>();
    store->CrashAt(call, call % 2 == 0);
    RunInShape(flow, {1, 2}, options(store)).IgnoreError();
    store->Restart();
    CheckOk(RunInShape(flow, kSecond[call / 3 % 3], options(store)));
    check(windows, sliding);
    check(of_sessions, sessions);
  }
}

// A clock whose wall-clock time may jump.
class JumpingWallClock final : public Clock {
 public:
  absl::Time Now() override { return clock_.Now() + jumped_; }
  int64_t NowNanos() override { return clock_.NowNanos(); }
  void Advance(absl::Duration duration) { clock_.Advance(duration); }
  void Jump(absl::Duration duration) { jumped_ += duration; }

 private:
  ManualClock clock_;
  absl::Duration jumped_;
};

// A step with windows of one worker that the test feeds: records and their panes.
class Fed {
 public:
  using Panes = std::vector<std::tuple<int64_t, int64_t, int, Pane>>;  // start, end, count, pane

  // Runs `script`, which feeds a WindowCount with these arguments.
  template <class Clock, class W>
  Fed(Clock window_clock, W windows, WindowOptions options, absl::FunctionRef<void(Fed&)> script,
      bool with_events = false) {
    CheckOk(Execute({.run = {.clock = &clock_}}, [&](Worker& worker) -> absl::Status {
      worker_ = &worker;
      HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
        auto counts = scope.Input(input_) | WindowCount("count", window_clock, windows, options);
        counts | Inspect("panes", [&](const auto& record) {
          const auto& [window, pane, count] = record.second;
          panes_.emplace_back(window.start, window.end, count, pane);
        });
        counts.late() |
            Inspect("late", [&](const auto& record) { late_.push_back(record.second.first); });
        if (!with_events) return;
        counts.events() |
            Inspect("events", [&](const auto& record) { events_.push_back(record.second); });
      }));
      script(*this);
      input_.Close();
      return worker.StepWhile([&] { return worker.HasDataflows(); });
    }));
  }

  // Feeds events at these times, and returns the panes that follow.
  Panes Feed(std::initializer_list<int64_t> times) {
    for (int64_t time : times) input_.Send(Keyed("key", Event(time, 0)));
    input_.Flush();
    return Step();
  }
  Panes Wait(absl::Duration duration) {
    clock_.Advance(duration);
    return Step();
  }
  Panes JumpClock(absl::Duration duration) {
    clock_.Jump(duration);
    return Step();
  }
  std::vector<WindowEvent> TakeEvents() { return std::exchange(events_, {}); }
  std::vector<int64_t> TakeLate() { return std::exchange(late_, {}); }

 private:
  Panes Step() {
    for (int i = 0; i < 20; ++i) CheckOk(worker_->Step());
    return std::exchange(panes_, {});
  }

  JumpingWallClock clock_;
  Worker* worker_ = nullptr;
  InputHandle<Keyed> input_;
  Panes panes_;
  std::vector<int64_t> late_;
  std::vector<WindowEvent> events_;
};

TEST_CASE(
    "a window closes when the watermark passes its end, within the epoch; its later records are "
    "late") {
  Fed(EventClock(kTime, 5), TumblingWindows(10), {}, [](Fed& fed) {
    CHECK(fed.Feed({1, 9, 4}).empty());
    CHECK(fed.Feed({14}).empty());  // the watermark is 9
    CHECK(fed.Feed({8}).empty());   // behind the watermark, and its window is open: not late
    CHECK(fed.Feed({15}) == Fed::Panes{{0, 10, 4, Pane::kOnTime}});
    CHECK(fed.Feed({9, 10}).empty());
    CHECK(fed.TakeLate() == std::vector<int64_t>{9});
    CHECK(fed.Feed({40}) == Fed::Panes{{10, 20, 3, Pane::kOnTime}});
    CHECK(fed.Feed({0, 19, 20, 34}).empty());
    CHECK(fed.TakeLate() == std::vector<int64_t>{0, 19, 20});
  });
}

TEST_CASE("a late record of overlapping windows counts in those that are open") {
  Fed(EventClock(kTime, 0), SlidingWindows(20, 10), {}, [](Fed& fed) {
    CHECK(fed.Feed({15}).empty());
    CHECK(fed.Feed({21}) == Fed::Panes{{0, 20, 1, Pane::kOnTime}});
    CHECK(fed.Feed({16}).empty());  // of [0, 20), which is over, and [10, 30)
    CHECK(fed.TakeLate().empty());
    CHECK(fed.Feed({30}) == Fed::Panes{{10, 30, 3, Pane::kOnTime}});
  });
  // In a slice of which closed windows have shared the sum.
  Fed(EventClock(kTime, 0), SlidingWindows(50, 10), {}, [](Fed& fed) {
    CHECK(fed.Feed({5, 15, 25, 35, 45}).size() == 4);
    CHECK(fed.Feed({51}) == Fed::Panes{{0, 50, 5, Pane::kOnTime}});
    CHECK(fed.Feed({61}) == Fed::Panes{{10, 60, 5, Pane::kOnTime}});
    CHECK(fed.Feed({26}).empty());
    CHECK(fed.TakeLate().empty());
    CHECK(fed.Feed({71}) == Fed::Panes{{20, 70, 6, Pane::kOnTime}});
    CHECK(fed.Feed({81}) == Fed::Panes{{30, 80, 5, Pane::kOnTime}});
  });
}

TEST_CASE("within the allowed lateness a window emits again, and then no more") {
  Fed(EventClock(kTime, 0), TumblingWindows(10), {.allowed_lateness = absl::Nanoseconds(15)},
      [](Fed& fed) {
        CHECK(fed.Feed({3}).empty());
        CHECK(fed.Feed({12}) == Fed::Panes{{0, 10, 1, Pane::kOnTime}});
        CHECK(fed.Feed({4, 5}) == Fed::Panes{{0, 10, 3, Pane::kLate}});
        CHECK(fed.Feed({6, 24}) == Fed::Panes{{0, 10, 4, Pane::kLate}, {10, 20, 1, Pane::kOnTime}});
        CHECK(fed.Feed({7}) == Fed::Panes{{0, 10, 5, Pane::kLate}});
        CHECK(fed.Feed({25}).empty());
        CHECK(fed.Feed({8}).empty());
        CHECK(fed.TakeLate() == std::vector<int64_t>{8});
      });
}

TEST_CASE("late records of one batch in two slices of a window make one pane") {
  Fed(EventClock(kTime, 0), SlidingWindows(20, 10), {.allowed_lateness = absl::Nanoseconds(15)},
      [](Fed& fed) {
        CHECK(fed.Feed({3}).empty());
        CHECK(fed.Feed({22}) == Fed::Panes{{-10, 10, 1, Pane::kOnTime}, {0, 20, 1, Pane::kOnTime}});
        CHECK(fed.Feed({4, 14}) == Fed::Panes{{-10, 10, 2, Pane::kLate}, {0, 20, 3, Pane::kLate}});
      });
}

TEST_CASE("a window within its allowed lateness is whole in a run that continues") {
  auto store = std::make_shared<internal::MemoryStore>();
  Collected<int64_t> collected;
  std::vector<Keyed> events{{"k", {1, 1}}, {"k", {3, 1}}, {"k", {9, 1}}};
  for (int run = 0; run < 2; ++run) {
    CheckOk(RunMain(Dataflow("flow",
                             [&](Scope<>& scope) {
                               Collect(scope.Input("events", TestingSource(events)) |
                                           WindowCount("count", EventClock(kTime, 0),
                                                       TumblingWindows(10),
                                                       {.allowed_lateness = absl::Nanoseconds(15)}),
                                       collected);
                             }),
                    {.recovery_config = RecoveryConfig{.store = store}}));
    events.push_back({"k", {4, 1}});
  }
  CHECK(collected.rows == std::vector<Row<int64_t>>{{"k", 0, 10, 3}, {"k", 0, 10, 4}});
}

TEST_CASE("windows emit early panes of the keys that changed, at an interval of the clock") {
  Fed(EventClock(kTime, 0), SlidingWindows(20, 10), {.early_interval = absl::Seconds(1)},
      [](Fed& fed) {
        CHECK(fed.Feed({15}).empty());
        CHECK(fed.Wait(absl::Milliseconds(900)).empty());
        CHECK(fed.Wait(absl::Milliseconds(100)) ==
              Fed::Panes{{0, 20, 1, Pane::kEarly}, {10, 30, 1, Pane::kEarly}});
        CHECK(fed.Wait(absl::Seconds(5)).empty());  // nothing changed
        CHECK(fed.Feed({25}) == Fed::Panes{{0, 20, 1, Pane::kOnTime}});
        CHECK(fed.Wait(absl::Seconds(1)) ==
              Fed::Panes{{10, 30, 2, Pane::kEarly}, {20, 40, 1, Pane::kEarly}});
      });
}

TEST_CASE("windows of the system clock close when their time is over, without records") {
  Fed(SystemClock{}, TumblingWindows(absl::Seconds(10)), {}, [](Fed& fed) {
    const int64_t second = 1'000'000'000;
    CHECK(fed.Feed({77, 1}).empty());
    CHECK(fed.Wait(absl::Seconds(9)).empty());
    CHECK(fed.Feed({5}).empty());
    CHECK(fed.Wait(absl::Seconds(1)) == Fed::Panes{{0, 10 * second, 3, Pane::kOnTime}});
    CHECK(fed.Wait(absl::Seconds(30)).empty());
    CHECK(fed.Feed({5}).empty());
    CHECK(fed.Wait(absl::Seconds(10)) == Fed::Panes{{40 * second, 50 * second, 1, Pane::kOnTime}});
    CHECK(fed.TakeLate().empty());
  });
}

TEST_CASE("a system clock that jumps back an hour stands still until it has caught up") {
  Fed(SystemClock{}, TumblingWindows(absl::Seconds(10)), {}, [](Fed& fed) {
    const int64_t second = 1'000'000'000;
    CHECK(fed.Wait(absl::Seconds(45)).empty());
    CHECK(fed.Feed({1}).empty());
    CHECK(fed.JumpClock(-absl::Hours(1)).empty());
    CHECK(fed.Feed({1}).empty());
    CHECK(fed.Wait(absl::Minutes(59)).empty());
    CHECK(fed.Feed({1}).empty());
    CHECK(fed.Wait(absl::Minutes(1)).empty());
    CHECK(fed.Wait(absl::Seconds(5)) == Fed::Panes{{40 * second, 50 * second, 3, Pane::kOnTime}});
    CHECK(fed.TakeLate().empty());
  });
}

TEST_CASE("the watermark of a key advances with the clock, and closed windows stay closed") {
  const auto seconds = [](const Event& event) { return absl::FromUnixSeconds(event.first); };
  const int64_t second = 1'000'000'000;
  Fed(KeyClock(seconds, absl::Seconds(5)), TumblingWindows(absl::Seconds(10)), {}, [&](Fed& fed) {
    CHECK(fed.Feed({7}).empty());  // the watermark is 2
    CHECK(fed.Wait(absl::Seconds(2)).empty());
    CHECK(fed.Feed({0}).empty());  // it is 4, and an older record does not move it back
    CHECK(fed.Wait(absl::Seconds(5)).empty());
    CHECK(fed.Wait(absl::Seconds(1)) == Fed::Panes{{0, 10 * second, 2, Pane::kOnTime}});
    CHECK(fed.Feed({9}).empty());  // the key has no window, and its watermark is 10
    CHECK(fed.TakeLate() == std::vector<int64_t>{9});
    CHECK(fed.Feed({12, 26}) == Fed::Panes{{10 * second, 20 * second, 1, Pane::kOnTime}});
    CHECK(fed.Feed({19, 22}).empty());
    CHECK(fed.TakeLate() == std::vector<int64_t>{19});
  });
  Fed(KeyClock(seconds, absl::Seconds(5)), SessionWindows(absl::Seconds(10)), {}, [&](Fed& fed) {
    CHECK(fed.Feed({0, 5}).empty());
    CHECK(fed.Wait(absl::Seconds(15)).empty());  // the watermark is 15
    CHECK(fed.Wait(absl::Seconds(1)) == Fed::Panes{{0, 15 * second + 1, 2, Pane::kOnTime}});
    CHECK(fed.Feed({5}).empty());
    CHECK(fed.TakeLate() == std::vector<int64_t>{5});
  });
}

TEST_CASE("a window of a key that the clock has closed stays closed in a run that resumes") {
  SnapshotStore store;
  for (const Epoch first : {Epoch{0}, Epoch{1}}) {
    ManualClock clock;  // it begins anew: the time in between does not count
    InputHandle<Keyed> input;
    int panes = 0;
    int late = 0;
    CheckOk(Execute({.run = {.first_epoch = first, .apply_in_epoch_order = true, .clock = &clock}},
                    [&](Worker& worker) -> absl::Status {
                      HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
                        const KeyClock key_clock(
                            [](const Event& event) { return absl::FromUnixSeconds(event.first); },
                            absl::Seconds(5));
                        auto counts =
                            scope.Input(input) |
                            WindowCount("count", key_clock, TumblingWindows(absl::Seconds(10)));
                        counts | Inspect("panes", [&](const auto&) { ++panes; });
                        counts.late() | Inspect("late", [&](const auto&) { ++late; });
                        store.RestoreInto(scope);
                        store.Listen(scope);
                      }));
                      const auto step = [&] {
                        for (int i = 0; i < 20; ++i) CheckOk(worker.Step());
                      };
                      input.Send(Keyed("k", Event(first == 0 ? 7 : 8, 0)));
                      input.Flush();
                      step();
                      clock.Advance(absl::Seconds(9));
                      step();
                      CHECK(panes == (first == 0 ? 1 : 0));
                      CHECK(late == (first == 0 ? 0 : 1));
                      input.AdvanceTo(first + 1);
                      step();
                      input.Close();
                      return worker.StepWhile([&] { return worker.HasDataflows(); });
                    }));
    store.Cut(0);
  }
}

TEST_CASE("a KeyClock with an idle_timeout forgets keys without windows") {
  const auto seconds = [](const Event& event) { return absl::FromUnixSeconds(event.first); };
  Fed(KeyClock(seconds, absl::Seconds(5), /*idle_timeout=*/absl::Minutes(1)),
      TumblingWindows(absl::Seconds(10)), {}, [&](Fed& fed) {
        CHECK(fed.Feed({7, 15}).size() == 1);
        CHECK(fed.Wait(absl::Seconds(10)).size() == 1);
        CHECK(fed.Wait(absl::Seconds(59)).empty());
        CHECK(fed.Feed({7}).empty());
        CHECK(fed.TakeLate() == std::vector<int64_t>{7});
        CHECK(fed.Wait(absl::Seconds(1)).empty());
        CHECK(fed.Feed({7}).empty());
        CHECK(fed.TakeLate().empty());
      });
}

TEST_CASE("a session ends when the watermark has passed its last record by more than the gap") {
  Fed(EventClock(kTime, 0), SessionWindows(10), {}, [](Fed& fed) {
    CHECK(fed.Feed({0, 5, 15}).empty());
    CHECK(fed.Feed({25}).empty());  // a distance of the gap
    CHECK(fed.Feed({35}).empty());
    CHECK(fed.Feed({46}) == Fed::Panes{{0, 46, 5, Pane::kOnTime}});
    CHECK(fed.Feed({35}).empty());
    CHECK(fed.TakeLate() == std::vector<int64_t>{35});
    CHECK(fed.Feed({36}).empty());  // behind the watermark, and it joins an open session
    CHECK(fed.TakeLate().empty());
    CHECK(fed.Feed({80}) == Fed::Panes{{36, 57, 2, Pane::kOnTime}});
  });
}

TEST_CASE("a step tells when windows of a key open, merge and close") {
  using Events = std::vector<WindowEvent>;
  constexpr auto kOpened = WindowEvent::Kind::kOpened;
  constexpr auto kMerged = WindowEvent::Kind::kMerged;
  constexpr auto kClosed = WindowEvent::Kind::kClosed;
  const auto sliding = [&](Fed& fed) {
    fed.Feed({15, 16});
    CHECK(fed.TakeEvents() == Events{{kOpened, {0, 20}}, {kOpened, {10, 30}}});
    CHECK(fed.Feed({21}) == Fed::Panes{{0, 20, 2, Pane::kOnTime}});
    CHECK(fed.TakeEvents() == Events{{kOpened, {20, 40}}, {kClosed, {0, 20}}});
    fed.Feed({12, 1});  // [0, 20) stays closed, and [10, 30) is known
    CHECK(fed.TakeEvents().empty());
    fed.Feed({40});
    CHECK(
        fed.TakeEvents() ==
        Events{{kOpened, {30, 50}}, {kOpened, {40, 60}}, {kClosed, {10, 30}}, {kClosed, {20, 40}}});
  };
  Fed(EventClock(kTime, 0), SlidingWindows(20, 10), {}, sliding, true);
  Fed(
      EventClock(kTime, 30), SessionWindows(10), {},
      [&](Fed& fed) {
        fed.Feed({0, 40, 20});
        CHECK(fed.TakeEvents() ==
              Events{{kOpened, {0, 11}}, {kOpened, {40, 51}}, {kOpened, {20, 31}}});
        fed.Feed({10, 30});
        CHECK(fed.TakeEvents() ==
              Events{{kMerged, {20, 31}, {0, 31}}, {kMerged, {40, 51}, {0, 51}}});
        fed.Feed({81});
        CHECK(fed.TakeEvents() == Events{{kOpened, {81, 92}}, {kClosed, {0, 51}}});
      },
      true);
  Fed(
      SystemClock(), CountWindows(2), {},
      [&](Fed& fed) {
        fed.Feed({0, 0, 0});
        CHECK(fed.TakeEvents() == Events{{kOpened, {0, 2}}, {kClosed, {0, 2}}, {kOpened, {2, 4}}});
      },
      true);
}

TEST_CASE("a window of a key that opens within the allowed lateness has closed at once") {
  Fed(
      EventClock(kTime, 0), TumblingWindows(10), {.allowed_lateness = absl::Nanoseconds(15)},
      [](Fed& fed) {
        fed.Feed({20});
        fed.TakeEvents();
        CHECK(fed.Feed({9}) == Fed::Panes{{0, 10, 1, Pane::kLate}});
        CHECK(fed.TakeEvents() == std::vector<WindowEvent>{{WindowEvent::Kind::kOpened, {0, 10}},
                                                           {WindowEvent::Kind::kClosed, {0, 10}}});
      },
      true);
}

TEST_CASE("times at the ends of their range are in windows, or late; nothing overflows") {
  constexpr int64_t kLast = std::numeric_limits<int64_t>::max();
  constexpr int64_t kFirst = std::numeric_limits<int64_t>::min();
  Fed(EventClock(kTime, 0), SlidingWindows(20, 10), {}, [](Fed& fed) {
    CHECK(fed.Feed({kFirst, kFirst + 1, -1, 0}).size() == 3);
    CHECK(fed.Feed({kLast}).size() == 4);
    CHECK(fed.Feed({0}).empty());
    CHECK(fed.TakeLate() == std::vector<int64_t>{0});
  });
  Fed(EventClock(kTime, 0), SessionWindows(10), {}, [](Fed& fed) {
    CHECK(fed.Feed({kFirst, 0}).size() == 1);
    CHECK(fed.Feed({kLast, 5}).size() == 2);
  });
}

TEST_CASE("calendar windows follow the changes of a time zone") {
  absl::TimeZone zone;
  REQUIRE(absl::LoadTimeZone("Europe/Berlin", &zone));
  auto at = [&](int year, int month, int day, int hour) {
    return ToEventTime(absl::FromCivil(absl::CivilHour(year, month, day, hour), zone));
  };
  auto check = [](const CalendarWindows& windows, int64_t time, int64_t start, int64_t end) {
    const std::optional<Window> window = windows.SliceOf(time);
    REQUIRE(window.has_value());
    CHECK(*window == Window{start, end});
  };
  const CalendarWindows days(CalendarUnit::kDay, zone);
  check(days, at(2024, 3, 31, 12), at(2024, 3, 31, 0), at(2024, 4, 1, 0));
  CHECK(at(2024, 4, 1, 0) - at(2024, 3, 31, 0) == int64_t{23} * 3600 * 1'000'000'000);
  check(days, at(2024, 4, 1, 0) - 1, at(2024, 3, 31, 0), at(2024, 4, 1, 0));
  const CalendarWindows weeks(CalendarUnit::kWeek, zone);
  check(weeks, at(2024, 11, 3, 23), at(2024, 10, 28, 0), at(2024, 11, 4, 0));
  const CalendarWindows months(CalendarUnit::kMonth, zone);
  check(months, at(2024, 2, 29, 23), at(2024, 2, 1, 0), at(2024, 3, 1, 0));
}

TEST_CASE("windows and clocks without a meaning fail the build") {
  auto status_of = [](auto step) {
    return RunMain(Dataflow("flow", [&](Scope<>& scope) {
      scope.Input("events", TestingSource(std::vector<Keyed>{})) | step;
    }));
  };
  const EventClock clock(kTime, 0);
  for (const absl::Status& status :
       {status_of(WindowCount("count", clock, TumblingWindows(0))),
        status_of(WindowCount("count", clock, SlidingWindows(10, -1))),
        status_of(WindowCount("count", clock, SessionWindows(-1))),
        status_of(WindowCount("count", EventClock(kTime, -5), TumblingWindows(1))),
        status_of(WindowCount("count", clock, TumblingWindows(1),
                              {.allowed_lateness = -absl::Seconds(1)})),
        status_of(
            WindowCount("count", clock, SessionWindows(1), {.early_interval = absl::Seconds(1)})),
        status_of(WindowCount("count", clock, CountWindows(0))),
        status_of(
            WindowCount("count", clock, CountWindows(3), {.allowed_lateness = absl::Seconds(1)})),
        status_of(WindowCount("count", KeyClock(kTime, -absl::Seconds(1)), TumblingWindows(1))),
        status_of(WindowCount("count", KeyClock(kTime, absl::Seconds(1), absl::ZeroDuration()),
                              TumblingWindows(1)))}) {
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    CHECK(status.message().find("count") != std::string::npos);
  }
}

}  // namespace
}  // namespace headway
