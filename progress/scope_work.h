#ifndef HEADWAY_PROGRESS_SCOPE_WORK_H_
#define HEADWAY_PROGRESS_SCOPE_WORK_H_

#include <cstddef>
#include <utility>

#include "progress/work_list.h"

namespace headway::internal {

class ScopeTrackerBase;

// The work of one kind in one scope. The first item also lists the scope among the tracker's scopes
// with work of this kind, so a tracker visits only scopes that have some. Items is a WorkList or a
// std::vector. Not thread safe.
template <class Items>
class ScopeWork {
 public:
  // Adds `scope` to `scopes` with its first item. The tracker removes it when the work is done.
  ScopeWork(ScopeTrackerBase* scope, WorkList<ScopeTrackerBase*>* scopes)
      : scope_(scope), scopes_(scopes) {}

  void Add(typename Items::value_type item) {
    if (items_.empty()) scopes_->push_back(scope_);
    items_.push_back(std::move(item));
  }
  void Clear() { items_.clear(); }

  // Makes room for `capacity` items in all.
  void Reserve(size_t capacity) { items_.Reserve(capacity); }

  const Items& items() const { return items_; }

 private:
  ScopeTrackerBase* const scope_;
  WorkList<ScopeTrackerBase*>* const scopes_;
  Items items_;
};

}  // namespace headway::internal

#endif  // HEADWAY_PROGRESS_SCOPE_WORK_H_
