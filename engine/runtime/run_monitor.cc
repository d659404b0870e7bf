#include "engine/runtime/run_monitor.h"

#include <algorithm>

#include "engine/runtime/stall_board.h"

namespace headway {

using internal::WorkerStatistics;

bool RunMonitor::TryBegin(int worker_count, Epoch first_epoch) {
  std::lock_guard lock(mutex_);
  if (has_run_) return false;
  worker_count_ = worker_count;
  workers_ = std::make_unique<WorkerStatistics[]>(static_cast<size_t>(worker_count));
  for (int worker = 0; worker < worker_count; ++worker) {
    workers_[worker].epoch.store(first_epoch, std::memory_order_relaxed);
    workers_[worker].source_epoch.store(first_epoch, std::memory_order_relaxed);
  }
  last_bytes_in_flight_ = 0;
  has_run_ = true;
  return true;
}

void RunMonitor::End() {
  std::lock_guard lock(mutex_);
  has_run_ = false;
}

void RunMonitor::BeginAttempt(const internal::FlowControl* flow_control,
                              const internal::StallBoard* stalls) {
  std::lock_guard lock(mutex_);
  flow_control_ = flow_control;
  stalls_ = stalls;
}

void RunMonitor::EndAttempt() {
  std::lock_guard lock(mutex_);
  last_bytes_in_flight_ = flow_control_->InFlight();
  flow_control_ = nullptr;
  stalls_ = nullptr;
}

std::optional<RunStatistics> RunMonitor::Look() const {
  std::lock_guard lock(mutex_);
  if (workers_ == nullptr) return std::nullopt;
  RunStatistics statistics;
  Epoch epoch = WorkerStatistics::kNoEpoch;
  for (int index = 0; index < worker_count_; ++index) {
    const WorkerStatistics& worker = workers_[index];
    statistics.records += worker.records.load(std::memory_order_relaxed);
    // Each worker knows a lower bound, and some know an older one than others.
    epoch = std::min(epoch, worker.epoch.load(std::memory_order_relaxed));
    statistics.source_epoch =
        std::max(statistics.source_epoch, worker.source_epoch.load(std::memory_order_relaxed));
  }
  if (epoch != WorkerStatistics::kNoEpoch) statistics.epoch = epoch;
  const int64_t bytes =
      flow_control_ != nullptr ? flow_control_->InFlight() : last_bytes_in_flight_;
  statistics.bytes_in_flight = std::max<int64_t>(bytes, 0);
  if (stalls_ != nullptr) statistics.stall = stalls_->Sentence();
  return statistics;
}

}  // namespace headway
