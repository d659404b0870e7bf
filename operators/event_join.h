#ifndef HEADWAY_OPERATORS_EVENT_JOIN_H_
#define HEADWAY_OPERATORS_EVENT_JOIN_H_

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>
#include <vector>

#include "operators/join_parts.h"
#include "operators/value_clock.h"

// Parts that the joins in event time share.

namespace headway::internal {

// A value and its event time, as a join keeps it.
template <class V>
using Timed = std::pair<EventTime, V>;

// Adds a value behind all of its time. The values are in the order of their times.
template <class V, class U>
void InsertTimed(std::vector<Timed<V>>& values, EventTime time, U&& value) {
  auto at = values.end();
  while (at != values.begin() && time < std::prev(at)->first) --at;
  values.emplace(at, time, std::forward<U>(value));
}

// The first value at `time` or later.
template <class V>
auto FirstFrom(std::vector<Timed<V>>& values, EventTime time) {
  return std::lower_bound(values.begin(), values.end(), time,
                          [](const Timed<V>& each, EventTime from) { return each.first < from; });
}

// The one event timer of a key, at the first time at which the key has something to do, or before.
// Belongs to the state of the key.
struct KeyAlarm {
  EventTime at = kNoWatermark;  // none is set

  // Moves the timer to `time` if that is earlier. Returns false if none can be set any more, since
  // the input has ended.
  template <class Step, class Key>
  bool RingAt(Step& step, const Key& key, EventTime time) {
    if (at != kNoWatermark && at <= time) return true;
    Cancel(step, key);
    if (!step.SetEventTimer(typename Step::K(key), time)) return false;
    at = time;
    return true;
  }
  template <class Step, class Key>
  void Cancel(Step& step, const Key& key) {
    if (at != kNoWatermark) step.CancelEventTimer(typename Step::K(key), at);
    at = kNoWatermark;
  }
};

// A sum that ends at the first or last time. These are also infinite offsets.
inline EventTime AddToTime(EventTime time, EventTime offset) {
  constexpr EventTime kMax = std::numeric_limits<EventTime>::max();
  EventTime sum;
  if (offset == kMax || offset == kNoWatermark) return offset;
  if (!__builtin_add_overflow(time, offset, &sum)) return sum;
  return offset < 0 ? kNoWatermark : kMax;
}

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_EVENT_JOIN_H_
