#ifndef HEADWAY_ENGINE_GRAPH_RUN_QUEUE_H_
#define HEADWAY_ENGINE_GRAPH_RUN_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/graph/node.h"
#include "engine/runtime/worker_context.h"

namespace headway::internal {

class Graph;

// The nodes of a graph that are scheduled to run, and whether the worker steps the graph at all.
// A node is queued at most once, so the queue is bounded by the number of nodes.
//
// Belongs to its graph and the worker's thread.
class RunQueue {
 public:
  RunQueue(Graph& graph, WorkerContext& worker, uint32_t graph_id)
      : graph_(graph), worker_(worker), graph_id_(graph_id) {}

  // Schedules a node that is not queued yet. The node runs in this step of the worker or the next.
  void Activate(Node& node) {
    if (node.active) return;
    node.active = true;
    nodes_.push_back(&node);
    MarkActive();
  }
  // Schedules the node for the time when the clock has reached `nanos`.
  void ActivateAt(Node& node, int64_t nanos) {
    worker_.timers().Add(nanos, graph_id_, node.index());
    worker_.WakeHost();
  }
  // Queues nodes that waited for credit. They count as active already.
  void Append(const std::vector<Node*>& nodes) {
    nodes_.insert(nodes_.end(), nodes.begin(), nodes.end());
  }

  // Puts the graph in the worker's list of graphs to step. Without effect before Open.
  void MarkActive() {
    if (phase_ == Phase::kIdle) {
      phase_ = Phase::kActive;
      worker_.active_graphs().push_back(&graph_);
    }
    // A graph in the list may have had nothing to do when the worker returned to its host.
    worker_.WakeHost();
  }
  // Lets the worker step the graph: its build is over.
  void Open() {
    phase_ = Phase::kIdle;
    at_rest_ = true;
    MarkActive();
  }
  // The worker has taken the graph from its list, and steps it until EndStep.
  void BeginStep() {
    phase_ = Phase::kIdle;
    at_rest_ = false;
  }
  void EndStep() { at_rest_ = true; }

  bool is_open() const { return phase_ != Phase::kBuilding; }
  // Returns true if the graph is built and is not being stepped. Then the host may feed it.
  bool at_rest() const { return at_rest_; }

  bool empty() const { return nodes_.empty(); }
  size_t size() const { return nodes_.size(); }
  Node& operator[](size_t i) const { return *nodes_[i]; }
  // Drops the first `count` nodes, which have run.
  void PopFront(size_t count) {
    if (count == nodes_.size()) {
      nodes_.clear();
    } else {
      nodes_.erase(nodes_.begin(), nodes_.begin() + static_cast<ptrdiff_t>(count));
    }
  }

 private:
  enum class Phase : uint8_t { kBuilding, kIdle, kActive };

  Graph& graph_;
  WorkerContext& worker_;
  const uint32_t graph_id_;
  Phase phase_ = Phase::kBuilding;
  bool at_rest_ = false;
  std::vector<Node*> nodes_;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_GRAPH_RUN_QUEUE_H_
