#ifndef HEADWAY_OPERATORS_WINDOWS_KEY_WINDOWS_H_
#define HEADWAY_OPERATORS_WINDOWS_KEY_WINDOWS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "engine/step/keyed_operator.h"
#include "operators/key_value.h"
#include "operators/value_clock.h"
#include "operators/windows/key_clocks.h"
#include "operators/windows/key_slices.h"

// The logics of steps with windows in which each key has a watermark of its own.

namespace headway::internal {

// The common part of both logics: the results of a key's windows. Belongs to the worker's thread.
template <class D, class T, class W, class Agg, class KeyState>
class KeyWindowsBase {
 public:
  using State = KeyState;
  using Step = KeyedStep<State, D, T, FirstOfPair>;
  using K = typename Step::K;
  using A = typename Agg::State;
  using Result = RecordOfT<decltype(std::declval<const Agg&>().Result(std::declval<const A&>()))>;
  using Results = NodeOutput<std::pair<K, Windowed<Result>>, T>;
  using Events = WindowEvents<K, T>;

 protected:
  KeyWindowsBase(Step& step, Results& results, Events& events, W windows, Agg aggregate)
      : step_(step),
        results_(results),
        events_(events),
        windows_(std::move(windows), aggregate),
        aggregate_(std::move(aggregate)) {}

  template <class Key>
  void Close(const CapabilityRef<T>& time, const Key& key,
             typename KeySlices<W, Agg>::Windows& windows, EventTime watermark) {
    auto session = results_.SessionAt(time);
    windows_.Close(windows, watermark, [&](const Window& window, const A& state) {
      session.Give(std::pair<typename Step::KeyView, Windowed<Result>>(
          key, {window, Pane::kOnTime, aggregate_.Result(state)}));
      events_.GiveClosed(time, typename Step::KeyView(key), window);
    });
  }
  // The aggregate that a record at `at` changes, or null.
  template <class Key>
  A* At(const CapabilityRef<T>& time, const Key& key, typename KeySlices<W, Agg>::Windows& windows,
        EventTime at, EventTime watermark) {
    if (events_.are_wanted()) {
      windows_.ForEachEvent(windows, at, watermark, [&](const WindowEvent& event) {
        events_.Give(time, typename Step::KeyView(key), event);
      });
    }
    return windows_.At(windows, at, watermark);
  }
  // Adds a record that is taken from its batch.
  template <class Record>
  void AddTo(A& state, EventTime at, Record&& record) {
    using V = RecordOfT<TakenValue<D>>;
    aggregate_.Add(state, at, V(std::move(record.second)));
  }
  // f(const K& key, State& state) for all keys.
  template <class F>
  void ForEachKey(F&& f) {
    std::vector<K> keys;  // ForEach only reads
    keys.reserve(step_.states().size());
    step_.states().ForEach(
        [&](typename Step::KeyView key, const State&) { keys.emplace_back(key); });
    for (const K& key : keys) f(key, *step_.states().Find(key));
  }

  Step& step_;
  Results& results_;
  Events& events_;
  const KeySlices<W, Agg> windows_;
  const Agg aggregate_;
};

template <class W, class Agg>
struct CountedWindows {
  // The number of records, which is the watermark: it passes the end of a window with its last
  // record.
  int64_t count = 0;
  typename KeySlices<W, Agg>::Windows windows;
};

// The logic of a step with CountWindows: times are the numbers of a key's records.
template <class D, class T, class Clock, class W, class Agg>
class CountWindowsLogic : public KeyWindowsBase<D, T, W, Agg, CountedWindows<W, Agg>> {
  using Base = KeyWindowsBase<D, T, W, Agg, CountedWindows<W, Agg>>;

 public:
  CountWindowsLogic(typename Base::Step& step, typename Base::Results& results,
                    typename Base::Events& events, Clock clock, W windows, Agg aggregate)
      : Base(step, results, events, std::move(windows), std::move(aggregate)),
        clock_(std::move(clock)) {}

  void Add(const CapabilityRef<T>& time, Batch<D>& batch) {
    this->step_.AtEach(batch, [&](size_t i, typename Base::State& key) {
      const EventTime at = TimeOf(batch, i, key.count);
      auto* state =
          this->At(time, FirstOfPair()(std::as_const(batch)[i]), key.windows, key.count, key.count);
      auto&& record = batch.Take(i);
      ++key.count;
      if (state == nullptr) return;
      this->AddTo(*state, at, record);
      if (this->windows_.FirstEnd(key.windows) > key.count) return;
      this->Close(time, typename Base::Step::KeyView(record.first), key.windows, key.count);
    });
  }

  // The input has ended: all windows do, and the next record of a key begins a new one.
  void End(const CapabilityRef<T>& time) {
    this->ForEachKey([&](const typename Base::K& key, typename Base::State& state) {
      if (!this->windows_.IsOpen(state.windows)) return;
      const EventTime last = this->windows_.LastEnd(state.windows);
      this->Close(time, key, state.windows, last);
      state.count = last;
    });
  }

 private:
  // The time of a value, for its aggregate.
  EventTime TimeOf(const Batch<D>& batch, size_t i, int64_t number) {
    if constexpr (std::is_same_v<Clock, SystemClock>) {
      return number;
    } else {
      return TimeOfValue(clock_.time, batch[i]);
    }
  }

