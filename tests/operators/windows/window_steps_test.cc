#include <algorithm>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "doctest/doctest.h"
#include "headway.h"
#include "tests/engine/run_helpers.h"
#include "tests/operators/run_everywhere.h"

namespace headway {
namespace {

constexpr int64_t kDisorder = 20;

// Time, key, amount.
using Event = std::tuple<int64_t, std::string, int64_t>;

// Events, none earlier than the latest by kDisorder or more.
std::vector<Event> Events(uint32_t seed, int count) {
  std::mt19937 random(seed);
  std::vector<Event> events;
  int64_t now = -50;
  for (int i = 0; i < count; ++i) {
    now += static_cast<int64_t>(random() % 4);
    if (random() % 30 == 0) now += 60;
    events.emplace_back(now - static_cast<int64_t>(random() % kDisorder),
                        "k" + std::to_string(random() % 5), static_cast<int64_t>(random() % 100));
  }
  return events;
}

const auto kTimeOf = [](const auto& event) { return std::get<0>(event); };

using Range = std::pair<int64_t, int64_t>;

// The windows [start, start + length), start = slide * i, with their events.
std::map<Range, std::vector<Event>> Sliding(const std::vector<Event>& events, int64_t length,
                                            int64_t slide) {
  std::map<Range, std::vector<Event>> windows;
  for (const Event& event : events) {
    for (int64_t start = -100 * slide; start <= std::get<0>(event); start += slide) {
      if (std::get<0>(event) < start + length) windows[{start, start + length}].push_back(event);
    }
  }
  return windows;
}

std::map<Range, std::vector<Event>> Sessions(std::vector<Event> events, int64_t gap) {
  std::ranges::sort(events);
  std::map<Range, std::vector<Event>> sessions;
  for (size_t i = 0; i < events.size();) {
    std::vector<Event> session;
    do {
      session.push_back(events[i]);
      ++i;
    } while (i < events.size() && std::get<0>(events[i]) - std::get<0>(session.back()) <= gap);
    sessions[{std::get<0>(session.front()), std::get<0>(session.back()) + gap + 1}] = session;
  }
  return sessions;
}

// Step, start, end, values.
using AllRow = std::tuple<std::string, int64_t, int64_t, std::vector<int64_t>>;

template <class F>
void AddRows(const std::string& step, const std::map<Range, std::vector<Event>>& windows, F values,
             std::vector<AllRow>& rows) {
  for (const auto& [range, events] : windows) {
    std::vector<int64_t> amounts;
    for (const Event& event : events) amounts.push_back(std::get<2>(event));
    rows.emplace_back(step, range.first, range.second, values(amounts));
  }
}

std::vector<AllRow> ModelOfAllWindows(const std::vector<Event>& events) {
  auto sum = [](const std::vector<int64_t>& amounts) {
    int64_t total = 0;
    for (int64_t amount : amounts) total += amount;
    return std::vector<int64_t>{total};
  };
  auto count = [](const std::vector<int64_t>& amounts) {
    return std::vector<int64_t>{static_cast<int64_t>(amounts.size())};
  };
  auto sorted = [](std::vector<int64_t> amounts) {
    std::ranges::sort(amounts);
    return amounts;
  };
  std::vector<AllRow> rows;
  AddRows("fold", Sliding(events, 50, 20), sum, rows);
  AddRows("reduce", Sliding(events, 25, 25), sum, rows);
  AddRows("count", Sliding(events, 7, 10), count, rows);
  AddRows(
      "max", Sliding(events, 30, 10), [&](auto a) { return std::vector{sorted(a).back()}; }, rows);
  AddRows(
      "min", Sliding(events, 30, 10), [&](auto a) { return std::vector{sorted(a).front()}; }, rows);
  AddRows(
      "top", Sliding(events, 40, 40),
      [&](auto amounts) {
        std::ranges::sort(amounts, std::greater<>());
        amounts.resize(std::min<size_t>(amounts.size(), 3));
        return amounts;
      },
      rows);
  AddRows("values", Sliding(events, 10, 10), sorted, rows);
  AddRows("sessions", Sessions(events, 3), sum, rows);
  std::ranges::sort(rows);
  return rows;
}

TEST_CASE("windows without keys have the results of a model, in every shape and when resumed") {
  const uint32_t seed = std::random_device()();
  CAPTURE(seed);
  const std::vector<Event> events = Events(seed, 250);
  const std::vector<AllRow> expected = ModelOfAllWindows(events);
  auto rows_of = [](const std::string& step) {
    return Map("rows_" + step, [step](auto windowed) {
      std::vector<int64_t> values;
      if constexpr (requires { windowed.value.size(); }) {
        values = windowed.value;
      } else {
        values = {windowed.value};
      }
      if (step == "values") std::ranges::sort(values);  // in the order of times
      return AllRow(step, windowed.window.start, windowed.window.end, values);
    });
  };
  auto steps = [&](const Stream<Event>& in) {
    // The events are on all workers, some of which have few.
    auto spread = in | AssignEventTime("time", EventClock(kTimeOf, kDisorder)) |
                  Exchange("spread", [](const auto& event) { return std::get<2>(event) % 11; });
    const EventClock clock(kTimeOf);
    auto amounts = [](auto more) {
      return [more](int64_t& sum, const Event& event) { more(sum, std::get<2>(event)); };
    };
    auto plus = [](int64_t& sum, int64_t other) { sum += other; };
    // Steps whose values are amounts: of streams of (time, amount).
    using Timed = std::pair<int64_t, int64_t>;
    auto timed = spread | Map("timed", [](const auto& event) {
                   return Timed(std::get<0>(event), std::get<2>(event));
                 });
    auto amount_less = [](const Timed& a, const Timed& b) { return a.second < b.second; };
    auto amount_of = [](const std::string& step) {
      return Map("amount_" + step, [](const auto& windowed) {
        if constexpr (requires { windowed.value.size(); }) {
          std::vector<int64_t> values;
          for (const Timed& each : windowed.value) values.push_back(each.second);
          return Windowed<std::vector<int64_t>>{windowed.window, windowed.pane, values};
        } else {
          return Windowed<int64_t>{windowed.window, windowed.pane, windowed.value.second};
        }
      });
    };
    auto sum = [](const Timed& a, const Timed& b) {
      return Timed(std::max(a.first, b.first), a.second + b.second);
    };
    return (spread |
            AllWindowFold<int64_t>("fold", clock, SlidingWindows(50, 20), amounts(plus), plus) |
            rows_of("fold")) |
           Merge("merge",
                 timed | AllWindowReduce("reduce", clock, TumblingWindows(25), sum) |
                     amount_of("reduce") | rows_of("reduce"),
                 spread | AllWindowCount("count", clock, SlidingWindows(7, 10)) | rows_of("count"),
                 timed | AllWindowMax("max", clock, SlidingWindows(30, 10), amount_less) |
                     amount_of("max") | rows_of("max"),
                 timed | AllWindowMin("min", clock, SlidingWindows(30, 10), amount_less) |
                     amount_of("min") | rows_of("min"),
                 timed |
                     AllWindowTopK(
                         "top", clock, TumblingWindows(40), 3,
                         [&](const Timed& a, const Timed& b) { return a.second > b.second; }) |
                     amount_of("top") | rows_of("top"),
                 timed | AllWindowCollect("values", clock, TumblingWindows(10)) |
                     amount_of("values") | rows_of("values"),
                 spread |
                     AllWindowFold<int64_t>("sessions", clock, SessionWindows(3), amounts(plus),
                                            plus) |
                     rows_of("sessions"));
  };
  RunEverywhere<AllRow>(events, steps,
                        [&](const std::vector<AllRow>& rows) { CHECK(rows == expected); });
}

// Key, start, end, amounts of the sides; -1 for none.
using JoinRow = std::tuple<std::string, int64_t, int64_t, std::vector<int64_t>>;

int SideOf(const Event& event) { return static_cast<int>(std::get<2>(event) % 3); }

// The rows of `sides` streams: those of events whose amount has the remainder of the side.
std::vector<JoinRow> ModelOfJoin(
    const std::vector<Event>& events, WindowJoinRows rows, int sides,
    const std::function<std::map<Range, std::vector<Event>>(const std::vector<Event>&)>& divide) {
  std::map<std::string, std::vector<Event>> by_key;
  for (const Event& event : events) {
    if (SideOf(event) < sides) by_key[std::get<1>(event)].push_back(event);
  }
  std::vector<JoinRow> result;
  for (const auto& [key, of_key] : by_key) {
    for (const auto& [range, in_window] : divide(of_key)) {
      std::vector<std::vector<int64_t>> combinations{{}};
      for (int side = 0; side < sides; ++side) {
        std::vector<int64_t> values;
        for (const Event& event : in_window) {
          if (SideOf(event) == side) values.push_back(std::get<2>(event));
        }
        const bool may_lack =
            rows == WindowJoinRows::kOuter || (rows == WindowJoinRows::kLeft && side > 0);
        if (values.empty() && may_lack) values.push_back(-1);
        std::vector<std::vector<int64_t>> longer;
        for (const std::vector<int64_t>& combination : combinations) {
          for (int64_t value : values) {
            longer.push_back(combination);
            longer.back().push_back(value);
          }
        }
        combinations = longer;
      }
      for (const auto& values : combinations) {
        result.emplace_back(key, range.first, range.second, values);
      }
    }
  }
  std::ranges::sort(result);
  return result;
}

int64_t AmountOf(const Event& event) { return std::get<2>(event); }
int64_t AmountOf(const std::optional<Event>& event) {
  return event.has_value() ? AmountOf(*event) : -1;
}

// The keyed stream of a side.
template <int side>
auto SideOf(const Stream<Event>& in) {
  return in |
         Filter("filter" + std::to_string(side),
                [](const auto& event) { return std::get<2>(event) % 3 == side; }) |
         KeyOn("key" + std::to_string(side),
               [](const auto& event) { return std::string(std::get<1>(event)); });
}

template <WindowJoinRows rows, class W>
Stream<JoinRow> JoinTwo(const Stream<Event>& in, W windows) {
  const EventClock clock(kTimeOf, kDisorder);
  return SideOf<0>(in) | WindowJoin<rows>("join", clock, windows, JoinSide(SideOf<1>(in), clock)) |
         Map("rows", [](const auto& row) {
           const auto& [window, pane, values] = row.second;
           return JoinRow(std::string(row.first), window.start, window.end,
                          {AmountOf(std::get<0>(values)), AmountOf(std::get<1>(values))});
         });
}

TEST_CASE("a window join has the rows of a model, in every shape and when resumed") {
  const uint32_t seed = std::random_device()();
  CAPTURE(seed);
  const std::vector<Event> events = Events(seed, 200);
  auto check = [&](WindowJoinRows rows, auto divide, auto step) {
    const std::vector<JoinRow> expected = ModelOfJoin(events, rows, 2, divide);
    RunEverywhere<JoinRow>(events, step,
                           [&](const std::vector<JoinRow>& found) { CHECK(found == expected); });
  };
  check(
      WindowJoinRows::kInner, [](const auto& each) { return Sliding(each, 50, 20); },
      [](const auto& in) { return JoinTwo<WindowJoinRows::kInner>(in, SlidingWindows(50, 20)); });
  check(
      WindowJoinRows::kLeft, [](const auto& each) { return Sliding(each, 30, 30); },
      [](const auto& in) { return JoinTwo<WindowJoinRows::kLeft>(in, TumblingWindows(30)); });
  check(
      WindowJoinRows::kOuter, [](const auto& each) { return Sessions(each, 12); },
      [](const auto& in) { return JoinTwo<WindowJoinRows::kOuter>(in, SessionWindows(12)); });
}

TEST_CASE("a window join of three streams has each combination of their values") {
  const uint32_t seed = std::random_device()();
  CAPTURE(seed);
  const std::vector<Event> events = Events(seed, 200);
  const auto expected = ModelOfJoin(events, WindowJoinRows::kInner, 3,
                                    [](const auto& each) { return Sliding(each, 60, 60); });
  Collected<JoinRow> rows;
  CheckOk(RunMain(
      Dataflow("flow",
               [&](Scope<>& scope) {
                 const auto in = scope.Input("events", TestingSource(events));
                 const EventClock clock(kTimeOf, kDisorder);
                 SideOf<0>(in) |
                     WindowJoin("join", clock, TumblingWindows(60), JoinSide(SideOf<1>(in), clock),
                                JoinSide(SideOf<2>(in), clock)) |
                     Map("rows",
                         [](const auto& row) {
                           const auto& [a, b, c] = row.second.value;
                           return JoinRow(std::string(row.first), row.second.window.start,
                                          row.second.window.end,
                                          {AmountOf(a), AmountOf(b), AmountOf(c)});
                         }) |
                     CollectInto("collect", rows);
               }),
      {.worker_count = 2}));
  CHECK(rows.Sorted() == expected);
}

// Steps on one worker that the test feeds with (time, side) pairs.
using Fed = std::pair<int64_t, int64_t>;

class Feeder {
 public:
  using Panes = std::vector<std::tuple<int64_t, int64_t, int64_t, Pane>>;

