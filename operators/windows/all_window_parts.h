#ifndef HEADWAY_OPERATORS_WINDOWS_ALL_WINDOW_PARTS_H_
#define HEADWAY_OPERATORS_WINDOWS_ALL_WINDOW_PARTS_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <utility>

#include "absl/time/time.h"
#include "comm/codec/stable_hash.h"
#include "engine/step/keyed_operator.h"
#include "operators/windows/slice_tables.h"
#include "operators/windows/window.h"

namespace headway::internal {

// A message of a worker for windows that are not keyed: an aggregate of a slice, or a record that
// came when its slice was over on its worker. The receiver knows whether that is late.
template <class State, class V>
struct WindowPart {
  EventTime time = 0;  // of the record; else a time in the slice
  std::optional<State> state;
  std::optional<V> record;
};

// The aggregate of a window as the combination of its parts. They come in any order.
template <class Agg, class V>
struct PartsAggregate {
  using Part = WindowPart<typename Agg::State, V>;
  using State = std::optional<typename Agg::State>;
  Agg aggregate;

  void Add(State& state, EventTime time, Part part) const {
    if (part.record.has_value()) {
      if (!state.has_value()) state.emplace();
      aggregate.Add(*state, time, *std::move(part.record));
    } else {
      Merge(state, part.state);
    }
  }
  void Merge(State& state, const State& other) const {
    if (!other.has_value()) return;
    if (state.has_value()) {
      aggregate.Merge(*state, *other);
    } else {
      state = other;
    }
  }
  auto Result(const State& state) const { return aggregate.Result(*state); }
};

// A key that is routed to the worker: the same for all records.
class KeyOfWorker {
 public:
  KeyOfWorker(int worker_index, int worker_count) {
    while (RouteHash(StableHash(key_), worker_count) != worker_index) ++key_;
  }

  template <class Record>
  uint32_t operator()(const Record&) const {
    return key_;
  }
  uint32_t key() const { return key_; }

 private:
  uint32_t key_ = 0;
};

// The logic of the step that aggregates the records of a worker by slices, under the key of the
// worker. When the watermark passes the end of a slice, its aggregate leaves; one that was restored
// leaves at once. Belongs to the worker's thread.
template <class D, class T, class Clock, class W, class Agg>
class AllWindowParts {
 public:
  using V = RecordOfT<TakeType<D>>;
  using State = typename Agg::State;
  using Part = WindowPart<State, V>;
  using Step = KeyedStep<char, D, T, KeyOfWorker>;
  using Parts = NodeOutput<std::pair<char, Part>, T>;

  AllWindowParts(Step& step, Parts& parts, KeyOfWorker key, Clock clock, W windower, Agg aggregate,
                 const WindowOptions& options)
      : step_(step),
        parts_(parts),
        key_(key.key()),
        clock_(std::move(clock)),
        windower_(std::move(windower)),
        aggregate_(std::move(aggregate)),
        early_interval_(options.early_interval),
        tables_(windower_) {}

  StateBase& state() { return tables_; }

  void Resume() {
    for (auto& [start, slice] : tables_.slices()) slice.last_end = slice.range.end;
    if (tables_.slices().empty()) return;
    // In a run with other workers this one may have no records, and no watermark that the windows
    // wait for; or they may be ahead of its own watermark.
    is_awaited_ = true;
    step_.WakeUpAt(absl::InfinitePast());
  }

  void Add(const CapabilityRef<T>& time, Batch<D>& batch) {
    Slice* slice = nullptr;
    State* state = nullptr;
    for (size_t i = 0; i < batch.size(); ++i) {
      const EventTime at = ToEventTime(std::invoke(clock_.time, std::as_const(batch)[i]));
      if (is_detached_) {
        Give(time, {at, std::nullopt, V(batch.Take(i))});
        continue;
      }
      if (slice == nullptr || !slice->range.Contains(at)) {
        const std::optional<Window> range = windower_.SliceOf(at);
        slice = range.has_value() ? SliceOf(*range, at) : nullptr;
        if (slice == nullptr) {
          if (range.has_value()) Give(time, {at, std::nullopt, V(batch.Take(i))});
          continue;
        }
        state = &slice->aggregates.At(key_);
      }
      aggregate_.Add(*state, at, V(batch.Take(i)));
    }
    ScheduleWakeUp();
  }

  // The watermark has risen: the slices before it are whole.
  void Close(const CapabilityRef<T>& time) {
    const EventTime watermark = step_.watermark();
    GiveUpTo(time, watermark);
    tables_.DropOver([&](EventTime end) { return end <= watermark; });
  }
  // The windows do not wait for this worker any more. They may be ahead of it from now on, so the
  // records that still come are sent alone: the receiver knows which are late.
  void Detach(const CapabilityRef<T>& time) {
    GiveUpTo(time, std::numeric_limits<EventTime>::max());
    tables_.DropOver([](EventTime) { return true; });
    is_detached_ = true;
  }
  // For early results, and for those that were restored.
  void WakeUp(const CapabilityRef<T>& time) {
    GiveUpTo(time, std::numeric_limits<EventTime>::max());
    // The watermark of a run that resumes is the greatest of the workers before, so slices of this
    // one may be over.
    const EventTime watermark = step_.watermark();
    tables_.DropOver([&](EventTime end) { return end <= watermark; });
    for (auto& [start, slice] : tables_.slices()) slice.aggregates.Clear();
    is_awaited_ = false;
  }
  void End(const CapabilityRef<T>& time) {
    GiveUpTo(time, std::numeric_limits<EventTime>::max());
    // The windows are emitted now: records that come in a run that continues are sent alone.
    EventTime last = kNoWatermark;
    for (const auto& [start, slice] : tables_.slices()) last = std::max(last, slice.range.end);
    step_.RaiseWatermark(last);
    tables_.DropOver([](EventTime) { return true; });
  }

 private:
  using Tables = SliceTables<uint32_t, State, W>;
  using Slice = typename Tables::Slice;

  // Null if the slice is over.
  Slice* SliceOf(const Window& range, EventTime at) {
    if (Slice* known = tables_.Find(at)) return known;
    if (range.end <= step_.watermark()) return nullptr;
    Slice& slice = tables_.Add(range);
    slice.last_end = range.end;  // it leaves then, whichever windows it is in
    return &slice;
  }

  void GiveUpTo(const CapabilityRef<T>& time, EventTime watermark) {
    for (auto& [start, slice] : tables_.slices()) {
      if (slice.range.end > watermark) return;
      slice.aggregates.ForEach(
          [&, at = start](uint32_t, const State& state) { Give(time, {at, state, std::nullopt}); });
    }
  }
  void Give(const CapabilityRef<T>& time, Part part) {
    parts_.SessionAt(time).Give(std::pair<char, Part>(0, std::move(part)));
  }

  void ScheduleWakeUp() {
    if (early_interval_ == absl::InfiniteDuration() || is_awaited_ || tables_.slices().empty()) {
      return;
    }
    is_awaited_ = true;
    step_.WakeUpAt(step_.Now() + early_interval_);
  }

  Step& step_;
  Parts& parts_;
  const uint32_t key_;
  Clock clock_;
  const W windower_;
  const Agg aggregate_;
  const absl::Duration early_interval_;
  Tables tables_;
  bool is_awaited_ = false;   // a wake-up
  bool is_detached_ = false;  // the input was inactive in this run
};

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_WINDOWS_ALL_WINDOW_PARTS_H_
