#ifndef HEADWAY_OPERATORS_WINDOWS_WINDOWERS_H_
#define HEADWAY_OPERATORS_WINDOWS_WINDOWERS_H_

#include <concepts>
#include <cstdint>
#include <optional>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/civil_time.h"
#include "absl/time/time.h"
#include "operators/windows/window.h"

// Windowers divide event time into windows. One of your own is a class with three functions:
//
//   absl::Status Validate() const;
//   std::optional<Window> SliceOf(EventTime time) const;
//   void ForEachWindow(const Window& slice, absl::FunctionRef<void(const Window&)> f) const;
//
// Validate returns an error of the parameters, with which the build fails. SliceOf returns the
// slice that contains `time`: a range in which no window begins or ends; nullopt if `time` is in no
// window. ForEachWindow calls f with each window that contains the slice. The functions give the
// same answers in every run that resumes another one.
//
// A step keeps an aggregate for each key and slice. So a record changes one of them, however many
// windows it is in, and the result of a window is the combination of its slices.

namespace headway {

template <class W>
concept Windower =
    requires(const W& w, EventTime time, Window slice, absl::FunctionRef<void(const Window&)> f) {
      { w.Validate() } -> std::same_as<absl::Status>;
      { w.SliceOf(time) } -> std::same_as<std::optional<Window>>;
      w.ForEachWindow(slice, f);
    };

// Windows of one length that begin at equal distances: `slide`, counted from `align_to`. If the
// slide is less than the length they overlap, and if it is more there are gaps between them, whose
// records are in no window. Numbers are windows over numbers.
class SlidingWindows {
 public:
  SlidingWindows(absl::Duration length, absl::Duration slide,
                 absl::Time align_to = absl::UnixEpoch())
      : SlidingWindows(absl::ToInt64Nanoseconds(length), absl::ToInt64Nanoseconds(slide),
                       absl::ToUnixNanos(align_to)) {}
  SlidingWindows(std::integral auto length, std::integral auto slide, int64_t align_to = 0)
      : length_(static_cast<int64_t>(length)),
        slide_(static_cast<int64_t>(slide)),
        align_to_(align_to) {}

  absl::Status Validate() const;
  std::optional<Window> SliceOf(EventTime time) const;
  void ForEachWindow(const Window& slice, absl::FunctionRef<void(const Window&)> f) const;

 private:
  int64_t length_;
  int64_t slide_;
  int64_t align_to_;
};

// Windows that follow each other without gaps: sliding ones whose slide is their length.
class TumblingWindows : public SlidingWindows {
 public:
  explicit TumblingWindows(absl::Duration length, absl::Time align_to = absl::UnixEpoch())
      : SlidingWindows(length, length, align_to) {}
  explicit TumblingWindows(std::integral auto length, int64_t align_to = 0)
      : SlidingWindows(length, length, align_to) {}
};

// Windows over the numbers of a key's records, which count from 0: the last `length` records of the
// key, after every `slide`-th one. By default the slide is the length, and the windows follow each
// other. With a slide below the length the first windows begin before record 0 and have fewer
// records; with one above it, the records between two windows are in none.
class CountWindows : public SlidingWindows {
 public:
  explicit CountWindows(std::integral auto length) : CountWindows(length, length) {}
  CountWindows(std::integral auto length, std::integral auto slide)
      : SlidingWindows(length, slide, /*align_to=*/-static_cast<int64_t>(length)) {}
};

enum class CalendarUnit : uint8_t { kDay, kWeek, kMonth };

// The days, weeks or months of a time zone. A day in which the clocks change has 23 or 25 hours.
class CalendarWindows {
 public:
  // `first_day` is that of a week.
  CalendarWindows(CalendarUnit unit, absl::TimeZone zone,
                  absl::Weekday first_day = absl::Weekday::monday)
      : unit_(unit), zone_(zone), first_day_(first_day) {}

  absl::Status Validate() const { return absl::OkStatus(); }
  std::optional<Window> SliceOf(EventTime time) const;
  void ForEachWindow(const Window& slice, absl::FunctionRef<void(const Window&)> f) const {
    f(slice);
  }

 private:
  CalendarUnit unit_;
  absl::TimeZone zone_;
  absl::Weekday first_day_;
};

// Sessions of a key: records whose distance to the next one is at most `gap`. A session ends when
// the watermark has passed its last record by more than the gap, and its window ends there. Records
// that come out of order join sessions, and merge two if they are between them.
class SessionWindows {
 public:
  explicit SessionWindows(absl::Duration gap) : gap_(absl::ToInt64Nanoseconds(gap)) {}
  explicit SessionWindows(std::integral auto gap) : gap_(static_cast<int64_t>(gap)) {}

  absl::Status Validate() const;
  EventTime gap() const { return gap_; }

 private:
  int64_t gap_;
};

namespace internal {
// InvalidArgument for options without a meaning, and for options at all: of windows that have none.
absl::Status Validate(const WindowOptions& options);
absl::Status ValidateNone(const WindowOptions& options);
}  // namespace internal

}  // namespace headway

#endif  // HEADWAY_OPERATORS_WINDOWS_WINDOWERS_H_
