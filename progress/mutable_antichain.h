#ifndef HEADWAY_PROGRESS_MUTABLE_ANTICHAIN_H_
#define HEADWAY_PROGRESS_MUTABLE_ANTICHAIN_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "progress/antichain.h"
#include "progress/sorted_counts.h"
#include "progress/timestamp.h"

namespace headway {

namespace internal {

// Adds to `frontier` the minimal times of `entries` that have a positive count and that `vanished`
// elements were less than or equal to. The other minimal times are in `frontier`. `entries` ascend
// by TotalLess.
template <class T, class Entry>
void AddUncovered(std::span<const T> vanished, std::span<const Entry> entries,
                  Antichain<T>* frontier) {
  // Compares each entry with the vanished elements or with the frontier, whichever are fewer.
  const bool all = vanished.size() >= frontier->elements().size();
  for (const Entry& entry : entries) {
    if (entry.count > 0 && (all || AnyLessEqual(vanished, entry.time)))
      frontier->Insert(entry.time);
  }
}

}  // namespace internal

// A multiset of times and its frontier: the minimal times with a positive count. A count is
// negative while a consumer's round has overtaken the producer's. A time with a negative count is
// not part of the frontier.
//
// Costs: O(1) for totally ordered times that arrive in ascending order and leave from the front.
// For partially ordered times, O(frontier) if a time joins the frontier. If elements of the
// frontier have vanished, the next look at it costs O(size), times the smaller of their number and
// the frontier's size. Does not allocate for up to two times. Not thread safe, though const.
template <Timestamp T>
class MutableAntichain {
 public:
  using Entry = typename internal::SortedCounts<T>::Entry;

  // Adds `delta`, which is not zero, to the count of `time`; returns the count.
  int64_t Update(const T& time, int64_t delta) {
    const int64_t count = counts_.Add(time, delta);
    if constexpr (!Traits::kTotallyOrdered) {
      const bool is_positive = count > 0;
      const bool was_positive = count - delta > 0;
      if (is_positive && !was_positive) {
        frontier_.Insert(time);
      } else if (was_positive && !is_positive && frontier_.Remove(time)) {
        vanished_.push_back(time);
      }
    }
    return count;
  }

  // Replaces the only time, `from` with count 1, by `to`. Returns false, and does nothing, if the
  // set is different. For totally ordered times.
  bool MoveOnly(const T& from, const T& to) {
    static_assert(Traits::kTotallyOrdered, "other frontiers need storage");
    return counts_.ReplaceOnly({from, 1}, {to, 1});
  }

  // The minimal times with a positive count, ascending by TotalLess. Valid until the next Update.
  std::span<const T> frontier() const {
    if constexpr (Traits::kTotallyOrdered) {
      for (const Entry& entry : counts_.entries()) {
        if (entry.count > 0) return {&entry.time, 1};
      }
      return {};
    } else {
      return antichain().elements();
    }
  }
  // The same, for partially ordered times.
  const Antichain<T>& antichain() const {
    if (!vanished_.empty()) Uncover();
    return frontier_;
  }

  // Returns true iff some frontier element is less than `time`, and not equal to it.
  bool LessThan(const T& time) const { return internal::AnyLessThan(frontier(), time); }

  // Returns true iff some frontier element is less than or equal to `time`.
  bool LessEqual(const T& time) const { return internal::AnyLessEqual(frontier(), time); }

  int64_t Count(const T& time) const { return counts_.Count(time); }

  // Returns true iff every count is zero. An empty frontier is not enough.
  bool empty() const { return counts_.empty(); }

  // The times with a count other than zero, ascending by TotalLess. Valid until the next Update.
  std::span<const Entry> entries() const { return counts_.entries(); }

 private:
  using Traits = TimestampTraits<T>;
  struct Nothing {};
  template <class U>
  using IfPartial = std::conditional_t<Traits::kTotallyOrdered, Nothing, U>;

  // Inserts the times that only vanished elements were less than.
  [[gnu::noinline]] void Uncover() const {
    if constexpr (!Traits::kTotallyOrdered) {
      internal::AddUncovered(vanished_.span(), counts_.entries(), &frontier_);
      vanished_.clear();
    }
  }

  internal::SortedCounts<T> counts_;
  // The frontier of totally ordered times is the first positive entry, so it needs no storage.
  // Other times that vanish together are made up for at once, when the frontier is asked for.
  [[no_unique_address]] mutable IfPartial<Antichain<T>> frontier_;
  [[no_unique_address]] mutable IfPartial<internal::InlineVector<T, 2>> vanished_;
};

}  // namespace headway

#endif  // HEADWAY_PROGRESS_MUTABLE_ANTICHAIN_H_
