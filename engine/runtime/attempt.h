#ifndef HEADWAY_ENGINE_RUNTIME_ATTEMPT_H_
#define HEADWAY_ENGINE_RUNTIME_ATTEMPT_H_

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "comm/local/fabric.h"
#include "comm/local/flow_control.h"
#include "engine/runtime/activation_gate.h"
#include "engine/runtime/channel_credit_table.h"
#include "engine/runtime/credit_standstill.h"
#include "engine/runtime/failure.h"
#include "engine/runtime/graph_comparison.h"
#include "engine/runtime/run_context.h"
#include "engine/runtime/stall_board.h"

namespace headway::internal {

class Network;
class Recovery;

// Where the dataflows of an attempt begin.
struct ResumePoint {
  Recovery* recovery = nullptr;  // null: the run has none. Set before the workers start
  // The first epoch of the dataflows that are built from now on: that of the options, until the
  // workers know where to resume. Every worker sets the same one.
  std::atomic<Epoch> first_epoch = 0;
  std::string store_id = {};  // of the recovery store; set with the first epoch
  uint64_t generation = 0;    // of the run in the store; set with the first epoch
};

// One execution of a run in this process, from its start to its end or first failure: the parts
// that its workers share. Nothing here outlives a failure.
//
// Thread safe. Owned by the entry point; outlives its workers and its network.
class Attempt {
 public:
  // `run` outlives the attempt. `rings` are the sizes of the rings between workers; tests make them
  // small.
  explicit Attempt(RunContext& run, const Fabric::Options& rings = {});
  ~Attempt();
  Attempt(const Attempt&) = delete;
  Attempt& operator=(const Attempt&) = delete;

  RunContext& run() const { return run_; }
  Fabric& fabric() { return fabric_; }
  FlowControl& flow_control() { return flow_control_; }
  CreditStandstill& credit_standstill() { return credit_standstill_; }
  ChannelCreditTable& channel_credits() { return channel_credits_; }
  GraphComparison& graph_comparison() { return graph_comparison_; }
  StallBoard& stall_board() { return stall_board_; }
  const std::shared_ptr<ActivationGate>& activation_gate() const { return activation_gate_; }

  // The first failure of any worker, or of the network, ends the attempt: every worker returns it
  // from its next step.
  Failure& failure() { return failure_; }
  const Failure& failure() const { return failure_; }

  // The connections to the other processes; null if there are none. Set before the workers start.
  Network* network() const { return network_; }
  // `process_names` are the names of all processes in messages.
  void set_network(Network* network, std::vector<std::string> process_names) {
    network_ = network;
    process_names_ = std::move(process_names);
  }

  ResumePoint& resume_point() { return resume_point_; }

  // A worker of this process has ended its program. Wakes the others if it was the last.
  void EndProgram();
  // Returns true while some worker of this process has not ended its program. Until then all others
  // receive, since its batches for them hold credit.
  bool HasProgramsUnderWay() const { return programs_.load(std::memory_order_acquire) > 0; }

  // Closes the activation gate and stops listening for a stop. No other thread is inside either
  // when this returns. Call it before the objects go that other threads would wake.
  void CloseToThreads();

  // "worker 5", or "worker 5 of process 2", with the address of another process.
  std::string Describe(int worker) const;
  // "process 2 (host:2103)".
  std::string DescribeProcess(int process) const;
  // Describes the owner of an endpoint of the fabric: a worker of this process, or other processes.
  std::string DescribeEndpoint(int index) const;

 private:
  RunContext& run_;
  Fabric fabric_;
  Failure failure_;
  FlowControl flow_control_;
  CreditStandstill credit_standstill_;
  ChannelCreditTable channel_credits_;
  GraphComparison graph_comparison_;
  StallBoard stall_board_;
  Network* network_ = nullptr;
  ResumePoint resume_point_;
  std::vector<std::string> process_names_;  // empty until there is a network
  std::atomic<int> programs_;               // of workers of this process, not ended yet
  const std::shared_ptr<ActivationGate> activation_gate_;
  std::optional<StopListener> stop_listener_;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_RUNTIME_ATTEMPT_H_
