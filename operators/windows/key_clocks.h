#ifndef HEADWAY_OPERATORS_WINDOWS_KEY_CLOCKS_H_
#define HEADWAY_OPERATORS_WINDOWS_KEY_CLOCKS_H_

#include <algorithm>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "comm/codec/codec.h"
#include "engine/step/event_time.h"
#include "operators/windows/window.h"

namespace headway {

// Event times with a watermark for each key: the latest event time of the key, less `disorder`. The
// watermark advances with the run's clock while no record raises it. So the windows of a key close
// when their time is over, although no record of the key comes. This is the rule of Bytewax, but
// for the time while nothing runs, which does not count. Prefer EventClock, with watermarks for
// each partition of the source: with a KeyClock the results depend on the arrival times of records.
//
// A step keeps the watermark of a key after its windows have closed, and no record opens a window
// again. A finite `idle_timeout` bounds that: the key is forgotten when it has had no open window
// for so long. Its next record begins anew then.
template <class F>
struct KeyClock {
  // time(value) is the event time of a value: an absl::Time, a std::chrono::sys_time, or a number
  // of nanoseconds. Negative durations, and an idle_timeout of zero, are InvalidArgument failures
  // of the build.
  explicit KeyClock(F time_of, absl::Duration disorder,
                    absl::Duration idle_timeout = absl::InfiniteDuration())
      : time(std::move(time_of)), disorder(disorder), idle_timeout(idle_timeout) {}

  F time;
  absl::Duration disorder;
  absl::Duration idle_timeout;
};

namespace internal {

template <class Clock>
inline constexpr bool kIsKeyClock = false;
template <class F>
inline constexpr bool kIsKeyClock<KeyClock<F>> = true;

template <class F>
absl::Status Validate(const KeyClock<F>& clock) {
  if (clock.disorder >= absl::ZeroDuration() && clock.idle_timeout > absl::ZeroDuration()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      "its KeyClock has a negative disorder, or an idle_timeout that is zero or less; the disorder "
      "is zero or more, and the idle_timeout is positive");
}

// A sum that ends at the first or the last time.
inline EventTime AddSaturated(EventTime a, EventTime b) {
  EventTime sum;
  if (!__builtin_add_overflow(a, b, &sum)) return sum;
  return b < 0 ? kNoWatermark : std::numeric_limits<EventTime>::max();
}

// The watermark of a key with a KeyClock: `value` when the run's clock was at `since`.
struct KeyWatermark {
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

  // At the time `now`. The time while nothing ran does not count: it begins at the first look.
  EventTime At(int64_t now) {
    since = std::min(since, now);
    return value == kNoWatermark ? value : AddSaturated(value, now - since);
  }
  void Set(EventTime watermark, int64_t now) {
    value = watermark;
    since = now;
  }
  // When the watermark reaches `end`. REQUIRES: `since` is known, and `end` is not passed.
  int64_t DueAt(EventTime end) const {
    if (value == kNoWatermark) return kNever;
    // Watermarks and ends are on both sides of zero.
    const uint64_t distance = static_cast<uint64_t>(end) - static_cast<uint64_t>(value);
    return distance > static_cast<uint64_t>(kNever)
               ? kNever
               : AddSaturated(since, static_cast<int64_t>(distance));
  }

  EventTime value = kNoWatermark;
  int64_t since = kNever;  // kNever: not known in this run
  int64_t armed = kNever;  // the timer of the key

  // Stored in snapshots: do not change.
  HEADWAY_CODEC_FIELDS(KeyWatermark, value, armed);
};

}  // namespace internal
}  // namespace headway

#endif  // HEADWAY_OPERATORS_WINDOWS_KEY_CLOCKS_H_
