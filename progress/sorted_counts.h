#ifndef HEADWAY_PROGRESS_SORTED_COUNTS_H_
#define HEADWAY_PROGRESS_SORTED_COUNTS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "progress/inline_vector.h"
#include "progress/timestamp.h"

namespace headway::internal {

// A count for each time, sorted by TimestampTraits::TotalLess, without zeros. Counts may be
// negative.
//
// A sorted vector whose head moves. Times mostly arrive in ascending order and leave from the
// front: O(1). A change elsewhere moves the shorter side. Does not allocate for up to kInline
// times.
template <Timestamp T, uint32_t kInline = 2>
class SortedCounts {
 public:
  struct Entry {
    T time;
    int64_t count;
  };

  // Adds `delta`, which is not zero, to the count of `time`; returns the count.
  int64_t Add(const T& time, int64_t delta) {
    HEADWAY_DCHECK(delta != 0);
    if (empty()) {
      entries_.push_back({time, delta});
      return delta;
    }
    // The most frequent case: the first time, which is often the only one.
    if (Entry& first = entries_[head_]; first.time == time) {
      const int64_t count = first.count += delta;
      if (count == 0) PopFront();
      return count;
    }
    return AddBehindFirst(time, delta);
  }

  // Replaces the only entry `from` by `to`. Returns false, and does nothing, if it is not the only
  // entry.
  bool ReplaceOnly(const Entry& from, const Entry& to) {
    if (size() != 1) return false;
    Entry& only = entries_[head_];
    if (!(only.time == from.time) || only.count != from.count) return false;
    only = to;
    return true;
  }

  // Removes the first time. REQUIRES: !empty().
  void PopFront() {
    if (++head_ < entries_.size()) return;
    entries_.clear();
    head_ = 0;
  }

  int64_t Count(const T& time) const {
    if (empty()) return 0;
    const size_t index = Find(time);
    return index < entries_.size() && entries_[index].time == time ? entries_[index].count : 0;
  }

  bool empty() const { return head_ == entries_.size(); }
  size_t size() const { return entries_.size() - head_; }

  // Ascending by TotalLess. Valid until the next change.
  std::span<const Entry> entries() const { return entries_.span().subspan(head_); }

 private:
  using Traits = TimestampTraits<T>;

  // Not inline: rare, and it would make callers larger.
  [[gnu::noinline]] int64_t AddBehindFirst(const T& time, int64_t delta) {
    if (size() == 1) {  // the most frequent case, without a search and without moving memory
      const Entry first = entries_[head_];
      const Entry added{time, delta};
      const bool before = Traits::TotalLess(time, first.time);
      entries_.clear();
      entries_.push_back(before ? added : first);
      entries_.push_back(before ? first : added);
      head_ = 0;
      return delta;
    }
    const size_t index = Find(time);
    if (index < entries_.size() && entries_[index].time == time) {
      const int64_t count = entries_[index].count += delta;
      if (count == 0) EraseAt(index);
      return count;
    }
    InsertAt(index, {time, delta});
    return delta;
  }

  // The index of the first entry that is not before `time`. REQUIRES: !empty().
  size_t Find(const T& time) const {
    const Entry* const first = entries_.begin() + head_;
    const Entry* const last = entries_.end() - 1;
    if (Traits::TotalLess(last->time, time)) return entries_.size();
    if (!Traits::TotalLess(first->time, time)) return head_;
    const Entry* const found = std::lower_bound(
        first + 1, last, time,
        [](const Entry& entry, const T& t) { return Traits::TotalLess(entry.time, t); });
    return static_cast<size_t>(found - entries_.begin());
  }

  void EraseAt(size_t index) {
    if (index - head_ < entries_.size() - 1 - index) {
      entries_.Move(head_ + 1, head_, index - head_);
      ++head_;
    } else {
      entries_.Erase(index);
    }
  }

  void InsertAt(size_t index, const Entry& entry) {
    if (head_ > 0 && index - head_ <= entries_.size() - index) {
      entries_.Move(head_ - 1, head_, index - head_);
      --head_;
      entries_[index - 1] = entry;
      return;
    }
    if (entries_.size() == entries_.capacity() && size_t{head_} * 2 >= entries_.size()) {
      entries_.Erase(0, head_);  // at least half of the vector is free: amortized O(1)
      index -= head_;
      head_ = 0;
    }
    entries_.Insert(index, entry);
  }

  InlineVector<Entry, kInline> entries_;
  uint32_t head_ = 0;  // entries before it are removed; 0 if all are
};

}  // namespace headway::internal

#endif  // HEADWAY_PROGRESS_SORTED_COUNTS_H_
