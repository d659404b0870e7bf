#ifndef HEADWAY_OPERATORS_WINDOWS_SESSIONS_H_
#define HEADWAY_OPERATORS_WINDOWS_SESSIONS_H_

#include <algorithm>
#include <cstddef>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "operators/windows/window_events.h"

namespace headway::internal {

// `time` plus `gap`, or the last time.
inline EventTime LaterBy(EventTime time, EventTime gap) {
  EventTime later;
  return __builtin_add_overflow(time, gap, &later) ? std::numeric_limits<EventTime>::max() : later;
}

// One session of a key: its records are at `first` to `last`.
template <class A>
struct Session {
  EventTime first = 0;
  EventTime last = 0;
  A state{};

  // A record at a distance of the gap belongs to it still.
  Window RangeWith(EventTime gap) const {
    return {.start = first, .end = LaterBy(LaterBy(last, gap), 1)};
  }
};

// The sessions of a key in the order of time, more than a gap apart from each other. Most keys have
// one.
template <class A>
struct Sessions {
  std::optional<Session<A>> one;
  std::vector<Session<A>> more;  // after it

  bool empty() const { return !one.has_value(); }

  // The session that a record at `time` belongs to: it contains the time, and `merge` joined those
  // that have grown together.
  template <class Merge>
  Session<A>& At(EventTime time, EventTime gap, Merge&& merge) {
    if (one.has_value() && more.empty() && Joins(*one, time, gap)) {
      Extend(*one, time);
      return *one;
    }
    return AtOfMany(time, gap, merge);
  }
  bool Has(EventTime time, EventTime gap) const {
    return (one.has_value() && Joins(*one, time, gap)) ||
           std::ranges::any_of(more, [&](const auto& each) { return Joins(each, time, gap); });
  }
  // Calls f(const WindowEvent&) for the effects of a record at `time` that is added next.
  template <class F>
  void ForEachEvent(EventTime time, EventTime gap, F&& f) const {
    const Session<A>* first = nullptr;
    Session<A> whole{.first = time, .last = time, .state{}};
    const auto visit = [&](auto&& visit_joined) {
      if (one.has_value() && Joins(*one, time, gap)) visit_joined(*one);
      for (const Session<A>& each : more) {
        if (Joins(each, time, gap)) visit_joined(each);
      }
    };
    visit([&](const Session<A>& joined) {
      if (first == nullptr) first = &joined;
      Extend(whole, joined.first);
      Extend(whole, joined.last);
    });
    if (first == nullptr) {
      f(WindowEvent{.kind = WindowEvent::Kind::kOpened, .window = whole.RangeWith(gap)});
    }
    visit([&](const Session<A>& joined) {
      if (&joined == first) return;
      f(WindowEvent{.kind = WindowEvent::Kind::kMerged,
                    .window = joined.RangeWith(gap),
                    .into = whole.RangeWith(gap)});
    });
  }
  // Removes and returns the first session, if `is_over` is true for it.
  template <class IsOver>
  std::optional<Session<A>> TakeFirst(IsOver&& is_over) {
    if (!one.has_value() || !is_over(*one)) return std::nullopt;
    std::optional<Session<A>> first = std::move(one);
    one.reset();
    if (!more.empty()) {
      one = std::move(more.front());
      more.erase(more.begin());
    }
    return first;
  }

 private:
  static bool Joins(const Session<A>& session, EventTime time, EventTime gap) {
    return time <= LaterBy(session.last, gap) && session.first <= LaterBy(time, gap);
  }
  static void Extend(Session<A>& session, EventTime time) {
    session.first = std::min(session.first, time);
    session.last = std::max(session.last, time);
  }

  template <class Merge>
  Session<A>& AtOfMany(EventTime time, EventTime gap, Merge& merge) {
    std::vector<Session<A>> all;
    if (one.has_value()) all.push_back(*std::move(one));
    std::ranges::move(more, std::back_inserter(all));
    size_t begin = 0;
    while (begin < all.size() && LaterBy(all[begin].last, gap) < time) ++begin;
    size_t end = begin;
    while (end < all.size() && Joins(all[end], time, gap)) ++end;
    if (begin == end) {
      all.insert(all.begin() + static_cast<std::ptrdiff_t>(begin), {time, time, A{}});
    } else {
      Session<A>& joined = all[begin];
      for (size_t i = begin + 1; i < end; ++i) {
        merge(joined.state, std::as_const(all[i].state));
        joined.last = std::max(joined.last, all[i].last);
      }
      Extend(joined, time);
      all.erase(all.begin() + static_cast<std::ptrdiff_t>(begin) + 1,
                all.begin() + static_cast<std::ptrdiff_t>(end));
    }
    one = std::move(all.front());
    more.assign(std::move_iterator(all.begin() + 1), std::move_iterator(all.end()));
    return begin == 0 ? *one : more[begin - 1];
  }
};

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_WINDOWS_SESSIONS_H_
