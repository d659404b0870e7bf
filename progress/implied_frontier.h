#ifndef HEADWAY_PROGRESS_IMPLIED_FRONTIER_H_
#define HEADWAY_PROGRESS_IMPLIED_FRONTIER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "check.h"
#include "progress/antichain.h"
#include "progress/inline_vector.h"
#include "progress/mutable_antichain.h"
#include "progress/sorted_counts.h"
#include "progress/timestamp.h"

namespace headway::internal {

// The implied frontier of one location, with its support: the number of sources of each time. The
// location's own minimal outstanding times are sources. So are the pairs (edge, element of the
// predecessor's implied frontier) that result in the time.
//
// The frontier is the set of minimal times with a source, except while the location is *waiting*. A
// location begins to wait when an element loses its last source and leaves the frontier. Promote
// adds the elements that replace it. tracker.cc explains why.
//
// In all calls, `waiting` is true iff the location waits.
template <Timestamp T, bool kTotallyOrdered = TimestampTraits<T>::kTotallyOrdered>
class ImpliedFrontier;

// Times are partially ordered. With n elements and m times that have a source, a change of one
// element costs O(n + m).
template <Timestamp T>
class ImpliedFrontier<T, false> {
 public:
  // Ascending by TotalLess. Valid until the frontier changes.
  std::span<const T> elements() const { return elements_.elements(); }
  const Antichain<T>& antichain() const { return elements_; }

  // Counts a source of `time`. REQUIRES: this does not change the frontier.
  void Count(const T& time) { sources_.Add(time, 1); }

  // Counts a source of `time`. If the frontier changes, calls `announce(time, added)` for the
  // element that joins, then for each that leaves.
  template <class Announce>
  void Add(const T& time, bool waiting, Announce&& announce) {
    const int64_t support = sources_.Add(time, 1);
    if (support != 1) return;
    if (waiting) {
      candidates_.push_back(time);
      return;
    }
    if (elements_.LessEqual(time)) return;
    announce(time, true);
    elements_.Insert(time, [&](const T& displaced) { announce(displaced, false); });
  }

  // Removes a source of `time`. Returns true iff `time` is an element that has lost its last
  // source. The caller must then call Drop.
  bool Remove(const T& time) {
    const int64_t support = sources_.Add(time, -1);
    HEADWAY_DCHECK(support >= 0);  // I7
    if (support != 0 || !elements_.Contains(time)) return false;
    candidates_.push_back(time);
    return true;
  }

  void Drop(const T& time) { elements_.Remove(time); }

  // Ends waiting: the elements are now the minimal times with a source. Calls `deliver(time,
  // added)` for each element that joins, then for each that leaves. `deliver` must not change this
  // frontier. `former` is scratch space.
  template <class Deliver>
  void Promote(Antichain<T>& former, Deliver&& deliver) {
    former = elements_;
    for (const T& time : candidates_) {
      if (sources_.Count(time) == 0) elements_.Remove(time);
    }
    AddUncovered(candidates_.span(), sources_.entries(), &elements_);
    candidates_.clear();
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
  // Elements that lost their last source, and times that got their first one while the location
  // waits. Every time that joins at the promotion is one of them or later than one.
  InlineVector<T, 2> candidates_;
};

// Times are totally ordered. There is at most one element, and most locations have no other time
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
    RemoveLater(time);
    return false;
  }

  void Drop(const T&) { HEADWAY_DCHECK(support_ == 0); }

  // The result of a move of a source. kElement: the element moved with it. kOther: the element
  // stayed. kUnclear: nothing was done.
  enum class Moved { kElement, kOther, kUnclear };

  // Replaces a source of `from` by one of `to`, which is later. kUnclear if the next element may be
  // about to lose its support, too. REQUIRES: not waiting.
  Moved Move(const T& from, const T& to) {
    if (support_ == 1 && next_support_ == 0 && from == time_) {
      time_ = to;
      return Moved::kElement;
    }
    return MoveAmongOthers(from, to);
  }

