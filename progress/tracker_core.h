#ifndef HEADWAY_PROGRESS_TRACKER_CORE_H_
#define HEADWAY_PROGRESS_TRACKER_CORE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "progress/location_id.h"
#include "progress/work_list.h"

namespace headway::internal {

class ScopeTrackerBase;

// State that the scopes of one Tracker share.
struct TrackerCore {
  struct Location {
    ScopeTrackerBase* scope;
    uint32_t index;  // within the scope
  };
  // An edge of the flattened graph, for the check for cycles.
  struct Edge {
    static constexpr int kNotStrict = 1 << 20;
    LocationId from;
    LocationId to;
    int strict_depth;  // the shallowest coordinate that it advances, or kNotStrict
  };

  std::string Describe(LocationId location) const {
    return describe ? describe(location) : "location " + std::to_string(location);
  }

  // Makes room in the lists of scopes.
  void ReserveScopes(size_t count) {
    for (WorkList<ScopeTrackerBase*>* list :
         {&with_pending, &with_touched, &with_saved, &with_announcements, &with_late_sources}) {
      list->Reserve(count);
    }
  }

  std::vector<Location> locations;
  std::vector<Edge> edges;  // until Finish
  std::function<std::string(LocationId)> describe;
  bool finished = false;

  int64_t outstanding = 0;    // (location, time) pairs with a count other than zero
  uint64_t update_count = 0;  // implied frontiers recomputed
  bool promoting = false;     // in the second phase of a propagation

  // Scopes with work of a kind, each at most once. See ScopeWork.
  WorkList<ScopeTrackerBase*> with_pending;
  WorkList<ScopeTrackerBase*> with_touched;
  WorkList<ScopeTrackerBase*> with_saved;
  WorkList<ScopeTrackerBase*> with_announcements;
  WorkList<ScopeTrackerBase*> with_late_sources;

  std::vector<Location> waiting;  // locations that lost an element, in order of the losses
  WorkList<LocationId> changed;   // the result of the last propagation
};

}  // namespace headway::internal

#endif  // HEADWAY_PROGRESS_TRACKER_CORE_H_
