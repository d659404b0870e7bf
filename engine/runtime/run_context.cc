#include "engine/runtime/run_context.h"

#include <utility>

#include "engine/runtime/run_monitor.h"

namespace headway::internal {

namespace {

// A snapshot of an epoch has nothing of later ones.
RunOptions WithEpochOrder(RunOptions options) {
  if (options.recovery_config.has_value()) options.apply_in_epoch_order = true;
  return options;
}

}  // namespace

RunContext::RunContext(const Topology& topology, RunOptions options)
    : topology_(topology),
      options_(WithEpochOrder(std::move(options))),
      clock_(options_.clock != nullptr ? options_.clock : &real_clock_) {
  RunMonitor* const monitor = options_.monitor;
  if (monitor == nullptr) return;
  if (monitor->TryBegin(topology_.workers_per_process, options_.first_epoch)) monitor_ = monitor;
}

RunContext::~RunContext() {
  if (monitor_ != nullptr) monitor_->End();
}

void RunContext::RequestStop() {
  StopHandle stop = options_.stop;
  if (!stop.requested()) stop.RequestStop();
}

}  // namespace headway::internal
