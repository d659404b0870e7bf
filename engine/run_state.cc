#include "headway/engine/run_state.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"

namespace headway::internal {

RunState::RunState(int worker_count, RunOptions options, Fabric::Options rings)
    : worker_count_(worker_count),
      options_(std::move(options)),
      clock_(options_.clock != nullptr ? options_.clock : &real_clock_),
      fabric_(worker_count, rings),
      activation_gate_(std::make_shared<ActivationGate>(fabric_)),
      flow_control_(worker_count, options_.max_bytes_in_flight),
      stop_listening_(options_.stop, [this] { fabric_.WakeAll(); }) {}

RunState::~RunState() { activation_gate_->Close(); }

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
  if (!failed()) return absl::OkStatus();
  std::lock_guard lock(mutex_);
  return status_;
}

std::shared_ptr<ChannelCredits> RunState::CreditsOf(uint32_t dataflow, uint32_t channel) {
  std::lock_guard lock(mutex_);
  SharedCredits& shared = credits_[{dataflow, channel}];
  if (shared.credits == nullptr) shared.credits = std::make_shared<ChannelCredits>(worker_count_);
  std::shared_ptr<ChannelCredits> credits = shared.credits;
  if (++shared.given_count == worker_count_) credits_.erase({dataflow, channel});
  return credits;
}

absl::Status RunState::CheckSameGraph(uint32_t dataflow, int worker,
                                      const std::vector<std::string>& steps) {
  std::lock_guard lock(mutex_);
  BuiltGraph& graph = graphs_[dataflow];
  if (graph.built_count++ == 0) {
    graph.first_worker = worker;
    graph.steps = steps;
  }
  absl::Status status;
  for (size_t i = 0; status.ok() && i < std::max(steps.size(), graph.steps.size()); ++i) {
    std::string mine = i < steps.size() ? steps[i] : "nothing";
    std::string theirs = i < graph.steps.size() ? graph.steps[i] : "nothing";
    if (mine != theirs) {
      status = absl::InvalidArgumentError(
          absl::StrFormat("workers build different dataflows: as step number %d worker %d has %s "
                          "where worker %d has %s; the function "
                          "that builds a dataflow must do the same on every worker",
                          i, worker, mine, graph.first_worker, theirs));
    }
  }
  if (status.ok() && ended_.has_value() && ended_->dataflow_count <= dataflow) {
    status = NotBuilt(ended_->worker, dataflow, worker);
  }
  if (graph.built_count == worker_count_) graphs_.erase(dataflow);
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
      status = NotBuilt(worker, missing->first, missing->second.first_worker);
    }
  }
  if (!status.ok()) Fail(status);
}

absl::Status RunState::NotBuilt(int worker, uint32_t dataflow, int builder) {
  return absl::InvalidArgumentError(absl::StrFormat(
      "worker %d has ended without building dataflow number %d, which worker %d has built; every "
      "worker must build the same dataflows in the same order",
      worker, dataflow, builder));
}

}  // namespace headway::internal
