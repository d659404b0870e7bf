// Counts records by key in windows and in sessions, and does the same in a loop without an engine.

#include <algorithm>
#include <functional>
#include <map>
#include <queue>
#include <string>
#include <utility>
#include <vector>

#include "bench/headway_bench/benchmarks.h"
#include "bench/headway_bench/steps.h"

namespace headway::bench {

namespace {

using Value = std::pair<uint64_t, EventTime>;  // key, time
using Result = std::pair<uint64_t, Windowed<int64_t>>;

uint64_t Contribution(uint64_t key, const Window& window, int64_t count) {
  return SplitMix64(key ^ static_cast<uint64_t>(window.start) ^
                    (static_cast<uint64_t>(window.end) << 1)) *
         static_cast<uint64_t>(count);
}

// Records whose times ascend by the same distance, but for one of a hundred, which is up to
// `disorder` earlier.
class Events {
 public:
  Events(const Options& options, EventTime disorder, Range own)
      : keys_(options.number("keys")),
        per_round_(options.number("epoch")),
        distance_(1'000'000'000 / static_cast<EventTime>(options.number("per_second"))),
        disorder_(disorder),
        own_(own) {}

  EventTime disorder() const { return disorder_; }

  void Fill(uint64_t round, std::vector<Value>& values) const {
    values.clear();
    for (uint64_t n = round * per_round_ + own_.first; n < round * per_round_ + own_.last; ++n) {
      const uint64_t random = SplitMix64(n);
      EventTime time = static_cast<EventTime>(n) * distance_;
      if (disorder_ > 0 && (random >> 32) % 100 == 0) {
        time = std::max<EventTime>(0, time - static_cast<EventTime>(random >> 40) % disorder_);
      }
      values.emplace_back(random % keys_, time);
    }
  }

 private:
  const uint64_t keys_;
  const uint64_t per_round_;
  const EventTime distance_;
  const EventTime disorder_;
  const Range own_;
};

// As many as a batch has.
constexpr size_t kChunk = 1000;

using Counts = FlatTable<uint64_t, int64_t>;

// Calls f(chunk, count, watermark after the chunk) for parts of `values`.
template <class F>
void ForEachChunk(const std::vector<Value>& values, EventTime disorder, EventTime& latest, F&& f) {
  for (size_t begin = 0; begin < values.size(); begin += kChunk) {
    const size_t count = std::min(kChunk, values.size() - begin);
    for (size_t i = begin; i < begin + count; ++i) latest = std::max(latest, values[i].second);
    f(values.data() + begin, count, latest - disorder);
  }
}

// Counts the chunk in the tables of `range_of(time)`, a range of time, of which most records of a
// chunk have the same.
template <class RangeOf>
void CountByRange(const Value* chunk, size_t count, std::map<EventTime, Counts>& tables,
                  RangeOf&& range_of) {
  const auto [first, last] = std::minmax_element(
      chunk, chunk + count, [](const Value& a, const Value& b) { return a.second < b.second; });
  if (range_of(first->second) == range_of(last->second)) {
    tables[range_of(first->second)].AtEach(
        count, [&](size_t i) { return chunk[i].first; },
        [](size_t, int64_t& counted) { ++counted; });
  } else {
    for (size_t i = 0; i < count; ++i) ++tables[range_of(chunk[i].second)].At(chunk[i].first);
  }
}

// The loop without an engine: a table for each slide, which are added up at the end of a window.
class BareWindows {
 public:
  BareWindows(EventTime length, EventTime slide, EventTime disorder)
      : length_(length), slide_(slide), disorder_(disorder), next_end_(slide) {}

  void Add(const std::vector<Value>& values) {
    ForEachChunk(values, disorder_, latest_, [&](const Value* chunk, size_t count, EventTime now) {
      CountByRange(chunk, count, slices_, [&](EventTime time) { return time / slide_; });
      for (; next_end_ <= now; next_end_ += slide_) Close(next_end_);
    });
  }
  void End() {
    while (!slices_.empty()) {
      Close(next_end_);
      next_end_ += slide_;
    }
  }
  uint64_t checksum() const { return checksum_; }

 private:
  void Close(EventTime end) {
    const Window window{end - length_, end};
    auto add = [&](uint64_t key, int64_t count) { checksum_ += Contribution(key, window, count); };
    if (length_ == slide_) {
      slices_[end / slide_ - 1].ForEach(add);
    } else {
      Counts combined;
      for (const auto& [slice, counts] : slices_) {
        if (slice * slide_ >= end) break;
        counts.ForEach([&](uint64_t key, int64_t count) { combined.At(key) += count; });
      }
      combined.ForEach(add);
    }
    slices_.erase(slices_.begin(), slices_.upper_bound((end - length_) / slide_));
  }

