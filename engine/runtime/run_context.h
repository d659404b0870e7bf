#ifndef HEADWAY_ENGINE_RUNTIME_RUN_CONTEXT_H_
#define HEADWAY_ENGINE_RUNTIME_RUN_CONTEXT_H_

#include <utility>

#include "comm/system/clock.h"
#include "comm/system/topology.h"
#include "engine/runtime/config.h"

namespace headway {
class RunMonitor;
}  // namespace headway

namespace headway::internal {

// The options of an attempt of a run in this process, with its place in the cluster, its clock, its
// stop and its monitor. The Attempt (attempt.h) has the state. A restart makes both anew, from the
// same options and RunIdentity.
//
// Thread safe. Owned by RunProcess; outlives the Attempt.
class RunContext {
 public:
  RunContext(const Topology& topology, RunOptions options);
  // A run that is in this process alone.
  RunContext(int worker_count, RunOptions options)
      : RunContext(Topology{.workers_per_process = worker_count}, std::move(options)) {}
  ~RunContext();
  RunContext(const RunContext&) = delete;
  RunContext& operator=(const RunContext&) = delete;

  const Topology& topology() const { return topology_; }
  const RunOptions& options() const { return options_; }
  Clock& clock() const { return *clock_; }

  bool stop_requested() const { return options_.stop.requested(); }
  // Requests the stop on behalf of another process.
  void RequestStop();

  // Null if the run has none, or if it watches another run.
  RunMonitor* monitor() const { return monitor_; }

 private:
  const Topology topology_;
  const RunOptions options_;
  RealClock real_clock_;
  Clock* const clock_;
  RunMonitor* monitor_ = nullptr;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_RUNTIME_RUN_CONTEXT_H_
