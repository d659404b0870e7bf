#ifndef HEADWAY_PROGRESS_IMPLIED_FRONTIER_H_
#define HEADWAY_PROGRESS_IMPLIED_FRONTIER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "check.h"
#include "progress/antichain.h"
#include "progress/sorted_counts.h"
#include "progress/timestamp.h"

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
    RemoveLater(time);
    return false;
  }

  void Drop(const T&) { HEADWAY_DCHECK(support_ == 0); }

  // Replaces a source of `from` by one of `to`, which is later. kUnclear, and nothing is done, if
  // what would take the place of the element may itself be about to lose its support. REQUIRES: not
  // waiting.
  enum class Moved { kElement, kOther, kUnclear };
  Moved Move(const T& from, const T& to) {
    if (support_ == 1 && next_support_ == 0 && from == time_) {
      time_ = to;
      return Moved::kElement;
    }
    return MoveAmongOthers(from, to);
  }

  // Uncounts a source of `from`. If that was the last one of the element, the least of the others
  // takes its place and is stored in `to`. kUnclear, and nothing is done, if there is no other.
  // REQUIRES: not waiting, and no other source is about to vanish.
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

  // Uncounts the last source of the element `from` if the least of the others is `to`, which
  // becomes the element. Returns whether it did. REQUIRES: not waiting.
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

  // Move, if `from` is not the only time that has a source, or has several.
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

  // The least time with a source, if support_ is positive, and the number of its sources. While the
  // location waits, it is the least of those counted since, and no other is less.
  T time_{};
  int64_t support_ = 0;
  // The least of the others, if next_support_ is positive; there is seldom a third.
  T next_time_{};
  int64_t next_support_ = 0;
  std::unique_ptr<SortedCounts<T>> rest_;  // apart, so that a location is one cache line
};

}  // namespace headway::internal

#endif  // HEADWAY_PROGRESS_IMPLIED_FRONTIER_H_