  const EventTime length_;
  const EventTime slide_;
  const EventTime disorder_;
  EventTime next_end_;
  EventTime latest_ = 0;
  std::map<EventTime, Counts> slices_;
  uint64_t checksum_ = 0;
};

// The program that puts each record in each of its windows.
class EachWindow {
 public:
  EachWindow(EventTime length, EventTime slide, EventTime disorder)
      : slide_(slide), windows_(length / slide), disorder_(disorder) {}

  void Add(const std::vector<Value>& values) {
    ForEachChunk(values, disorder_, latest_, [&](const Value* chunk, size_t count, EventTime now) {
      for (EventTime offset = 0; offset < windows_; ++offset) {
        CountByRange(chunk, count, ended_at_,
                     [&](EventTime time) { return time / slide_ + 1 + offset; });
      }
      while (!ended_at_.empty() && ended_at_.begin()->first * slide_ <= now) CloseFirst();
    });
  }
  void End() {
    while (!ended_at_.empty()) CloseFirst();
  }
  uint64_t checksum() const { return checksum_; }

 private:
  void CloseFirst() {
    const EventTime end = ended_at_.begin()->first * slide_;
    const Window window{end - windows_ * slide_, end};
    ended_at_.begin()->second.ForEach(
        [&](uint64_t key, int64_t count) { checksum_ += Contribution(key, window, count); });
    ended_at_.erase(ended_at_.begin());
  }

  const EventTime slide_;
  const EventTime windows_;
  const EventTime disorder_;
  EventTime latest_ = 0;
  std::map<EventTime, Counts> ended_at_;
  uint64_t checksum_ = 0;
};

// Sessions of records in order, without an engine: a heap has the keys by the ends of their
// sessions, or earlier.
class BareSessions {
 public:
  explicit BareSessions(EventTime gap) : gap_(gap) {}

  void Add(const std::vector<Value>& values) {
    ForEachChunk(values, /*disorder=*/0, latest_,
                 [&](const Value* chunk, size_t count, EventTime now) {
                   sessions_.AtEach(
                       count, [&](size_t i) { return chunk[i].first; },
                       [&](size_t i, Session& session) {
                         const EventTime time = chunk[i].second;
                         if (session.count > 0 && time > session.last + gap_)
                           Emit(chunk[i].first, session);
                         if (session.count == 0) {
                           session.first = session.last = time;
                           if (!session.is_timed) ends_.emplace(time + gap_ + 1, chunk[i].first);
                           session.is_timed = true;
                         }
                         session.first = std::min(session.first, time);
                         session.last = std::max(session.last, time);
                         ++session.count;
                       });
                   CloseUntil(now);
                 });
  }
  void End() { CloseUntil(INT64_MAX); }
  uint64_t checksum() const { return checksum_; }

 private:
  struct Session {
    EventTime first = 0;
    EventTime last = 0;
    int64_t count = 0;
    bool is_timed = false;
  };

  void Emit(uint64_t key, Session& session) {
    checksum_ += Contribution(key, {session.first, session.last + gap_ + 1}, session.count);
    session.count = 0;
  }
  void CloseUntil(EventTime now) {
    while (!ends_.empty() && ends_.top().first <= now) {
      const uint64_t key = ends_.top().second;
      ends_.pop();
      Session& session = *sessions_.Find(key);
      if (session.last + gap_ + 1 <= now) {
        Emit(key, session);
        sessions_.Erase(key);
      } else {
        ends_.emplace(session.last + gap_ + 1, key);
      }
    }
  }

