#ifndef HEADWAY_OPERATORS_WINDOWS_SLICE_WINDOWS_H_
#define HEADWAY_OPERATORS_WINDOWS_SLICE_WINDOWS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "engine/step/keyed_operator.h"
#include "operators/key_value.h"
#include "operators/value_clock.h"
#include "operators/windows/open_windows.h"
#include "operators/windows/slice_tables.h"
#include "operators/windows/sliding_sums.h"
#include "operators/windows/window_events.h"

namespace headway::internal {

// The time of records by an EventClock, and by the SystemClock.
template <class Clock>
inline constexpr bool kIsSystemClock = std::is_same_v<Clock, SystemClock>;

// The logic of a step whose windows are the same for all keys. A record changes the aggregate of
// its key in one slice. When the watermark passes the end of a window, the slices of the window are
// combined. Belongs to the worker's thread.
template <class D, class T, class Clock, class W, class Agg>
class SliceWindows {
 public:
  using Step = KeyedStep<char, D, T, FirstOfPair>;
  using K = typename Step::K;
  using Result = RecordOfT<decltype(std::declval<const Agg&>().Result(
      std::declval<const typename Agg::State&>()))>;
  using Results = NodeOutput<std::pair<K, Windowed<Result>>, T>;

  using Events = WindowEvents<K, T>;

  SliceWindows(Step& step, Results& results, NodeOutput<D, T>& late, Events& events, Clock clock,
               W windower, Agg aggregate, const WindowOptions& options)
      : step_(step),
        results_(results),
        late_(late),
        events_(events),
        clock_(std::move(clock)),
        windower_(std::move(windower)),
        aggregate_(std::move(aggregate)),
        early_{.interval = options.early_interval, .at = std::nullopt},
        open_(absl::ToInt64Nanoseconds(options.allowed_lateness)),
        tables_(windower_) {}

  StateBase& state() { return tables_; }

  // The slices are restored: their windows are open.
  void Resume() {
    for (auto& [start, slice] : tables_.slices()) {
      // The clocks of workers differ: a window that one of them has closed may be open on another,
      // and a closed one of a single slice has left nothing.
      const bool is_open = kIsSystemClock<Clock> && slice.last_end == slice.range.end;
      OpenWindowsOf(slice.range, is_open ? kNoWatermark : step_.watermark());
    }
    ScheduleWakeUp();
  }

  void Add(const CapabilityRef<T>& time, Batch<D>& batch) {
    if constexpr (kIsSystemClock<Clock>) FollowSystemClock(time);
    EventTime first = std::numeric_limits<EventTime>::max();
    EventTime last = kNoWatermark;
    batch_.times.resize(batch.size());
    for (size_t i = 0; i < batch.size(); ++i) {
      batch_.times[i] = TimeOf(batch, i);
      first = std::min(first, batch_.times[i]);
      last = std::max(last, batch_.times[i]);
    }
    Slice* slice = SliceFor(first);
    if (slice != nullptr && slice->range.Contains(last) && !NotesChanges()) {
      sums_.NoteChange(slice->range.start);
      slice->aggregates.AtEach(
          batch.size(), [&](size_t i) { return KeyOf(batch, i); },
          [&](size_t i, State& state) {
            aggregate_.Add(state, batch_.times[i], ValueOf(batch, i));
          });
    } else {
      Divide(time, batch);
    }
    ScheduleWakeUp();
  }

  // The watermark has risen. Returns false if results wait for credit.
  bool Close(const CapabilityRef<T>& time) {
    const EventTime watermark = step_.watermark();
    if (!emission_.has_value() && !open_.has_emitted() && !open_.IsDue(watermark)) return true;
    if (!EmitUpTo(time, watermark)) return false;
    open_.ForgetOver(watermark);
    DropSlices();
    return true;
  }

  void WakeUp(const CapabilityRef<T>& time) {
    if constexpr (kIsSystemClock<Clock>) FollowSystemClock(time);
    if (early_.at.has_value() && step_.Now() >= *early_.at) EmitEarly(time);
    ScheduleWakeUp();
  }

  // The input has ended: all windows do. A window within the allowed lateness remains for a run
  // that continues. Returns false if results wait for credit.
  bool End(const CapabilityRef<T>& time) {
    const EventTime last = std::max(open_.last_end().value_or(kNoWatermark),
                                    emission_.has_value() ? emission_->window.end : kNoWatermark);
    if (!EmitUpTo(time, last)) return false;
    step_.RaiseWatermark(last);
    open_.ForgetOver(step_.watermark());
    DropSlices();
    return true;
  }

 private:
  using State = typename Agg::State;
  using Tables = SliceTables<K, State, W>;
  using Slice = typename Tables::Slice;
  using Sums = SlidingSums<K, Agg>;
  using KeyInBatch = typename Step::KeyInBatch;
  using Keys = FlatTable<K, std::monostate>;

  struct EarlyPanes {
    absl::Duration interval;
    std::optional<absl::Time> at;  // of the next ones
  };

  // Of the batch that is being added.
  struct BatchParts {
    std::vector<EventTime> times;
    std::vector<Slice*> slices;
    std::map<EventTime, Keys> late_keys;  // by slices
  };

