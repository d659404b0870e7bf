#ifndef HEADWAY_OPERATORS_WINDOWS_KEY_SLICES_H_
#define HEADWAY_OPERATORS_WINDOWS_KEY_SLICES_H_

#include <algorithm>
#include <cstddef>
#include <limits>
#include <optional>
#include <set>
#include <stdexcept>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "operators/windows/sessions.h"
#include "operators/windows/windowers.h"

// The open windows of one key, for steps in which each key has a watermark of its own. Both classes
// have the same functions.

namespace headway::internal {

// The first end of no windows.
inline constexpr EventTime kNoEnd = std::numeric_limits<EventTime>::max();

// The aggregate of a key in a slice.
template <class A>
struct KeySlice {
  EventTime start = 0;
  EventTime end = 0;
  A state{};
};

// Windows that are the same for all keys. A record changes the aggregate of one slice.
template <class W, class Agg>
class KeySlices {
 public:
  using A = typename Agg::State;

  // Stored in snapshots: do not change.
  struct Windows {
    EventTime first_end = kNoEnd;                // of the open windows
    absl::InlinedVector<KeySlice<A>, 1> slices;  // in the order of time
  };

  KeySlices(W windower, const Agg& aggregate)
      : windower_(std::move(windower)), aggregate_(aggregate) {}

  bool IsOpen(const Windows& windows) const { return !windows.slices.empty(); }
  // The end of the first open window, or the last time of all.
  EventTime FirstEnd(const Windows& windows) const { return windows.first_end; }
  // The end of the last open window. REQUIRES: one is open.
  EventTime LastEnd(const Windows& windows) const {
    return LastEndOf(RangeOf(windows.slices.back()));
  }

  // The aggregate that a record at `time` changes; null if the time is in no window, or all of its
  // windows end at the watermark or before.
  A* At(Windows& windows, EventTime time, EventTime watermark) const {
    auto& slices = windows.slices;
    if (!slices.empty() && RangeOf(slices.back()).Contains(time)) return &slices.back().state;
    auto place = slices.end();
    while (place != slices.begin() && time < std::prev(place)->start) --place;
    if (place != slices.begin() && RangeOf(*std::prev(place)).Contains(time)) {
      return &std::prev(place)->state;
    }
    const std::optional<Window> range = windower_.SliceOf(time);
    if (!range.has_value() || LastEndOf(*range) <= watermark) return nullptr;
    windows.first_end = std::min(windows.first_end, FirstEndOf(*range, watermark));
    return &slices.insert(place, {range->start, range->end, A{}})->state;
  }
  // Calls f(const WindowEvent&) for the effects of a record that At gets next.
  template <class F>
  void ForEachEvent(const Windows& windows, EventTime time, EventTime watermark, F&& f) const {
    const std::optional<Window> range = windower_.SliceOf(time);
    if (!range.has_value()) return;
    windower_.ForEachWindow(*range, [&](const Window& window) {
      const bool is_known =
          std::any_of(windows.slices.begin(), windows.slices.end(),
                      [&](const KeySlice<A>& slice) { return window.Contains(slice.start); });
      if (!is_known && window.end > watermark) {
        f(WindowEvent{.kind = WindowEvent::Kind::kOpened, .window = window});
      }
    });
  }
  bool IsInWindow(EventTime time) const { return windower_.SliceOf(time).has_value(); }

  // Calls emit(const Window&, const A&) for the open windows that end at the watermark or before,
  // in the order of their ends, and forgets the slices that no open window has.
  template <class F>
  void Close(Windows& windows, EventTime watermark, F&& emit) const {
    std::set<std::pair<EventTime, EventTime>> due;  // ends and starts
    for (const KeySlice<A>& slice : windows.slices) {
      RequireSame(slice);
      windower_.ForEachWindow(RangeOf(slice), [&](const Window& window) {
        if (window.end >= windows.first_end && window.end <= watermark) {
          due.emplace(window.end, window.start);
        }
      });
    }
    for (const auto& [end, start] : due) EmitWindow(windows, {.start = start, .end = end}, emit);
    const auto is_over = [&](const KeySlice<A>& slice) {
      return LastEndOf(RangeOf(slice)) <= watermark;
    };
    windows.slices.erase(std::remove_if(windows.slices.begin(), windows.slices.end(), is_over),
                         windows.slices.end());
    windows.first_end = kNoEnd;
    for (const KeySlice<A>& slice : windows.slices) {
      windows.first_end = std::min(windows.first_end, FirstEndOf(RangeOf(slice), watermark));
    }
  }

