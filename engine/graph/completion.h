#ifndef HEADWAY_ENGINE_GRAPH_COMPLETION_H_
#define HEADWAY_ENGINE_GRAPH_COMPLETION_H_

#include <optional>

#include "progress/timestamp.h"
#include "progress/tracker.h"

namespace headway::internal {

// The end of a dataflow: one location of the root scope, to which every place where records leave
// the dataflow is linked. Its frontier says which epochs are complete in the whole dataflow, on all
// workers. Only dataflows with sources link and watch it.
class Completion {
 public:
  explicit Completion(Tracker& tracker);

  ScopeTracker<Epoch>& root() const { return root_; }
  LocationId location() const { return location_; }
  // Whether the dataflow has sources, so that the frontier is computed.
  bool is_watched() const { return watched_; }
  void Watch();

  // The epochs that are not complete yet. REQUIRES: is_watched().
  FrontierView<Epoch> frontier() const { return root_.frontier(location_); }

  // A second location, behind the commits of a run with recovery: its frontier says which epochs
  // are published. No path leads from it to the first one. REQUIRES: called once.
  LocationId AddPublication();
  // Whether all epochs before kStopEpoch are complete, and published. Without sources nothing says
  // so, and it is true.
  bool HasReachedStop() const;

 private:
  ScopeTracker<Epoch>& root_;
  const LocationId location_;
  std::optional<LocationId> publication_;
  bool watched_ = false;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_GRAPH_COMPLETION_H_
