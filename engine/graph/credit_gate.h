#ifndef HEADWAY_ENGINE_GRAPH_CREDIT_GATE_H_
#define HEADWAY_ENGINE_GRAPH_CREDIT_GATE_H_

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "engine/graph/node.h"
#include "engine/graph/run_queue.h"
#include "engine/graph/step_errors.h"
#include "engine/runtime/worker_context.h"

namespace headway::internal {

// Keeps the memory of a dataflow bounded: tells nodes and transforms whether they may send, and
// keeps those that wait for credit. Both lists hold an object at most once.
//
// Belongs to its graph and the worker's thread.
class CreditGate {
 public:
  CreditGate(WorkerContext& worker, StepErrors& errors, RunQueue& queue)
      : worker_(worker), errors_(errors), queue_(queue) {}

  // Returns true if the port may send more. A port in a cycle always may, until the cycle has
  // amplified past the limit; then the run fails with ResourceExhausted.
  bool HasCredit(OutputPortBase& port) {
    return port.hold_count == 0 && HasCreditApartFromHolds(port);
  }
  // Returns true if a transform that multiplies records may continue to send through the port:
  // there is credit, and no transform downstream of it has stopped.
  bool MayContinue(OutputPortBase& port, const Resumable& transform);

  // Keeps a node without credit, to be run again when there may be some.
  void Await(Node& node) {
    node.active = true;
    blocked_.push_back(&node);
  }
  // Moves the nodes that wait to the run queue.
  void Retry() {
    if (blocked_.empty()) return;
    queue_.Append(blocked_);
    blocked_.clear();
  }
  size_t blocked_count() const { return blocked_.size(); }

  // Gives a transform its place in the order of resumption. Called in build order.
  void Register(Resumable& transform) { transform.build_index = resumable_count_++; }
  // Keeps a transform that stopped within a batch; Resume continues it.
  void AddStalled(Resumable& transform);
  // Lets the transforms that stopped continue, downstream first. Returns true if any did.
  bool Resume();

  bool empty() const { return blocked_.empty() && stalled_.empty(); }

  // The channels of the graph, whose exclusive credit raises the limit of a cycle.
  void set_channel_count(size_t count) { channel_count_ = count; }

 private:
  bool HasCreditApartFromHolds(OutputPortBase& port) {
    return worker_.PoolHasRoom() || HasCreditWithoutRoom(port);
  }
  // The same while the shared pool is full.
  bool HasCreditWithoutRoom(OutputPortBase& port);
  void CheckCycle(const OutputPortBase& port);

  WorkerContext& worker_;
  StepErrors& errors_;
  RunQueue& queue_;
  size_t channel_count_ = 0;
  std::vector<Node*> blocked_;
  std::vector<Resumable*> stalled_;  // downstream first
  uint32_t resumable_count_ = 0;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_GRAPH_CREDIT_GATE_H_