 private:
  static Window RangeOf(const KeySlice<A>& slice) {
    return {.start = slice.start, .end = slice.end};
  }
  EventTime LastEndOf(const Window& range) const {
    EventTime last = range.end;
    windower_.ForEachWindow(range,
                            [&](const Window& window) { last = std::max(last, window.end); });
    return last;
  }
  EventTime FirstEndOf(const Window& range, EventTime watermark) const {
    EventTime first = kNoEnd;
    windower_.ForEachWindow(range, [&](const Window& window) {
      if (window.end > watermark) first = std::min(first, window.end);
    });
    return first;
  }
  // A stored slice may be that of other windows.
  void RequireSame(const KeySlice<A>& slice) const {
    if (windower_.SliceOf(slice.start) == RangeOf(slice)) return;
    throw std::runtime_error(
        "its stored windows begin and end elsewhere than those of this run; resume it with the "
        "same windows, or drop its state");
  }
  template <class F>
  void EmitWindow(const Windows& windows, const Window& window, F& emit) const {
    const A* only = nullptr;
    std::optional<A> combined;
    for (const KeySlice<A>& slice : windows.slices) {
      if (slice.start < window.start || slice.start >= window.end) continue;
      if (only == nullptr) {
        only = &slice.state;
        continue;
      }
      if (!combined.has_value()) combined = *only;
      aggregate_.Merge(*combined, slice.state);
    }
    emit(window, combined.has_value() ? *combined : *only);
  }

  const W windower_;
  const Agg aggregate_;
};

// The sessions of a key.
template <class Agg>
class KeySlices<SessionWindows, Agg> {
 public:
  using A = typename Agg::State;
  using Windows = Sessions<A>;

  KeySlices(const SessionWindows& windows, const Agg& aggregate)
      : gap_(windows.gap()), aggregate_(aggregate) {}

  bool IsOpen(const Windows& sessions) const { return !sessions.empty(); }
  EventTime FirstEnd(const Windows& sessions) const {
    return sessions.empty() ? kNoEnd : EndOf(sessions.one->last);
  }
  EventTime LastEnd(const Windows& sessions) const {
    return EndOf(sessions.more.empty() ? sessions.one->last : sessions.more.back().last);
  }
  A* At(Windows& sessions, EventTime time, EventTime watermark) const {
    if (EndOf(time) <= watermark && !sessions.Has(time, gap_)) return nullptr;
    return &sessions.At(time, gap_, [&](A& into, const A& other) { aggregate_.Merge(into, other); })
                .state;
  }
  template <class F>
  void ForEachEvent(const Windows& sessions, EventTime time, EventTime watermark, F&& f) const {
    if (EndOf(time) > watermark || sessions.Has(time, gap_)) sessions.ForEachEvent(time, gap_, f);
  }
  bool IsInWindow(EventTime) const { return true; }

  template <class F>
  void Close(Windows& sessions, EventTime watermark, F&& emit) const {
    while (const auto session = sessions.TakeFirst(
               [&](const Session<A>& each) { return EndOf(each.last) <= watermark; })) {
      emit(session->RangeWith(gap_), session->state);
    }
  }

 private:
  EventTime EndOf(EventTime last) const { return LaterBy(LaterBy(last, gap_), 1); }

  const EventTime gap_;
  const Agg aggregate_;
};

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_WINDOWS_KEY_SLICES_H_
