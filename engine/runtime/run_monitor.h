#ifndef HEADWAY_ENGINE_RUNTIME_RUN_MONITOR_H_
#define HEADWAY_ENGINE_RUNTIME_RUN_MONITOR_H_

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "comm/local/flow_control.h"
#include "progress/timestamp.h"

namespace headway {

// Statistics of a run, as known to its workers in this process. Epochs are those of dataflows with
// sources.
struct RunStatistics {
  uint64_t records = 0;                       // emitted by sources of this process
  std::optional<Epoch> epoch = std::nullopt;  // the earliest incomplete one; none: all are complete
  Epoch source_epoch = 0;       // the latest that a source of this process has reached
  int64_t bytes_in_flight = 0;  // sent by this process and not yet taken by a step
  // Why a dataflow has made no progress for seconds: the step that holds it back. Empty if it does.
  std::string stall = {};
};

namespace internal {

class StallBoard;

// Counters of one worker. Written by its thread, with a few stores at the end of a step; read by
// any thread.
struct alignas(64) WorkerStatistics {
  static constexpr Epoch kNoEpoch = std::numeric_limits<Epoch>::max();

  std::atomic<uint64_t> records{0};
  std::atomic<Epoch> epoch{kNoEpoch};
  std::atomic<Epoch> source_epoch{0};
};

}  // namespace internal

// Gives other threads the statistics of a run, which has it as RunOptions::monitor. It serves one
// run at a time, and the part of the run in this process. It costs nothing per record.
//
// Thread safe.
class RunMonitor {
 public:
  // Returns the statistics of the run as of the last step of each worker. Nothing before the run
  // has begun; its last statistics after its end.
  std::optional<RunStatistics> Look() const;

  // For the run. TryBegin returns false if another run has begun and not ended.
  bool TryBegin(int worker_count, Epoch first_epoch);
  void End();
  // For each attempt of the run, between these. Workers exist only during an attempt.
  void BeginAttempt(const internal::FlowControl* flow_control, const internal::StallBoard* stalls);
  void EndAttempt();
  internal::WorkerStatistics& OfWorker(int local_index) { return workers_[local_index]; }

 private:
  mutable std::mutex mutex_;  // guards the members below, but not the elements of workers_
  bool has_run_ = false;
  int worker_count_ = 0;
  std::unique_ptr<internal::WorkerStatistics[]>
      workers_;                                          // of the latest run; null: none has begun
  const internal::FlowControl* flow_control_ = nullptr;  // of the attempt; null: none is under way
  const internal::StallBoard* stalls_ = nullptr;         // the same
  int64_t last_bytes_in_flight_ = 0;                     // at the end of the latest attempt
};

}  // namespace headway

#endif  // HEADWAY_ENGINE_RUNTIME_RUN_MONITOR_H_
