#ifndef HEADWAY_ENGINE_RUNTIME_RUN_STATE_H_
#define HEADWAY_ENGINE_RUNTIME_RUN_STATE_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "comm/local/fabric.h"
#include "comm/local/flow_control.h"
#include "comm/system/clock.h"
#include "comm/system/topology.h"
#include "engine/runtime/config.h"
#include "engine/runtime/run_monitor.h"
#include "engine/runtime/stop_agreement.h"

namespace headway::internal {

class Network;

// The way into a run for other threads. Open while the run lasts. Thread safe.
class ActivationGate {
 public:
  explicit ActivationGate(Fabric& fabric) : fabric_(&fabric) {}

  void Activate(int local_index, uint64_t token) {
    std::lock_guard lock(mutex_);
    if (fabric_ != nullptr) fabric_->Activate(local_index, token);
  }
  void Close() {
    std::lock_guard lock(mutex_);
    fabric_ = nullptr;
  }

 private:
  std::mutex mutex_;
  Fabric* fabric_;  // guarded by mutex_
};

// What the workers of one process share in a run: their connections, the limits, the first failure,
// the request to stop. Thread safe. Owned by the run's entry point; outlives its workers.
class RunState {
 public:
  // `rings` are the sizes of the connections; small ones are for tests.
  RunState(int worker_count, RunOptions options, Fabric::Options rings = {})
      : RunState(Topology{.workers_per_process = worker_count}, std::move(options), rings) {}
  // The part of a run that is in one process of several.
  RunState(const Topology& topology, RunOptions options, Fabric::Options rings = {});
  ~RunState();
  RunState(const RunState&) = delete;
  RunState& operator=(const RunState&) = delete;

  const RunOptions& options() const { return options_; }
  Clock& clock() const { return *clock_; }
  Fabric& fabric() { return fabric_; }
  const std::shared_ptr<ActivationGate>& activation_gate() const { return activation_gate_; }
  FlowControl& flow_control() { return flow_control_; }
  // Null if nobody watches the run.
  RunMonitor* monitor() const { return monitor_; }
  const Topology& topology() const { return topology_; }
  // Workers of this process.
  int worker_count() const { return topology_.workers_per_process; }
  // The connections to the other processes; null if there are none. Set before the workers start.
  Network* network() const { return network_; }
  void set_network(Network* network) { network_ = network; }

  // No other thread gets in from now on, to activate an operator or to ask for a stop, and none is
  // inside any more. Before what wakes the workers goes.
  void CloseToThreads();

  // "worker 5", or "worker 5 of process 2", with the address of another process.
  std::string Describe(int worker) const;
  // Who is behind an endpoint of the fabric: a worker of this process, or other processes.
  std::string DescribeEndpoint(int index) const;

  // The first failure wins and ends the run: every worker returns it from its next step.
  void Fail(absl::Status status);
  // The same, with a status that needs no memory.
  void FailForLackOfMemory() { Fail(lack_of_memory_); }
  bool failed() const { return failed_.load(std::memory_order_acquire); }
  // As a user sees it.
  absl::Status status() const;
  // The same with the mark of a loss (failure_origin.h), for who compares the ends of processes.
  absl::Status marked_status() const;

  bool stop_requested() const { return options_.stop.requested(); }
  void RequestStop();
  StopAgreement& stop_agreement() { return stop_agreement_; }

  // The byte credits of a channel, shared by the workers; made by whoever comes first.
  std::shared_ptr<ChannelCredits> CreditsOf(uint32_t dataflow, uint32_t channel);

  // Checks that every worker, and every other process, builds the same graph. Each entry of `steps`
  // describes one step; the first step that differs from what another builder built is an
  // InvalidArgument error. `builder` is a worker's or a process's description.
  absl::Status CheckSameGraph(uint32_t dataflow, const std::string& builder,
                              const std::vector<std::string>& steps);

  // A worker that has built `dataflow_count` dataflows builds no more. The run fails when another
  // one has built, or builds later, a dataflow that this one has not.
  void EndBuilding(int worker, uint32_t dataflow_count);

 private:
  absl::Status NotBuilt(int worker, uint32_t dataflow, const std::string& builder) const;

  const Topology topology_;
  const RunOptions options_;
  RealClock real_clock_;
  Clock* const clock_;
  Fabric fabric_;
  const std::shared_ptr<ActivationGate> activation_gate_;
  FlowControl flow_control_;
  std::optional<StopListener> stop_listening_;
  StopAgreement stop_agreement_;
  const absl::Status lack_of_memory_;
  Network* network_ = nullptr;
  RunMonitor* monitor_ = nullptr;
  std::atomic<bool> failed_{false};

  mutable std::mutex mutex_;  // guards what follows
  absl::Status status_;       // with its mark
  struct SharedCredits {
    std::shared_ptr<ChannelCredits> credits;
    int given_count = 0;
  };
  std::map<std::pair<uint32_t, uint32_t>, SharedCredits>
      credits_;  // until every worker has its own
  struct BuiltGraph {
    int built_count = 0;
    std::string first_builder;
    std::vector<std::string> steps;
  };
  std::map<uint32_t, BuiltGraph> graphs_;  // until every worker has built it
  struct Ended {
    int worker;
    uint32_t dataflow_count;
  };
  std::optional<Ended> ended_;  // the worker that ended with the fewest dataflows
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_RUNTIME_RUN_STATE_H_