  // Runs `script` with the steps that `build` makes of the stream.
  Feeder(absl::FunctionRef<void(const Stream<Fed>&, Feeder&)> build,
         absl::FunctionRef<void(Feeder&)> script) {
    CheckOk(Execute({.run = {.clock = &clock_}}, [&](Worker& worker) -> absl::Status {
      worker_ = &worker;
      HEADWAY_RETURN_IF_ERROR(
          worker.Build("flow", [&](Scope<>& scope) { build(scope.Input(input_), *this); }));
      script(*this);
      input_.Close();
      return worker.StepWhile([&] { return worker.HasDataflows(); });
    }));
  }

  Panes Feed(std::initializer_list<Fed> events) {
    for (const Fed& event : events) input_.Send(event);
    input_.Flush();
    return Step();
  }
  Panes Wait(absl::Duration duration) {
    clock_.Advance(duration);
    return Step();
  }
  void Add(const Window& window, int64_t value, Pane pane) {
    panes_.emplace_back(window.start, window.end, value, pane);
  }
  void AddLate(const Fed& event) { late_.push_back(event); }
  std::vector<Fed> TakeLate() { return std::exchange(late_, {}); }

 private:
  Panes Step() {
    for (int i = 0; i < 20; ++i) CheckOk(worker_->Step());
    return std::exchange(panes_, {});
  }

