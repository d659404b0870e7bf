#ifndef HEADWAY_OPERATORS_WINDOWS_OPEN_WINDOWS_H_
#define HEADWAY_OPERATORS_WINDOWS_OPEN_WINDOWS_H_

#include <optional>
#include <set>
#include <utility>

#include "operators/windows/window.h"

namespace headway::internal {

// The windows that have records, in the order of their ends: those that have not emitted their
// result, and those that have and wait for records within the allowed lateness.
class OpenWindows {
 public:
  explicit OpenWindows(EventTime allowed_lateness) : lateness_(allowed_lateness) {}

  // A slice of the window has records. Without effect if the window is known, or over.
  void Open(const Window& window, EventTime watermark) {
    if (window.end > watermark) {
      open_.insert(ByEnd(window));
    } else if (!IsOver(window.end, watermark)) {
      emitted_.insert(ByEnd(window));
    }
  }
  // Whether a window ends at `watermark` or before.
  bool IsDue(EventTime watermark) const {
    return !open_.empty() && open_.begin()->first <= watermark;
  }
  // Returns the first window that ends at `watermark` or before, as one that has emitted; nullopt
  // if all end later.
  std::optional<Window> TakeDue(EventTime watermark) {
    if (!IsDue(watermark)) return std::nullopt;
    const auto first = open_.extract(open_.begin()).value();
    if (lateness_ > 0) emitted_.insert(first);
    return Window{.start = first.second, .end = first.first};
  }
  // Forgets the windows whose allowed lateness is over.
  void ForgetOver(EventTime watermark) {
    while (!emitted_.empty() && IsOver(emitted_.begin()->first, watermark)) {
      emitted_.erase(emitted_.begin());
    }
  }
  // Whether records of a window that ends at `end` are late.
  bool IsOver(EventTime end, EventTime watermark) const {
    return watermark >= end && static_cast<uint64_t>(watermark) - static_cast<uint64_t>(end) >=
                                   static_cast<uint64_t>(lateness_);
  }

  std::optional<EventTime> first_end() const {
    return open_.empty() ? std::nullopt : std::optional(open_.begin()->first);
  }
  std::optional<EventTime> last_end() const {
    return open_.empty() ? std::nullopt : std::optional(open_.rbegin()->first);
  }
  bool has_emitted() const { return !emitted_.empty(); }

  // f(const Window&) for the open windows, or those that have emitted, that contain the slice.
  template <class F>
  void ForEachOpen(const Window& slice, F&& f) const {
    ForEach(open_, slice, f);
  }
  template <class F>
  void ForEachEmitted(const Window& slice, F&& f) const {
    ForEach(emitted_, slice, f);
  }

 private:
  using EndAndStart = std::pair<EventTime, EventTime>;

  static EndAndStart ByEnd(const Window& window) { return {window.end, window.start}; }

  template <class F>
  static void ForEach(const std::set<EndAndStart>& windows, const Window& slice, F& f) {
    for (auto at = windows.lower_bound({slice.end, kNoWatermark}); at != windows.end(); ++at) {
      if (at->second <= slice.start) f(Window{.start = at->second, .end = at->first});
    }
  }

  const EventTime lateness_;
  std::set<EndAndStart> open_;
  std::set<EndAndStart> emitted_;
};

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_WINDOWS_OPEN_WINDOWS_H_