  using KeyAtEnd = std::pair<EventTime, uint64_t>;
  const EventTime gap_;
  EventTime latest_ = 0;
  FlatTable<uint64_t, Session> sessions_;
  std::priority_queue<KeyAtEnd, std::vector<KeyAtEnd>, std::greater<>> ends_;
  uint64_t checksum_ = 0;
};

// Runs a step with windows and the loops in turns, round by round, so that all see the same
// machine. `loops` are (name of the figure, loop).
template <class W, class... Loops>
absl::StatusOr<Outcome> RunWindows(Worker& worker, Harness& harness, const Options& options,
                                   EventTime disorder, W windows, Loops... loops) {
  const uint64_t rounds = options.number("rounds");
  const uint64_t per_round = options.number("epoch");
  const Events events(options, disorder, Share(per_round, worker.index(), worker.count()));
  uint64_t checksum = 0;
  InputHandle<Value> input;
  ProbeHandle<> probe;
  HEADWAY_RETURN_IF_ERROR(worker.Build("window", [&](Scope<>& scope) {
    scope.Input(input) |
        WindowCount("count", EventClock([](EventTime time) { return time; }, events.disorder()),
                    windows) |
        Inspect("check",
                [&](const Result& record) {
                  checksum += Contribution(record.first, record.second.window, record.second.value);
                }) |
        Probe(probe);
  }));

  std::vector<Value> values;
  uint64_t window_nanos = 0;
  std::vector<uint64_t> loop_nanos(sizeof...(loops));
  auto timed = [&](uint64_t& nanos, auto&& f) {
    const uint64_t start = harness.clock().Nanos();
    f();
    nanos += harness.clock().Nanos() - start;
  };
  auto loops_do = [&](auto&& f) {
    size_t i = 0;
    (timed(loop_nanos[i++], [&] { f(loops.second); }), ...);
  };
  HEADWAY_RETURN_IF_ERROR(harness.Start(rounds));
  absl::Status status;
  for (Epoch round = 0; round < rounds && status.ok(); ++round) {
    events.Fill(round, values);
    loops_do([&](auto& loop) { loop.Add(values); });
    timed(window_nanos, [&] {
      SendAll<Value>(input, values);
      input.AdvanceTo(round + 1);
      status = worker.StepWhile([&] { return probe.LessThan(round + 1); });
    });
    harness.SetDone(round);
  }
  HEADWAY_RETURN_IF_ERROR(status);
  loops_do([](auto& loop) { loop.End(); });
  timed(window_nanos, [&] {
    input.Close();
    status = worker.StepWhile([&] { return !probe.Done(); });
  });
  HEADWAY_RETURN_IF_ERROR(status);

  Outcome outcome{.seconds = static_cast<double>(window_nanos) / 1e9,
                  .rounds = rounds,
                  .records = rounds * Share(per_round, worker.index(), worker.count()).size(),
                  .checksum = checksum};
  size_t i = 0;
  bool same = true;
  (
      [&] {
        const auto nanos = static_cast<double>(loop_nanos[i++]);
        outcome.figures.emplace_back(loops.first, nanos / static_cast<double>(window_nanos));
        same = same && loops.second.checksum() == checksum;
      }(),
      ...);
  if (worker.count() == 1 && !same) {
    return absl::InternalError("the results of the windows are not those of the loops");
  }
  return outcome;
}

EventTime Millis(const Options& options, const std::string& name) {
  return static_cast<EventTime>(options.number(name)) * 1'000'000;
}

absl::StatusOr<Outcome> RunWindow(Worker& worker, Harness& harness, const Options& options) {
  const EventTime length = Millis(options, "length_ms");
  const EventTime slide = Millis(options, "slide_ms");
  const EventTime disorder = Millis(options, "disorder_ms");
  if (slide <= 0 || length % slide != 0) {
    return absl::InvalidArgumentError(
        "window needs a --length_ms that is a multiple of --slide_ms");
  }
  std::pair bare("ratio_to_bare", BareWindows(length, slide, disorder));
  if (length == slide) {
    return RunWindows(worker, harness, options, disorder, TumblingWindows(length), std::move(bare));
  }
  return RunWindows(worker, harness, options, disorder, SlidingWindows(length, slide),
                    std::move(bare),
                    std::pair("ratio_to_each_window", EachWindow(length, slide, disorder)));
}

absl::StatusOr<Outcome> RunSession(Worker& worker, Harness& harness, const Options& options) {
  const EventTime gap = Millis(options, "gap_ms");
  return RunWindows(worker, harness, options, /*disorder=*/0, SessionWindows(gap),
                    std::pair("ratio_to_bare", BareSessions(gap)));
}

}  // namespace

Benchmark WindowBenchmark() {
  return {.name = "window",
          .summary = "counts by key in windows, and does the same in a loop without an engine",
          .arguments = {Number("keys", 100'000, "distinct keys"),
                        Number("epoch", 1'000'000, "records per epoch, over all workers"),
                        Number("rounds", 30, "epochs, each complete before the next"),
                        Number("per_second", 2'000'000, "records per second of event time"),
                        Number("length_ms", 1000, "length of a window"),
                        Number("slide_ms", 1000, "distance of windows; the length is its multiple"),
                        Number("disorder_ms", 0, "how much earlier one record of a hundred is")},
          .run = RunWindow};
}

Benchmark SessionBenchmark() {
  return {.name = "session",
          .summary = "counts by key in sessions, and does the same in a loop without an engine",
          .arguments = {Number("keys", 100'000, "distinct keys"),
                        Number("epoch", 1'000'000, "records per epoch, over all workers"),
                        Number("rounds", 30, "epochs, each complete before the next"),
                        Number("per_second", 1'000'000, "records per second of event time"),
                        Number("gap_ms", 300, "gap of a session")},
          .run = RunSession};
}

}  // namespace headway::bench