  ManualClock clock_;
  Worker* worker_ = nullptr;
  InputHandle<Fed> input_;
  Panes panes_;
  std::vector<Fed> late_;
};

template <class Clock, class W>
auto CountAll(Clock clock, W windows, WindowOptions options = {}) {
  return [=](const Stream<Fed>& in, Feeder& feeder) {
    const auto counts = in | AllWindowCount("count", clock, windows, options);
    counts | Inspect("panes", [&](const auto& windowed) {
      feeder.Add(windowed.window, windowed.value, windowed.pane);
    });
    counts.late() | Inspect("late", [&](const Fed& event) { feeder.AddLate(event); });
  };
}

TEST_CASE("a record behind the watermark counts in the open windows without keys, or is late") {
  const EventClock clock([](const Fed& event) { return event.first; }, 0);
  Feeder(CountAll(clock, SlidingWindows(20, 10)), [](Feeder& feeder) {
    CHECK(feeder.Feed({{15, 0}}).empty());
    CHECK(feeder.Feed({{21, 0}}) == Feeder::Panes{{0, 20, 1, Pane::kOnTime}});
    CHECK(feeder.Feed({{16, 0}, {16, 1}}).empty());  // of [0, 20), which is over, and [10, 30)
    CHECK(feeder.Feed({{30, 0}}) == Feeder::Panes{{10, 30, 4, Pane::kOnTime}});
    CHECK(feeder.Feed({{9, 7}}).empty());
    CHECK(feeder.TakeLate() == std::vector<Fed>{{9, 7}});
  });
  Feeder(CountAll(clock, SessionWindows(10)), [](Feeder& feeder) {
    CHECK(feeder.Feed({{0, 0}, {10, 0}}).empty());
    CHECK(feeder.Feed({{40, 0}}) == Feeder::Panes{{0, 21, 2, Pane::kOnTime}});
    CHECK(feeder.Feed({{5, 3}}).empty());
    CHECK(feeder.TakeLate() == std::vector<Fed>{{5, 3}});
  });
}

// A number of partitions, each longer than the one before, with a record at each time from 0 on.
class UnequalPartitions {
 public:
  using Record = int64_t;
  static constexpr int kCount = 5;
  static int64_t LengthOf(int64_t partition) { return 4 + 30 * partition * partition; }

