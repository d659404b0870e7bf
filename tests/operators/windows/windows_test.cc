#include <algorithm>
#include <map>
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
#include "tests/engine/thread_cluster.h"

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
void Collect(const Windows& windows, Collected<R>& collected) {
  windows | Inspect("results", [&](const auto& record) {
    const std::lock_guard lock(collected.mutex);
    collected.rows.emplace_back(std::string(record.first), record.second.window.start,
                                record.second.window.end, record.second.value);
  });
  windows.late() | Inspect("late", [&](const auto& record) {
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
  std::ranges::stable_sort(events, {}, [](const Keyed& each) { return each.second.first; });
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

}  // namespace
}  // namespace headway