  // The results of a window that are being sent: from its only slice, from the sums, or from the
  // combination of several slices.
  struct Emission {
    Window window;
    Slice* slice = nullptr;
    bool of_sums = false;
    FlatTable<K, State> combined = {};
    typename Sums::Position position = {};
  };

  static KeyInBatch KeyOf(const Batch<D>& batch, size_t i) {
    return KeyInBatch(FirstOfPair()(batch[i]));
  }
  static auto ValueOf(Batch<D>& batch, size_t i) {
    auto&& record = batch.Take(i);
    using V = RecordOfT<TakenValue<D>>;
    return V(std::move(record.second));
  }
  EventTime TimeOf(const Batch<D>& batch, size_t i) {
    if constexpr (kIsSystemClock<Clock>) {
      return step_.watermark();
    } else {
      return TimeOfValue(clock_.time, batch[i]);
    }
  }

  // The watermark of the system clock is the time itself.
  void FollowSystemClock(const CapabilityRef<T>& time) {
    const EventTime now = ToEventTime(step_.Now());
    if (now <= step_.watermark()) return;
    step_.RaiseWatermark(now);
    Close(time);
  }

  bool MayEmitEarly() const { return early_.interval < absl::InfiniteDuration(); }
  // Whether the keys of a batch have to be noted.
  bool NotesChanges() const {
    return open_.has_emitted() || MayEmitEarly() || events_.are_wanted();
  }

  // The slice of that time, which may be new; null if the time is in no window, or all of its
  // windows are closed.
  Slice* SliceFor(EventTime time) {
    if (current_ != nullptr && current_->range.Contains(time)) return current_;
    if (Slice* known = tables_.Find(time)) return current_ = known;
    const std::optional<Window> range = windower_.SliceOf(time);
    if (!range.has_value() || open_.IsOver(tables_.LastEnd(*range), step_.watermark())) {
      return nullptr;
    }
    OpenWindowsOf(*range, step_.watermark());
    return current_ = &tables_.Add(*range);
  }
  void OpenWindowsOf(const Window& range, EventTime watermark) {
    windower_.ForEachWindow(range, [&](const Window& window) { open_.Open(window, watermark); });
  }

  void Divide(const CapabilityRef<T>& time, Batch<D>& batch) {
    for (size_t i = 0; i < batch.size(); ++i) {
      Slice* slice = SliceFor(batch_.times[i]);
      if (slice == nullptr) {
        if (windower_.SliceOf(batch_.times[i]).has_value()) {
          late_.SessionAt(time).Give(batch.Take(i));
        }
        continue;
      }
      if (slice->records.empty()) batch_.slices.push_back(slice);
      slice->records.push_back(static_cast<uint32_t>(i));
    }
    for (Slice* slice : batch_.slices) {
      sums_.NoteChange(slice->range.start);
      if (NotesChanges()) NoteKeys(time, *slice, batch);
      slice->aggregates.AtEach(
          slice->records.size(), [&](size_t n) { return KeyOf(batch, slice->records[n]); },
          [&](size_t n, State& state) {
            const size_t i = slice->records[n];
            aggregate_.Add(state, batch_.times[i], ValueOf(batch, i));
          });
      slice->records.clear();
    }
    if (!batch_.late_keys.empty()) EmitLate(time);
    batch_.slices.clear();
  }
  // Before the records are taken.
  void NoteKeys(const CapabilityRef<T>& time, Slice& slice, const Batch<D>& batch) {
    for (uint32_t i : slice.records) {
      if (events_.are_wanted()) GiveOpened(time, slice, KeyOf(batch, i));
      if (MayEmitEarly()) slice.changed.At(KeyOf(batch, i));
      if (open_.has_emitted()) batch_.late_keys[slice.range.start].At(KeyOf(batch, i));
    }
  }

  // The events of a record of this key, if it is the first one in its slice. Makes its aggregate.
  void GiveOpened(const CapabilityRef<T>& time, Slice& slice, const KeyInBatch& key) {
    if (slice.aggregates.Peek(key) != nullptr) return;
    const EventTime watermark = step_.watermark();
    windower_.ForEachWindow(slice.range, [&](const Window& window) {
      bool is_known = open_.IsOver(window.end, watermark);
      tables_.ForEachIn(window, [&](Slice& each) {
        is_known = is_known || each.aggregates.Peek(key) != nullptr;
      });
      if (is_known) return;
      const typename Step::KeyView view(key);
      events_.Give(time, view, {.kind = WindowEvent::Kind::kOpened, .window = window});
      if (window.end <= watermark) events_.GiveClosed(time, view, window);
    });
    slice.aggregates.At(key);
  }

  // Emits the windows that end at `watermark` or before. Returns false if some wait for credit.
  bool EmitUpTo(const CapabilityRef<T>& time, EventTime watermark) {
    for (;;) {
      if (!emission_.has_value()) {
        const std::optional<Window> window = open_.TakeDue(watermark);
        if (!window.has_value()) return true;
        emission_ = EmissionOf(*window);
      }
      if (!Emit(time, *emission_)) return false;
      emission_.reset();
    }
  }