  Clock clock_;
};

template <class W, class Agg>
struct ClockedWindows {
  KeyWatermark watermark;
  typename KeySlices<W, Agg>::Windows windows;
};

// The logic of a step with a KeyClock. A key has one timer: when its first window ends, or, without
// a window, when it is forgotten.
template <class D, class T, class F, class W, class Agg>
class KeyClockLogic : public KeyWindowsBase<D, T, W, Agg, ClockedWindows<W, Agg>> {
  using Base = KeyWindowsBase<D, T, W, Agg, ClockedWindows<W, Agg>>;

 public:
  using State = typename Base::State;
  using K = typename Base::K;

  KeyClockLogic(typename Base::Step& step, typename Base::Results& results, NodeOutput<D, T>& late,
                typename Base::Events& events, KeyClock<F> clock, W windows, Agg aggregate)
      : Base(step, results, events, std::move(windows), std::move(aggregate)),
        late_(late),
        time_(std::move(clock.time)),
        disorder_(absl::ToInt64Nanoseconds(clock.disorder)),
        idle_nanos_(absl::ToInt64Nanoseconds(clock.idle_timeout)) {}

  void Add(const CapabilityRef<T>& time, Batch<D>& batch) {
    const int64_t now = Now();
    this->step_.AtEach(batch, [&](size_t i, State& key) {
      const auto key_in_batch = FirstOfPair()(std::as_const(batch)[i]);
      const EventTime at = TimeOfValue(time_, std::as_const(batch)[i]);
      EventTime watermark = key.watermark.At(now);
      if (const EventTime raised = AddSaturated(at, -disorder_); raised > watermark) {
        watermark = raised;
        key.watermark.Set(raised, now);
      }
      CloseUntil(time, key_in_batch, key, watermark, now);
      auto* state = this->At(time, key_in_batch, key.windows, at, watermark);
      Arm(key_in_batch, key);
      if (state != nullptr) {
        this->AddTo(*state, at, batch.Take(i));
      } else if (this->windows_.IsInWindow(at)) {
        late_.SessionAt(time).Give(batch.Take(i));
      }
    });
  }

  // The timer of the key that was set for the time `at` is due.
  void Fire(const CapabilityRef<T>& time, const K& key, absl::Time at) {
    State* state = this->step_.states().Find(key);
    if (state == nullptr || state->watermark.armed != absl::ToUnixNanos(at)) return;
    state->watermark.armed = KeyWatermark::kNever;
    const int64_t now = Now();
    CloseUntil(time, key, *state, state->watermark.At(now), now);
    if (!this->windows_.IsOpen(state->windows) && DueAt(*state) <= now) {
      this->step_.states().Erase(key);
    } else {
      Arm(key, *state);
    }
  }

  // The input has ended: all windows do.
  void End(const CapabilityRef<T>& time) {
    const int64_t now = Now();
    this->ForEachKey([&](const K& key, State& state) {
      const EventTime watermark = state.watermark.At(now);
      if (!this->windows_.IsOpen(state.windows)) return;
      CloseUntil(time, key, state, std::max(watermark, this->windows_.LastEnd(state.windows)), now);
      if (state.watermark.armed != KeyWatermark::kNever) {
        this->step_.CancelTimer(key, absl::FromUnixNanos(state.watermark.armed));
        state.watermark.armed = KeyWatermark::kNever;
      }
      Arm(key, state);
    });
  }

 private:
  // A clock that jumps back stands still.
  int64_t Now() { return now_ = std::max(now_, absl::ToUnixNanos(this->step_.Now())); }

  // A watermark that has closed windows is kept: it does not fall when a run is resumed.
  template <class Key>
  void CloseUntil(const CapabilityRef<T>& time, const Key& key, State& state, EventTime watermark,
                  int64_t now) {
    if (!this->windows_.IsOpen(state.windows)) return;
    if (this->windows_.FirstEnd(state.windows) > watermark) return;
    this->Close(time, key, state.windows, watermark);
    state.watermark.Set(watermark, now);
  }

  int64_t DueAt(const State& state) const {
    return this->windows_.IsOpen(state.windows)
               ? state.watermark.DueAt(this->windows_.FirstEnd(state.windows))
               : AddSaturated(state.watermark.since, idle_nanos_);
  }
  // The timer of a key is at the time at which it has something to do, or earlier.
  template <class Key>
  void Arm(const Key& key_view, State& state) {
    const int64_t due = DueAt(state);
    if (due >= state.watermark.armed) return;
    const K key(key_view);
    if (state.watermark.armed != KeyWatermark::kNever) {
      this->step_.CancelTimer(key, absl::FromUnixNanos(state.watermark.armed));
    }
    this->step_.SetTimer(key, absl::FromUnixNanos(due));
    state.watermark.armed = due;
  }

  NodeOutput<D, T>& late_;
  F time_;
  const EventTime disorder_;
  const int64_t idle_nanos_;
  int64_t now_ = std::numeric_limits<int64_t>::min();
};

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_WINDOWS_KEY_WINDOWS_H_