  class Reader {
   public:
    Reader(int64_t next, int64_t end) : next_(next), end_(end) {}
    absl::StatusOr<SourceState> Poll(SourceOutput<int64_t>& out) {
      while (out.WantsMore()) {
        if (next_ == end_) return SourceState::Done();
        out.Emit(next_++);
      }
      return SourceState::More();
    }
    std::string Snapshot() const { return std::to_string(next_); }

   private:
    int64_t next_;
    int64_t end_;
  };

  absl::StatusOr<std::vector<std::string>> Partitions(const SourceContext&) {
    std::vector<std::string> names;
    for (int i = 0; i < kCount; ++i) names.push_back(std::to_string(i));
    return names;
  }
  absl::StatusOr<Reader> OpenPartition(const SourceContext&, const std::string& partition,
                                       std::optional<std::string> position) {
    return Reader(std::stoll(position.value_or("0")), LengthOf(std::stoll(partition)));
  }
};

TEST_CASE("windows without keys lose no record of a partition that ends before the others") {
  using Row = std::pair<int64_t, int64_t>;
  std::map<int64_t, int64_t> counts;
  for (int64_t i = 0; i < UnequalPartitions::kCount; ++i) {
    for (int64_t at = 0; at < UnequalPartitions::LengthOf(i); ++at) ++counts[at / 7 * 7];
  }
  const std::vector<Row> expected(counts.begin(), counts.end());
  StoppedRuns runs;
  const auto flow_into = [&](Collected<Row>& rows) {
    return Dataflow("flow", [&](Scope<>& scope) {
      const EventClock clock([](int64_t at) { return at; }, 0);
      const auto counted = scope.Input("in", UnequalPartitions()) | runs.StopHere("stop") |
                           AllWindowCount("count", clock, TumblingWindows(7));
      counted |
          Map("row",
              [](const auto& windowed) { return Row(windowed.window.start, windowed.value); }) |
          CollectInto("rows", rows) | Output("out", CallbackSink([](const Row&) {}));
      counted.late() | Map("late", [](int64_t at) { return Row(-1, at); }) |
          CollectInto("late_rows", rows) | Output("late_out", CallbackSink([](const Row&) {}));
    });
  };
  for (const Shape shape : kShapes) {
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    Collected<Row> rows;
    CheckOk(RunInShape(flow_into(rows), shape, {.epoch_config = RecordCountEpochConfig{3}}));
    CHECK(rows.Sorted() == expected);
  }
  INFO("in runs that were stopped and resumed");
  Collected<Row> rows;
  runs.Run(flow_into(rows), 100, {{1, 2}, {2, 1}, {1, 1}, {1, 3}});
  CHECK(rows.Sorted() == expected);
}

TEST_CASE("windows without keys emit early and late panes, and follow the system clock") {
  const EventClock clock([](const Fed& event) { return event.first; }, 0);
  const WindowOptions options{.allowed_lateness = absl::Nanoseconds(15),
                              .early_interval = absl::Seconds(1)};
  Feeder(CountAll(clock, TumblingWindows(10), options), [](Feeder& feeder) {
    CHECK(feeder.Feed({{3, 0}}).empty());
    // The part of the worker is a record of the step that emits: it arrives an interval later.
    CHECK(feeder.Wait(absl::Seconds(1)).empty());
    CHECK(feeder.Wait(absl::Seconds(1)) == Feeder::Panes{{0, 10, 1, Pane::kEarly}});
    CHECK(feeder.Feed({{12, 0}}) == Feeder::Panes{{0, 10, 1, Pane::kOnTime}});
    CHECK(feeder.Feed({{4, 0}, {5, 0}}) == Feeder::Panes{{0, 10, 3, Pane::kLate}});
    CHECK(feeder.Feed({{25, 0}}) == Feeder::Panes{{10, 20, 1, Pane::kOnTime}});
    CHECK(feeder.Feed({{6, 0}}).empty());
    CHECK(feeder.TakeLate() == std::vector<Fed>{{6, 0}});
  });
  Feeder(CountAll(SystemClock{}, TumblingWindows(absl::Seconds(10))), [](Feeder& feeder) {
    const int64_t second = 1'000'000'000;
    CHECK(feeder.Feed({{77, 0}, {1, 0}}).empty());
    CHECK(feeder.Wait(absl::Seconds(10)) == Feeder::Panes{{0, 10 * second, 2, Pane::kOnTime}});
  });
}

TEST_CASE("the late records of a window join come out by sides, and are in no row") {
  auto build = [](const Stream<Fed>& in, Feeder& feeder) {
    auto side = [&](int64_t number) {
      return in |
             Filter("filter" + std::to_string(number),
                    [number](const Fed& event) { return event.second == number; }) |
             KeyOn("key" + std::to_string(number), [](const Fed&) { return std::string("key"); });
    };
    const EventClock clock([](const Fed& event) { return event.first; }, 0);
    const auto rows =
        side(0) | WindowJoin("join", clock, TumblingWindows(10), JoinSide(side(1), clock));
    rows | Inspect("rows", [&](const auto& row) {
      const auto& [left, right] = row.second.value;
      feeder.Add(row.second.window, left.first * 100 + right.first, row.second.pane);
    });
    rows.template late<0>() | Inspect("late0", [&](const auto& each) {
      CHECK(each.first == "key");
      feeder.AddLate(each.second);
    });
    rows.template late<1>() |
        Inspect("late1", [&](const auto& each) { feeder.AddLate(each.second); });
  };
  Feeder(build, [](Feeder& feeder) {
    CHECK(feeder.Feed({{1, 0}, {2, 0}, {5, 1}, {20, 0}}).empty());  // the other side may be behind
    CHECK(feeder.Feed({{12, 1}}) ==
          Feeder::Panes{{0, 10, 105, Pane::kOnTime}, {0, 10, 205, Pane::kOnTime}});
    CHECK(feeder.Feed({{3, 0}, {4, 1}}).empty());
    CHECK(feeder.TakeLate() == std::vector<Fed>{{3, 0}, {4, 1}});
  });
}

}  // namespace
}  // namespace headway
