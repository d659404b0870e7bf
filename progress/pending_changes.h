#ifndef HEADWAY_PROGRESS_PENDING_CHANGES_H_
#define HEADWAY_PROGRESS_PENDING_CHANGES_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "progress/change_batch.h"
#include "progress/scope_work.h"
#include "progress/timestamp.h"
#include "progress/work_list.h"

namespace headway::internal {

// The changes of outstanding times that a worker recorded in one scope since the last round.
// Not thread safe.
template <Timestamp T>
class PendingChanges {
 public:
  using Change = typename ChangeBatch<T>::Change;

  explicit PendingChanges(ScopeWork<WorkList<uint32_t>> listed) : listed_(std::move(listed)) {}

  void AddPlace() {
    places_.emplace_back();
    listed_.Reserve(places_.size());
  }

  // The changes of `index`, to record one more.
  ChangeBatch<T>& At(uint32_t index) {
    Pending& pending = places_[index];
    if (!pending.is_listed) {
      pending.is_listed = true;
      listed_.Add(index);
    }
    return pending.changes;
  }

  // Calls `take(index, changes)` with the net changes of each place that has some, and clears them.
  // Returns true iff there were any.
  template <class Take>
  bool Drain(Take&& take) {
    bool any = false;
    for (const uint32_t index : listed_.items()) {
      Pending& pending = places_[index];
      pending.is_listed = false;
      const std::span<const Change> changes = pending.changes.Net();
      if (!changes.empty()) {
        any = true;
        take(index, changes);
      }
      pending.changes.Clear();
    }
    listed_.Clear();
    return any;
  }

 private:
  struct Pending {
    ChangeBatch<T> changes;
    bool is_listed = false;
  };

  std::vector<Pending> places_;
  ScopeWork<WorkList<uint32_t>> listed_;  // places whose changes may not be empty
};

}  // namespace headway::internal

#endif  // HEADWAY_PROGRESS_PENDING_CHANGES_H_