  // Removes a source of `from`. If that was the element's last source, the least other time becomes
  // the element. Stores it in `to`. kUnclear if there is no other time. REQUIRES: not waiting, and
  // no other source is about to vanish.
  Moved MoveToNext(const T& from, T* to) {
    if (support_ != 1 || !(time_ == from)) {
      Remove(from);
      return Moved::kOther;
    }
    if (next_support_ == 0) return Moved::kUnclear;
    *to = time_ = next_time_;
    support_ = TakeNext();
    return Moved::kElement;
  }

  // Removes the last source of the element `from` if the least other time is `to`, which becomes
  // the element. Returns false, and does nothing, otherwise. REQUIRES: not waiting.
  bool MoveToNext(const T& from, const T& to) {
    if (support_ != 1 || !(time_ == from) || next_support_ == 0 || !(next_time_ == to)) {
      return false;
    }
    time_ = to;
    support_ = TakeNext();
    return true;
  }

  template <class Deliver>
  void Promote(Antichain<T>&, Deliver&& deliver) {
    if (support_ == 0) {
      if (next_support_ == 0) return;
      time_ = next_time_;
      support_ = TakeNext();
    }
    deliver(time_, true);
  }

 private:
  using Traits = TimestampTraits<T>;

  // Move, if `from` has several sources or is not the only time with a source.
  [[gnu::noinline]] Moved MoveAmongOthers(const T& from, const T& to) {
    if (support_ == 0 || !(from == time_)) {
      if (next_support_ == 1 && next_time_ == from && !HasRest()) {
        next_time_ = to;
      } else {
        RemoveLater(from);
        AddLater(to, 1);
      }
      return Moved::kOther;
    }
    if (support_ > 1) {
      --support_;
      AddLater(to, 1);
      return Moved::kOther;
    }
    if (!Traits::LessEqual(to, next_time_)) return Moved::kUnclear;
    if (next_time_ == to) support_ += TakeNext();
    time_ = to;
    return Moved::kElement;
  }

  void CountOther(const T& time) {
    if (support_ > 0) {
      if (Traits::LessEqual(time_, time)) {
        AddLater(time, 1);
        return;
      }
      AddLater(time_, support_);
    } else if (next_support_ > 0 && !Traits::TotalLess(time, next_time_)) {
      AddLater(time, 1);
      return;
    }
    time_ = time;
    support_ = 1;
  }

  void AddLater(const T& time, int64_t count) {
    if (next_support_ == 0) {
      next_time_ = time;
      next_support_ = count;
    } else if (time == next_time_) {
      next_support_ += count;
    } else if (Traits::TotalLess(time, next_time_)) {
      Rest().Add(next_time_, next_support_);
      next_time_ = time;
      next_support_ = count;
    } else {
      Rest().Add(time, count);
    }
  }

  void RemoveLater(const T& time) {
    if (time == next_time_ && next_support_ > 0) {
      if (--next_support_ == 0) FillNext();
      return;
    }
    const int64_t support = Rest().Add(time, -1);
    HEADWAY_DCHECK(support >= 0);  // I7
  }

  // Removes the next time; returns the number of its sources.
  int64_t TakeNext() {
    const int64_t support = std::exchange(next_support_, 0);
    FillNext();
    return support;
  }

  void FillNext() {
    if (!HasRest()) return;
    const auto& first = rest_->entries().front();
    next_time_ = first.time;
    next_support_ = first.count;
    rest_->PopFront();
  }

  bool HasRest() const { return rest_ != nullptr && !rest_->empty(); }
  SortedCounts<T>& Rest() {
    if (rest_ == nullptr) rest_ = std::make_unique<SortedCounts<T>>();
    return *rest_;
  }

  // The least time with a source, and the number of its sources; valid if support_ is positive.
  // While the location waits, the least of the times counted since, and no other time is less.
  T time_{};
  int64_t support_ = 0;
  // The least other time, valid if next_support_ is positive. A third time is rare.
  T next_time_{};
  int64_t next_support_ = 0;
  std::unique_ptr<SortedCounts<T>> rest_;  // on the heap, so that a Place is one cache line
};

}  // namespace headway::internal

#endif  // HEADWAY_PROGRESS_IMPLIED_FRONTIER_H_
