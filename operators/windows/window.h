#ifndef HEADWAY_OPERATORS_WINDOWS_WINDOW_H_
#define HEADWAY_OPERATORS_WINDOWS_WINDOW_H_

#include <compare>
#include <cstdint>
#include <utility>

#include "absl/time/time.h"
#include "engine/step/event_time.h"

namespace headway {

// A range of event time: `start` belongs to it, `end` does not. Nanoseconds since 1970, or numbers
// of the application's own.
struct Window {
  EventTime start = 0;
  EventTime end = 0;

  bool Contains(EventTime time) const { return start <= time && time < end; }
  absl::Time start_time() const { return absl::FromUnixNanos(start); }
  absl::Time end_time() const { return absl::FromUnixNanos(end); }
  friend auto operator<=>(const Window&, const Window&) = default;
};

// Why a window emits a result.
enum class Pane : uint8_t {
  kOnTime,  // the watermark has passed its end
  kEarly,   // before that: it was asked to emit at an interval
  kLate,    // after that: a record came within the allowed lateness
};

// The result of a window. A later pane of a window and key replaces the earlier ones.
template <class R>
struct Windowed {
  Window window;
  Pane pane = Pane::kOnTime;
  R value{};
  friend bool operator==(const Windowed&, const Windowed&) = default;
};

// Options of the steps with windows.
struct WindowOptions {
  // A window stays for so long, in event time, after the watermark has passed its end. A record
  // that comes meanwhile is not late, and the window emits a late pane.
  absl::Duration allowed_lateness = absl::ZeroDuration();
  // The keys that changed emit an early pane of their open windows at this interval, by the run's
  // clock.
  absl::Duration early_interval = absl::InfiniteDuration();
};

// The results of a step with windows, which is a stream, and the late records.
template <class R, class D, class T>
class WindowStream : public Stream<R, T> {
 public:
  WindowStream(const Stream<R, T>& results, Stream<D, T> late)
      : Stream<R, T>(results), late_(std::move(late)) {}

  // The records that came when all of their windows were closed. They are in no result.
  const Stream<D, T>& late() const { return late_; }

 private:
  Stream<D, T> late_;
};

// Windows by the run's clock: a record is in the window of the time at which it arrives at the
// step. There are no late records. A clock that jumps back stands still until it has caught up.
struct SystemClock {};

}  // namespace headway

#endif  // HEADWAY_OPERATORS_WINDOWS_WINDOW_H_
