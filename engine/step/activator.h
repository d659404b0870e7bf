#ifndef HEADWAY_ENGINE_STEP_ACTIVATOR_H_
#define HEADWAY_ENGINE_STEP_ACTIVATOR_H_

#include <cstdint>
#include <limits>
#include <memory>
#include <utility>

#include "absl/time/time.h"
#include "engine/graph/graph.h"
#include "engine/runtime/activation_gate.h"

namespace headway {

// Activates an operator from any thread: for operators that wait for an event outside of the
// dataflow. Copies activate the same operator. Several activations before the operator runs count
// as one. Without effect once the dataflow or the run is over, and when default-constructed or
// moved from. Thread safe.
class ThreadActivator {
 public:
  ThreadActivator() = default;

  void Activate() const {
    if (gate_ != nullptr) gate_->Activate(local_index_, token_);
  }

 private:
  friend class Activator;
  ThreadActivator(std::shared_ptr<internal::ActivationGate> gate, int local_index, uint64_t token)
      : gate_(std::move(gate)), local_index_(local_index), token_(token) {}

  std::shared_ptr<internal::ActivationGate> gate_;
  int local_index_ = 0;  // of the worker in its process
  uint64_t token_ = 0;
};

// Schedules an operator without a batch or a change of a frontier. Made by
// OperatorBuilder::activator(), most often for the operator's own logic. Copies activate the same
// operator. Belongs to its worker's thread; without effect once the dataflow is gone. Source:
// timely dataflow.
class Activator {
 public:
  // Made by OperatorBuilder.
  Activator(internal::Graph& graph, internal::Node& node)
      : state_(std::make_shared<State>(State{&graph, &node})) {
    graph.objects().AtEnd([state = state_] { state->graph = nullptr; });
  }
  // Moves copy: an activator always has a state.
  Activator(const Activator&) = default;
  Activator& operator=(const Activator&) = default;

  // The operator runs in this step of the worker, or in the next.
  void Activate() const {
    if (state_->graph != nullptr) state_->graph->queue().Activate(*state_->node);
  }

  // The operator runs once `delay` of the run's clock has passed. Two calls are two activations.
  void ActivateAfter(absl::Duration delay) const {
    if (state_->graph == nullptr || delay == absl::InfiniteDuration()) return;
    const int64_t now = state_->graph->worker().NowNanos();
    const int64_t nanos = absl::ToInt64Nanoseconds(delay);
    constexpr int64_t kLast = std::numeric_limits<int64_t>::max();
    state_->graph->queue().ActivateAt(*state_->node, nanos > kLast - now ? kLast : now + nanos);
  }

  // Activates the operator from other threads.
  ThreadActivator thread_activator() const {
    if (state_->graph == nullptr) return ThreadActivator();
    internal::WorkerContext& worker = state_->graph->worker();
    return ThreadActivator(worker.attempt().activation_gate(), worker.local_index(),
                           uint64_t{state_->graph->id()} << 32 | state_->node->index());
  }

 private:
  struct State {
    internal::Graph* graph;  // null once the dataflow is gone
    internal::Node* node;
  };
  std::shared_ptr<State> state_;
};

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_ACTIVATOR_H_
