#include "operators/windows/windowers.h"

#include <algorithm>
#include <limits>

namespace headway {
namespace {

// Products and sums of 64-bit times.
__extension__ using Wide = __int128;

Wide FloorDivide(Wide a, Wide b) {
  const Wide quotient = a / b;
  return quotient * b > a ? quotient - 1 : quotient;
}

// Times before the first and after the last one become these.
EventTime Narrow(Wide time) {
  constexpr Wide kFirst = std::numeric_limits<EventTime>::min();
  constexpr Wide kLast = std::numeric_limits<EventTime>::max();
  return static_cast<EventTime>(std::clamp(time, kFirst, kLast));
}

absl::CivilDay FirstDayOf(absl::CivilDay day, CalendarUnit unit, absl::Weekday first_day) {
  switch (unit) {
    case CalendarUnit::kDay:
      return day;
    case CalendarUnit::kWeek:
      return absl::PrevWeekday(day + 1, first_day);
    case CalendarUnit::kMonth:
      return absl::CivilDay(absl::CivilMonth(day));
  }
  return day;
}

absl::CivilDay After(absl::CivilDay first, CalendarUnit unit) {
  switch (unit) {
    case CalendarUnit::kDay:
      return first + 1;
    case CalendarUnit::kWeek:
      return first + 7;
    case CalendarUnit::kMonth:
      return absl::CivilDay(absl::CivilMonth(first) + 1);
  }
  return first + 1;
}

}  // namespace

absl::Status SlidingWindows::Validate() const {
  if (length_ > 0 && slide_ > 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "its windows have a length or a slide of zero or less; both are positive");
}

// A slice ends where the next window begins or ends.
std::optional<Window> SlidingWindows::SliceOf(EventTime time) const {
  const Wide since = Wide{time} - align_to_;
  const Wide begun = FloorDivide(since, slide_) * slide_;                      // the last beginning
  const Wide ended = FloorDivide(since - length_, slide_) * slide_ + length_;  // the last end
  if (since >= begun + length_) return std::nullopt;
  return Window{.start = Narrow(std::max(begun, ended) + align_to_),
                .end = Narrow(std::min(begun, ended) + slide_ + align_to_)};
}

void SlidingWindows::ForEachWindow(const Window& slice,
                                   absl::FunctionRef<void(const Window&)> f) const {
  const Wide since = Wide{slice.start} - align_to_;
  Wide start = (FloorDivide(since - length_, slide_) + 1) * slide_;
  for (; start <= since; start += slide_) {
    f({.start = Narrow(start + align_to_), .end = Narrow(start + length_ + align_to_)});
  }
}

std::optional<Window> CalendarWindows::SliceOf(EventTime time) const {
  const absl::CivilDay day = absl::ToCivilDay(absl::FromUnixNanos(time), zone_);
  const absl::CivilDay first = FirstDayOf(day, unit_, first_day_);
  return Window{.start = ToEventTime(absl::FromCivil(first, zone_)),
                .end = ToEventTime(absl::FromCivil(After(first, unit_), zone_))};
}

namespace internal {

absl::Status Validate(const WindowOptions& options) {
  if (options.allowed_lateness < absl::ZeroDuration()) {
    return absl::InvalidArgumentError("its allowed_lateness is negative; it is zero or more");
  }
  if (options.early_interval <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError("its early_interval is zero or less; it is positive");
  }
  return absl::OkStatus();
}

absl::Status ValidateNone(const WindowOptions& options) {
  if (options.allowed_lateness == absl::ZeroDuration() &&
      options.early_interval == absl::InfiniteDuration()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      "sessions, windows of counts and windows with a KeyClock have neither an allowed lateness "
      "nor "
      "early panes; leave the WindowOptions out, and give the clock a larger disorder");
}

}  // namespace internal

absl::Status SessionWindows::Validate() const {
  if (gap_ >= 0) return absl::OkStatus();
  return absl::InvalidArgumentError("its sessions have a negative gap; it is zero or more");
}

}  // namespace headway
