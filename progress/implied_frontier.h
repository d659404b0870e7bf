#ifndef HEADWAY_PROGRESS_IMPLIED_FRONTIER_H_
#define HEADWAY_PROGRESS_IMPLIED_FRONTIER_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "headway/check.h"
#include "headway/progress/antichain.h"
#include "headway/progress/sorted_counts.h"
#include "headway/progress/timestamp.h"

namespace headway::internal {

// The implied frontier of one location, with what it follows from: for each time the number of its
// sources, which are the location's own minimal outstanding times and the (edge, element of the
// predecessor's implied frontier) pairs that yield it. The frontier is the set of minimal times
// with a source, except while the location is *waiting*: an element that has lost its last source
// is gone, and what takes its place is decided by Promote. tracker.cc says why.
//
// In all calls, `waiting` says whether the location lost an element and was not promoted since.
template <Timestamp T, bool kTotallyOrdered = TimestampTraits<T>::kTotallyOrdered>
class ImpliedFrontier;

// Times are partially ordered.
template <Timestamp T>
class ImpliedFrontier<T, false> {
 public:
  // In no particular order. Valid until the frontier changes.
  std::span<const T> elements() const { return elements_.elements(); }

  // Counts a source of `time`, which is known not to change the frontier.
  void Count(const T& time) { sources_.Add(time, 1); }

  // Counts a source of `time`. If the frontier changes, calls `announce(time, added)` for the
  // element that it gains and then for those that it loses.
  template <class Announce>
  void Add(const T& time, bool waiting, Announce&& announce) {
    const int64_t support = sources_.Add(time, 1);
    if (support != 1 || waiting || elements_.LessEqual(time)) return;
    announce(time, true);
    elements_.Insert(time, [&](const T& displaced) { announce(displaced, false); });
  }

  // Uncounts a source of `time`. Returns whether `time` is an element that has lost its last
  // source; the caller calls Drop.
  bool Remove(const T& time) {
    const int64_t support = sources_.Add(time, -1);
    HEADWAY_DCHECK(support >= 0);  // I7
    return support == 0 && elements_.Contains(time);
  }

  void Drop(const T& time) { elements_.Remove(time); }

  // Ends waiting: takes the minimal times with a source. Calls `deliver(time, added)` for each
  // element that it gains and then for each that it loses; `deliver` must not change this frontier.
  // `former` is scratch space.
  template <class Deliver>
  void Promote(Antichain<T>& former, Deliver&& deliver) {
    std::swap(former, elements_);
    elements_.Clear();
    for (const auto& entry : sources_.entries()) elements_.Insert(entry.time);
    for (const T& time : elements_.elements()) {
      if (!former.Contains(time)) deliver(time, true);
    }
    for (const T& time : former.elements()) {
      if (!elements_.Contains(time)) deliver(time, false);
    }
  }

 private:
  Antichain<T> elements_;
  SortedCounts<T> sources_;
};

// Times are totally ordered: there is at most one element, and most locations have no other time
// with a source.
template <Timestamp T>
class ImpliedFrontier<T, true> {
 public:
  std::span<const T> elements() const { return {&time_, support_ > 0 ? size_t{1} : size_t{0}}; }

  void Count(const T& time) {
    if (support_ > 0 && time == time_) {
      ++support_;
    } else {
      CountOther(time);
    }
  }

  template <class Announce>
  void Add(const T& time, bool waiting, Announce&& announce) {
    if (waiting || (support_ > 0 && Traits::LessEqual(time_, time))) {
      Count(time);
      return;
    }
    announce(time, true);
    if (support_ > 0) announce(time_, false);
    CountOther(time);
  }

  bool Remove(const T& time) {
    if (support_ > 0 && time == time_) return --support_ == 0;
    const int64_t support = later_.Add(time, -1);
    HEADWAY_DCHECK(support >= 0);  // I7
    return false;
  }

  void Drop(const T&) { HEADWAY_DCHECK(support_ == 0); }

  template <class Deliver>
  void Promote(Antichain<T>&, Deliver&& deliver) {
    if (support_ == 0) {
      if (later_.empty()) return;
      const auto first = later_.entries().front();
      later_.PopFront();
      time_ = first.time;
      support_ = first.count;
    }
    deliver(time_, true);
  }

 private:
  using Traits = TimestampTraits<T>;

  void CountOther(const T& time) {
    if (support_ > 0) {
      if (Traits::LessEqual(time_, time)) {
        later_.Add(time, 1);
        return;
      }
      later_.Add(time_, support_);
    } else if (!later_.empty() && !Traits::TotalLess(time, later_.entries().front().time)) {
      later_.Add(time, 1);
      return;
    }
    time_ = time;
    support_ = 1;
  }

  // The least time with a source, if support_ is positive, and the number of its sources. While the
  // location waits, it is the least of those counted since, and later_ has no lesser one.
  T time_{};
  int64_t support_ = 0;
  SortedCounts<T, 1>
      later_;  // the other times with a source, of which there is seldom more than one
};

}  // namespace headway::internal

#endif  // HEADWAY_PROGRESS_IMPLIED_FRONTIER_H_
