#include "engine/runtime/attempt.h"

#include <algorithm>
#include <variant>

#include "engine/runtime/run_monitor.h"
#include "format.h"

namespace headway::internal {
namespace {

absl::Status OutOfMemory(const RunContext& run) {
  return absl::ResourceExhaustedError(Format(
      "process %d is out of memory: give it more, lower max_bytes_in_flight (now %d), or keep less "
      "state in the steps",
      run.topology().process, run.options().max_bytes_in_flight));
}

// Sources may close a few more epochs by the clock, for which a step may wait, before nothing can
// happen any more.
int64_t StandstillNanos(const RunOptions& options) {
  constexpr int kEpochs = 3;
  absl::Duration patience = absl::Seconds(1);
  if (const auto* periodic = std::get_if<PeriodicEpochConfig>(&options.epoch_config)) {
    patience = std::max(patience, kEpochs * periodic->epoch_length);
  }
  return absl::ToInt64Nanoseconds(patience);
}

}  // namespace

Attempt::Attempt(RunContext& run, const Fabric::Options& rings)
    : run_(run),
      // The network has an endpoint beside those of the workers.
      fabric_(run.topology().workers_per_process + (run.topology().process_count > 1 ? 1 : 0),
              rings),
      failure_(OutOfMemory(run),
               [this](const absl::Status& status) {
                 const absl::string_view message = status.message();
                 Log(run_.options().log_hook, LogSeverity::kError,
                     {message.data(), message.size()});
                 fabric_.WakeAll();
               }),
      // Each process may have an equal part of the limit in flight, whoever receives it. So the
      // bytes that all processes send to one of them, and its own, together stay within the limit.
      flow_control_(run.topology().workers_per_process,
                    run.options().max_bytes_in_flight / run.topology().process_count),
      credit_standstill_(flow_control_, run.topology().workers_per_process,
                         StandstillNanos(run.options())),
      channel_credits_(run.topology().workers_per_process),
      graph_comparison_(run.topology().workers_per_process + run.topology().process_count - 1),
      stall_board_(fabric_, run.topology().workers_per_process),
      resume_point_{.first_epoch = run.options().first_epoch},
      programs_(run.topology().workers_per_process),
      activation_gate_(std::make_shared<ActivationGate>(fabric_)),
      stop_listener_(std::in_place, run.options().stop, [this] { fabric_.WakeAll(); }) {
  if (RunMonitor* monitor = run.monitor()) {
    monitor->BeginAttempt(&flow_control_, &stall_board_);
  } else if (run.options().monitor != nullptr) {
    failure_.Report(absl::InvalidArgumentError(
        "RunOptions::monitor watches another run that is still under way; give each run its own"));
  }
}

Attempt::~Attempt() {
  CloseToThreads();
  if (RunMonitor* monitor = run_.monitor()) monitor->EndAttempt();
}

void Attempt::EndProgram() {
  if (programs_.fetch_sub(1, std::memory_order_acq_rel) > 1) return;
  // An activation is not lost by a worker that is about to sleep. No dataflow has this number.
  for (int index = 0; index < run_.topology().workers_per_process; ++index) {
    fabric_.Activate(index, ~uint64_t{0});
  }
}

void Attempt::CloseToThreads() {
  activation_gate_->Close();
  stop_listener_.reset();
}

std::string Attempt::Describe(int worker) const {
  const Topology& topology = run_.topology();
  if (topology.process_count == 1) return Format("worker %d", worker);
  const int process = topology.ProcessOf(worker);
  if (process == topology.process) {
    return Format("worker %d of process %d", worker, process);
  }
  return Format("worker %d of %s", worker, DescribeProcess(process));
}

std::string Attempt::DescribeProcess(int process) const {
  if (process_names_.empty()) return Format("process %d", process);
  return process_names_[static_cast<size_t>(process)];
}

std::string Attempt::DescribeEndpoint(int index) const {
  const Topology& topology = run_.topology();
  if (index < topology.workers_per_process) return Describe(topology.first_worker() + index);
  if (topology.process_count == 2) return DescribeProcess(1 - topology.process);
  return "one of the other processes";
}

}  // namespace headway::internal
