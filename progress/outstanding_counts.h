#ifndef HEADWAY_PROGRESS_OUTSTANDING_COUNTS_H_
#define HEADWAY_PROGRESS_OUTSTANDING_COUNTS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "progress/antichain.h"
#include "progress/change_batch.h"
#include "progress/mutable_antichain.h"
#include "progress/scope_work.h"
#include "progress/timestamp.h"
#include "progress/work_list.h"

namespace headway::internal {

// The counts of outstanding times (capabilities and batches) at the places of one scope. Each place
// also has its *settled* frontier: its minimal outstanding times as of the last propagation, which
// are the sources that the place contributes itself. Not thread safe.
template <Timestamp T>
class OutstandingCounts {
 public:
  using Change = typename ChangeBatch<T>::Change;

  // Keeps the number of (location, time) pairs with a count other than zero in `total`, together
  // with other scopes.
  OutstandingCounts(ScopeWork<WorkList<uint32_t>> touched, int64_t* total)
      : touched_(std::move(touched)), total_(total) {}

  void AddPlace() {
    places_.emplace_back();
    touched_.Reserve(places_.size());
  }

  // Adds `delta`, which is not zero, to the count of `time` at `index`.
  void Add(uint32_t index, const T& time, int64_t delta) {
    Counts& counts = places_[index];
    const int64_t count = counts.outstanding.Update(time, delta);
    if (count == 0) {
      --*total_;
    } else if (count == delta) {
      ++*total_;
    }
    Touch(index, counts);
  }

  void AddAll(uint32_t index, std::span<const Change> changes) {
    if constexpr (TimestampTraits<T>::kTotallyOrdered) {
      // The most frequent case: the only capability of the place moves.
      if (changes.size() == 2 && changes[0].delta + changes[1].delta == 0) {
        const Change& from = changes[changes[0].delta < 0 ? 0 : 1];
        const Change& to = changes[changes[0].delta < 0 ? 1 : 0];
        Counts& counts = places_[index];
        if (to.delta == 1 && counts.outstanding.MoveOnly(from.time, to.time)) {
          Touch(index, counts);
          return;
        }
      }
    }
    for (const Change& change : changes) Add(index, change.time, change.delta);
  }

  // Places whose counts changed since they were settled.
  std::span<const uint32_t> touched() const { return touched_.items().span(); }

  // The minimal outstanding times of a place. Valid until its next change.
  std::span<const T> frontier(uint32_t index) const {
    return places_[index].outstanding.frontier();
  }

  // Its frontier when it was last settled.
  const Antichain<T>& settled(uint32_t index) const { return places_[index].settled; }

  // Settles all touched places, after a call of `propagate(index)` for each.
  template <class Propagate>
  void Settle(Propagate&& propagate) {
    for (const uint32_t index : touched_.items()) {
      propagate(index);
      Counts& counts = places_[index];
      counts.is_touched = false;
      if constexpr (TimestampTraits<T>::kTotallyOrdered) {
        counts.settled.Clear();
        for (const T& time : counts.outstanding.frontier()) counts.settled.Insert(time);
      } else {
        counts.settled = counts.outstanding.antichain();
      }
    }
    touched_.Clear();
  }

  // Calls `visit(index, time, count)` for every count other than zero.
  template <class Visit>
  void ForEach(Visit&& visit) const {
    for (uint32_t index = 0; index < places_.size(); ++index) {
      for (const auto& entry : places_[index].outstanding.entries()) {
        visit(index, entry.time, entry.count);
      }
    }
  }

 private:
  struct Counts {
    MutableAntichain<T> outstanding;
    Antichain<T> settled;
    bool is_touched = false;
  };

  [[gnu::always_inline]] void Touch(uint32_t index, Counts& counts) {
    if (counts.is_touched) return;
    counts.is_touched = true;
    touched_.Add(index);
  }

  std::vector<Counts> places_;
  ScopeWork<WorkList<uint32_t>> touched_;
  int64_t* const total_;
};

}  // namespace headway::internal

#endif  // HEADWAY_PROGRESS_OUTSTANDING_COUNTS_H_
