#ifndef HEADWAY_ENGINE_STEP_STEP_CONTEXT_H_
#define HEADWAY_ENGINE_STEP_STEP_CONTEXT_H_

#include <string>

#include "comm/system/clock.h"
#include "engine/graph/graph.h"
#include "engine/step/activator.h"

namespace headway {

// The place of a step, source or sink in its run. Made by the engine on each worker, while the
// dataflow is built. Copyable; a copy may outlive the call that received it, and ends with the run.
struct StepContext {
  int worker_index = 0;  // 0 to worker_count - 1
  int worker_count = 1;  // of the whole run, over all processes
  // Among the workers of this process, from 0. The worker with 0 owns the resources that a process
  // has once, such as a port.
  int local_worker_index = 0;
  std::string step_id = {};  // full: with the ids of the steps that it is part of
  Clock* clock = nullptr;    // of the run, and never null in one
  // The id of the run's recovery store, the same in all runs with it; empty: it has none. A sink
  // that marks its work with the id knows it again although nothing was committed.
  std::string store_id = {};
  // Counts the starts of runs with the recovery store, restarts included; 0: there is no store. A
  // sink that marks its work with it knows a lost process of an earlier start, which may still be
  // there and write.
  uint64_t generation = 0;
  // Wakes the worker and runs the step, from any thread. A source that is woken is polled though
  // its idle time is not over, a sink is asked again for the flush that is pending.
  ThreadActivator activator = {};
};

using SourceContext = StepContext;
using SinkContext = StepContext;

namespace internal {

inline StepContext ContextOf(Graph& graph, Node& node) {
  WorkerContext& worker = graph.worker();
  return {.worker_index = worker.index(),
          .worker_count = worker.count(),
          .local_worker_index = worker.local_index(),
          .step_id = node.step_id(),
          .clock = &worker.run().clock(),
          .store_id = worker.attempt().resume_point().store_id,
          .generation = worker.attempt().resume_point().generation,
          .activator = Activator(graph, node).thread_activator()};
}

}  // namespace internal

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_STEP_CONTEXT_H_
