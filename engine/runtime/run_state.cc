#include "engine/runtime/run_state.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "engine/runtime/failure_origin.h"
#include "engine/runtime/network.h"

namespace headway::internal {

RunState::RunState(const Topology& topology, RunOptions options, Fabric::Options rings)
    : topology_(topology),
      options_(std::move(options)),
      clock_(options_.clock != nullptr ? options_.clock : &real_clock_),
      // The network has an endpoint beside the workers.
      fabric_(worker_count() + (topology.process_count > 1 ? 1 : 0), rings),
      activation_gate_(std::make_shared<ActivationGate>(fabric_)),
      // Each process may have an equal part of the limit in flight, to whomever: so that what all
      // of them send to one, and what that one sends, together stay within it.
      flow_control_(worker_count(), options_.max_bytes_in_flight / topology.process_count),
      stop_listening_(std::in_place, options_.stop, [this] { fabric_.WakeAll(); }),
      stop_agreement_(worker_count(), topology.process_count),
      lack_of_memory_(absl::ResourceExhaustedError(absl::StrFormat(
          "process %d has no memory left: give it more, lower max_bytes_in_flight, which is %d, or "
          "keep less in the steps",
          topology.process, options_.max_bytes_in_flight))) {
  if (options_.monitor == nullptr) return;
  if (options_.monitor->TryBegin(worker_count(), options_.first_epoch, &flow_control_)) {
    monitor_ = options_.monitor;
  } else {
    Fail(absl::InvalidArgumentError(
        "RunOptions::monitor watches another run, which is still under way; use one for each"));
  }
}

RunState::~RunState() {
  CloseToThreads();
  if (monitor_ != nullptr) monitor_->End();
}

void RunState::CloseToThreads() {
  activation_gate_->Close();
  stop_listening_.reset();
}

void RunState::Fail(absl::Status status) {
  {
    std::lock_guard lock(mutex_);
    if (failed()) return;
    status_ = status;
    failed_.store(true, std::memory_order_release);
  }
  if (options_.log_hook != nullptr) {
    try {
      options_.log_hook(LogSeverity::kError, std::string(status.message()));
    } catch (...) {
      // A hook that throws has nobody to be reported to: it is the reporter.
    }
  }
  fabric_.WakeAll();
}

absl::Status RunState::status() const {
  return failed() ? WithoutMark(marked_status()) : absl::OkStatus();
}

absl::Status RunState::marked_status() const {
  if (!failed()) return absl::OkStatus();
  std::lock_guard lock(mutex_);
  return status_;
}

void RunState::RequestStop() {
  StopHandle stop = options_.stop;
  if (!stop.requested()) stop.RequestStop();
}

std::string RunState::Describe(int worker) const {
  if (topology_.process_count == 1) return absl::StrFormat("worker %d", worker);
  const int process = topology_.ProcessOf(worker);
  if (process != topology_.process && network_ != nullptr) {
    return absl::StrFormat("worker %d of %s", worker, network_->Describe(process));
  }
  return absl::StrFormat("worker %d of process %d", worker, process);
}

std::string RunState::DescribeEndpoint(int index) const {
  if (index < worker_count()) return Describe(topology_.first_worker() + index);
  if (topology_.process_count == 2) return network_->Describe(1 - topology_.process);
  return "one of the other processes";
}

std::shared_ptr<ChannelCredits> RunState::CreditsOf(uint32_t dataflow, uint32_t channel) {
  std::lock_guard lock(mutex_);
  SharedCredits& shared = credits_[{dataflow, channel}];
  if (shared.credits == nullptr) shared.credits = std::make_shared<ChannelCredits>(worker_count());
  std::shared_ptr<ChannelCredits> credits = shared.credits;
  if (++shared.given_count == worker_count()) credits_.erase({dataflow, channel});
  return credits;
}

absl::Status RunState::CheckSameGraph(uint32_t dataflow, const std::string& builder,
                                      const std::vector<std::string>& steps) {
  std::lock_guard lock(mutex_);
  BuiltGraph& graph = graphs_[dataflow];
  if (graph.built_count++ == 0) {
    graph.first_builder = builder;
    graph.steps = steps;
  }
  absl::Status status;
  for (size_t i = 0; status.ok() && i < std::max(steps.size(), graph.steps.size()); ++i) {
    std::string mine = i < steps.size() ? steps[i] : "nothing";
    std::string theirs = i < graph.steps.size() ? graph.steps[i] : "nothing";
    if (mine != theirs) {
      status = absl::InvalidArgumentError(
          absl::StrFormat("workers build different dataflows: as step number %d %s has %s where %s "
                          "has %s; the function that builds a dataflow must do the same on every "
                          "worker",
                          i, builder, mine, graph.first_builder, theirs));
    }
  }
  if (status.ok() && ended_.has_value() && ended_->dataflow_count <= dataflow) {
    status = NotBuilt(ended_->worker, dataflow, builder);
  }
  const int builders = worker_count() + topology_.process_count - 1;
  if (graph.built_count == builders) graphs_.erase(dataflow);
  return status;
}

void RunState::EndBuilding(int worker, uint32_t dataflow_count) {
  absl::Status status;
  {
    std::lock_guard lock(mutex_);
    if (ended_.has_value() && ended_->dataflow_count <= dataflow_count) return;
    ended_ = {worker, dataflow_count};
    auto missing = graphs_.lower_bound(dataflow_count);
    if (missing != graphs_.end()) {
      status = NotBuilt(worker, missing->first, missing->second.first_builder);
    }
  }
  if (!status.ok()) Fail(status);
}

absl::Status RunState::NotBuilt(int worker, uint32_t dataflow, const std::string& builder) const {
  return absl::InvalidArgumentError(absl::StrFormat(
      "%s has ended without building dataflow number %d, which %s has built; every worker must "
      "build the same dataflows in the same order",
      Describe(worker), dataflow, builder));
}

}  // namespace headway::internal
