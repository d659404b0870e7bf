#ifndef HEADWAY_ENGINE_GRAPH_CREDIT_GATE_H_
#define HEADWAY_ENGINE_GRAPH_CREDIT_GATE_H_

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "engine/graph/node.h"
#include "engine/graph/node_cycles.h"
#include "engine/graph/run_queue.h"
#include "engine/graph/step_errors.h"
#include "engine/runtime/worker_context.h"

namespace headway::internal {

// Keeps the memory of a dataflow bounded: tells nodes and transforms whether they may send, and
// keeps those that wait for credit. Each list holds an object at most once.
//
// Belongs to its graph and the worker's thread.
class CreditGate {
 public:
  CreditGate(WorkerContext& worker, StepErrors& errors, RunQueue& queue)
      : worker_(worker), errors_(errors), queue_(queue) {}

  // Returns true if the port may send more. A port in a cycle needs no credit for the batches that
  // stay in the cycle, until these exceed the limit; then the run fails with ResourceExhausted.
  bool HasCredit(OutputPortBase& port) {
    return port.hold_count == 0 && HasCreditApartFromHolds(port);
  }
  // The same for a port that the host feeds. If there is no credit, the worker wakes for it: the
  // host may sleep in StepOrPark until there is some.
  bool HostHasCredit(OutputPortBase& port);
  // Returns true if a transform that multiplies records may continue to send through the port:
  // there is credit, and no transform downstream of it has stopped.
  bool MayContinue(OutputPortBase& port, const Resumable& transform);

  // Keeps a node without credit, to be run again when there may be some.
  void Await(Node& node) {
    node.active = true;
    blocked_.push_back(&node);
    waits_ = true;
  }
  // Keeps a node that has run and left batches in its inputs without taking any, to be run again in
  // the next step: it may wait for something that no one announces. It is no work done.
  void AwaitReading(Node& node) {
    node.active = true;
    leaving_unread_.push_back(&node);
    waits_ = true;
  }
  // Moves the nodes that wait to the run queue.
  void Retry() {
    if (!waits_) return;
    queue_.Append(blocked_);
    queue_.Append(leaving_unread_);
    blocked_.clear();
    leaving_unread_.clear();
  }
  // The number of nodes that wait, of either kind.
  size_t waiting_count() const { return blocked_.size() + leaving_unread_.size(); }
  bool IsBlocked(const Node& node) const;
  const std::vector<Node*>& leaving_unread() const { return leaving_unread_; }

  // Gives a transform its place in the order of resumption. Called in build order.
  void Register(Resumable& transform) { transform.build_index = resumable_count_++; }
  // Keeps a transform that stopped within a batch; Resume continues it.
  void AddStalled(Resumable& transform);
  // Begins a step: lets the transforms that stopped continue, downstream first. Returns true if any
  // did. REQUIRES: !empty().
  bool BeginStep();
  // Ends a step. REQUIRES: !empty().
  void EndStep();

  // Returns true if nothing waits for credit, except perhaps since the step under way began.
  bool empty() const { return !waits_; }
  // Returns true if something that waits can continue now: the worker does not park then.
  bool MayContinueAny() const;

  // The cycles of the graph. Found when its build ends.
  NodeCycles& cycles() { return cycles_; }

 private:
  bool HasCreditApartFromHolds(OutputPortBase& port) {
    return worker_.PoolHasRoom() || HasCreditWithoutRoom(port);
  }
  // The same while the shared pool is full.
  bool HasCreditWithoutRoom(OutputPortBase& port);
  static bool HasExclusiveCredit(const OutputPortBase& port);
  // Returns true if a transform downstream of `transform` has stopped in a batch of the port.
  bool IsStalledBehind(const OutputPortBase& port, const Resumable& transform) const;
  void CheckCycle(const OutputPortBase& port);
  bool Resume();

  WorkerContext& worker_;
  StepErrors& errors_;
  RunQueue& queue_;
  NodeCycles cycles_;
  std::vector<Node*> blocked_;
  std::vector<Node*> leaving_unread_;
  std::vector<Resumable*> stalled_;  // downstream first
  uint32_t resumable_count_ = 0;
  // Ports for which the host asked in vain: since the last step began, and before that.
  std::vector<OutputPortBase*> asked_;
  std::vector<OutputPortBase*> asked_before_;
  bool waits_ = false;  // a list is not empty, or was not when the step began
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_GRAPH_CREDIT_GATE_H_
