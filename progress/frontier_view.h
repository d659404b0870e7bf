#ifndef HEADWAY_PROGRESS_FRONTIER_VIEW_H_
#define HEADWAY_PROGRESS_FRONTIER_VIEW_H_

#include <cstdint>
#include <span>

#include "progress/antichain.h"
#include "progress/scope_graph.h"
#include "progress/timestamp.h"

namespace headway {

// The implied frontier of one location: the times that may still appear there. A small value that
// always reads the current state. It must not outlive its Tracker. Spans from elements() are valid
// until the next Propagate.
template <Timestamp T>
class FrontierView {
 public:
  FrontierView(const internal::ScopeGraph<T>* graph, uint32_t index)
      : graph_(graph), index_(index) {}

  // Returns true iff some element is less than `time`, and not equal to it.
  bool LessThan(const T& time) const { return internal::AnyLessThan(elements(), time); }
  // Returns true iff `time` may still appear.
  bool LessEqual(const T& time) const { return internal::AnyLessEqual(elements(), time); }
  // Returns true iff no time may still appear.
  bool empty() const { return elements().empty(); }
  std::span<const T> elements() const { return (*graph_)[index_].implied.elements(); }

 private:
  const internal::ScopeGraph<T>* graph_;
  uint32_t index_;
};

}  // namespace headway

#endif  // HEADWAY_PROGRESS_FRONTIER_VIEW_H_
