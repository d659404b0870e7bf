#ifndef HEADWAY_ENGINE_STEP_ALARM_H_
#define HEADWAY_ENGINE_STEP_ALARM_H_

#include <cstdint>
#include <limits>
#include <vector>

#include "engine/graph/graph.h"

namespace headway::internal {

// The clock times at which a node wants to run. The graph's own timers cannot be cancelled, so a
// node that asked for a later time at each activation would pile them up; an alarm asks for a timer
// only if it precedes those that are set. The node may run early, and then sets its alarm again.
// Belongs to the node.
class Alarm {
 public:
  // The end of time: no alarm.
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

  Alarm(Graph& graph, Node& node) : graph_(graph), node_(node) {}

  // Activates the node at `nanos` or earlier. `now` is the clock's present time.
  void Set(int64_t now, int64_t nanos) {
    while (!set_.empty() && set_.back() <= now) set_.pop_back();
    if (nanos == kNever || (!set_.empty() && set_.back() <= nanos)) return;
    graph_.queue().ActivateAt(node_, nanos);
    set_.push_back(nanos);
  }

  // `now` + `nanos`, or kNever if the sum is out of range.
  static int64_t Later(int64_t now, int64_t nanos) {
    int64_t later;
    return __builtin_add_overflow(now, nanos, &later) ? kNever : later;
  }

 private:
  Graph& graph_;
  Node& node_;
  std::vector<int64_t> set_;  // the graph's timers for the node, latest first
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STEP_ALARM_H_
