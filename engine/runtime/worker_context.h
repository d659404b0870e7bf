#ifndef HEADWAY_ENGINE_RUNTIME_WORKER_CONTEXT_H_
#define HEADWAY_ENGINE_RUNTIME_WORKER_CONTEXT_H_

#include <cstdint>
#include <vector>

#include "comm/local/fabric.h"
#include "engine/runtime/attempt.h"

namespace headway::internal {

class Graph;
class RemoteSender;

// What a worker gives to its dataflows: its connections, the clock, and the lists by which they ask
// to be stepped. Belongs to the worker and its thread.
struct WorkerContext {
  int index;        // of this worker, 0 to count - 1
  int count;        // workers of the whole run
  int local_index;  // among the workers of its process
  RunContext& run;
  Attempt& attempt;
  Endpoint& endpoint;
  FlowControl::View credit;

  RemoteSender* remote;         // to the workers of other processes; null if there are none
  bool took_bytes = false;      // since it last looked whether others wait for credit
  uint64_t source_records = 0;  // that its sources have emitted

  std::vector<Graph*> active_graphs;  // each at most once

  struct Timer {
    int64_t nanos;
    uint32_t graph;
    uint32_t node;
    bool operator>(const Timer& other) const { return nanos > other.nanos; }
  };
  std::vector<Timer> timers;  // a min-heap

  int64_t NowNanos() { return run.clock().NowNanos(); }

  // Takes bytes out of the count of those in flight, and wakes workers that wait for room.
  void ReturnToPool(int64_t bytes) {
    attempt.flow_control().AddTaken(local_index, bytes);
    took_bytes = true;
    if (attempt.flow_control().TakeStarving()) endpoint.WakeAll();
  }
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_RUNTIME_WORKER_CONTEXT_H_
