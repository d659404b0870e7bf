#include "engine/runtime/run_monitor.h"

#include <algorithm>

namespace headway {

using internal::WorkerStatistics;

bool RunMonitor::TryBegin(int worker_count, Epoch first_epoch,
                          const internal::FlowControl* flow_control) {
  std::lock_guard lock(mutex_);
  if (flow_control_ != nullptr) return false;
  worker_count_ = worker_count;
  workers_ = std::make_unique<WorkerStatistics[]>(static_cast<size_t>(worker_count));
  for (int worker = 0; worker < worker_count; ++worker) {
    workers_[worker].epoch.store(first_epoch, std::memory_order_relaxed);
    workers_[worker].source_epoch.store(first_epoch, std::memory_order_relaxed);
  }
  flow_control_ = flow_control;
  last_.reset();
  return true;
}

void RunMonitor::End() {
  std::lock_guard lock(mutex_);
  last_ = LookLocked();
  flow_control_ = nullptr;
}

std::optional<RunStatistics> RunMonitor::Look() const {
  std::lock_guard lock(mutex_);
  return flow_control_ != nullptr ? LookLocked() : last_;
}

RunStatistics RunMonitor::LookLocked() const {
  RunStatistics statistics;
  Epoch epoch = WorkerStatistics::kNoEpoch;
  for (int index = 0; index < worker_count_; ++index) {
    const WorkerStatistics& worker = workers_[index];
    statistics.records += worker.records.load(std::memory_order_relaxed);
    // Each worker knows a lower bound; a late one may still be behind.
    epoch = std::min(epoch, worker.epoch.load(std::memory_order_relaxed));
    statistics.source_epoch =
        std::max(statistics.source_epoch, worker.source_epoch.load(std::memory_order_relaxed));
  }
  if (epoch != WorkerStatistics::kNoEpoch) statistics.epoch = epoch;
  statistics.bytes_in_flight = std::max<int64_t>(flow_control_->InFlight(), 0);
  return statistics;
}

}  // namespace headway