  Emission EmissionOf(const Window& window) {
    std::vector<Slice*> slices;
    tables_.ForEachIn(window, [&](Slice& slice) { slices.push_back(&slice); });
    if (slices.size() == 1) return {.window = window, .slice = slices[0]};
    if constexpr (Sums::kMayUse) {
      if (sums_.Takes(slices.size())) {
        sums_.MoveTo(window, slices, aggregate_);
        return {.window = window, .of_sums = true};
      }
    }
    Emission emission{.window = window};
    for (Slice* slice : slices) Sums::AddTo(emission.combined, slice->aggregates, aggregate_);
    return emission;
  }

  bool Emit(const CapabilityRef<T>& time, Emission& emission) {
    auto session = results_.SessionAt(time);
    const auto give = [&](typename Step::KeyView key, const State& state) {
      Give(session, key, emission.window, Pane::kOnTime, state);
      events_.GiveClosed(time, key, emission.window);
      // Batches and the ends of epochs do not wait for the results of a wake-up.
      return kIsSystemClock<Clock> || step_.HasCredit();
    };
    if constexpr (Sums::kMayUse) {
      if (emission.of_sums) return sums_.ForEachFrom(emission.position, aggregate_, give);
    }
    size_t& position = emission.position.in_front;
    if (emission.slice == nullptr) return emission.combined.ForEachFrom(position, give);
    return emission.slice->aggregates.ForEachFrom(position, give);
  }

  using KeysByWindow = std::map<Window, Keys>;

  static void AddKeys(Keys& from, Keys& into) {
    from.ForEach([&](typename Step::KeyView key, std::monostate) { into.At(key); });
  }
  void EmitLate(const CapabilityRef<T>& time) {
    KeysByWindow keys;
    for (const Slice* slice : batch_.slices) {
      const auto of_slice = batch_.late_keys.find(slice->range.start);
      if (of_slice == batch_.late_keys.end()) continue;
      open_.ForEachEmitted(slice->range,
                           [&](const Window& window) { AddKeys(of_slice->second, keys[window]); });
    }
    batch_.late_keys.clear();
    EmitKeys(time, keys, Pane::kLate);
  }
  void EmitEarly(const CapabilityRef<T>& time) {
    early_.at.reset();
    KeysByWindow keys;
    for (auto& [start, slice] : tables_.slices()) {
      open_.ForEachOpen(slice.range,
                        [&](const Window& window) { AddKeys(slice.changed, keys[window]); });
      slice.changed.Clear();
    }
    EmitKeys(time, keys, Pane::kEarly);
  }
  void EmitKeys(const CapabilityRef<T>& time, KeysByWindow& by_window, Pane pane) {
    for (auto& [window, keys] : by_window) EmitKeys(time, window, keys, pane);
  }

  void EmitKeys(const CapabilityRef<T>& time, const Window& window, Keys& keys, Pane pane) {
    auto session = results_.SessionAt(time);
    keys.ForEach([&](typename Step::KeyView key, std::monostate) {
      std::optional<State> combined;
      tables_.ForEachIn(window, [&](Slice& slice) {
        const State* state = slice.aggregates.Peek(key);
        if (state == nullptr) return;
        if (combined.has_value()) {
          aggregate_.Merge(*combined, *state);
        } else {
          combined = *state;
        }
      });
      if (combined.has_value()) Give(session, key, window, pane, *combined);
    });
  }

  template <class Session>
  void Give(Session& session, typename Step::KeyView key, const Window& window, Pane pane,
            const State& state) {
    session.Give(std::pair<typename Step::KeyView, Windowed<Result>>(
        key, Windowed<Result>{window, pane, aggregate_.Result(state)}));
  }

  void DropSlices() {
    const EventTime watermark = step_.watermark();
    if (tables_.DropOver([&](EventTime end) { return open_.IsOver(end, watermark); })) {
      current_ = nullptr;
      if (tables_.slices().empty()) sums_.Clear();
    }
  }

  void ScheduleWakeUp() {
    if (MayEmitEarly() && !early_.at.has_value() && open_.first_end().has_value()) {
      early_.at = step_.Now() + early_.interval;
    }
    absl::Time next = early_.at.value_or(absl::InfiniteFuture());
    if constexpr (kIsSystemClock<Clock>) {
      const std::optional<EventTime> end = open_.first_end();
      if (end.has_value()) next = std::min(next, absl::FromUnixNanos(*end));
    }
    if (next < absl::InfiniteFuture() && next != wake_up_at_) step_.WakeUpAt(next);
    wake_up_at_ = next;
  }

  Step& step_;
  Results& results_;
  NodeOutput<D, T>& late_;
  Events& events_;
  Clock clock_;
  const W windower_;
  const Agg aggregate_;
  EarlyPanes early_;
  OpenWindows open_;
  Tables tables_;
  Sums sums_;
  Slice* current_ = nullptr;  // the slice of the last record
  BatchParts batch_;
  std::optional<Emission> emission_;
  absl::Time wake_up_at_ = absl::InfiniteFuture();
};

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_WINDOWS_SLICE_WINDOWS_H_
