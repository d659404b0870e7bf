#ifndef HEADWAY_ENGINE_RUNTIME_RUN_MONITOR_H_
#define HEADWAY_ENGINE_RUNTIME_RUN_MONITOR_H_

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>

#include "comm/local/flow_control.h"
#include "progress/timestamp.h"

namespace headway {

// How far a run is, as its workers in this process know. Epochs are those of dataflows with
// sources.
struct RunStatistics {
  uint64_t records = 0;                       // that sources have emitted in this process
  std::optional<Epoch> epoch = std::nullopt;  // the earliest that is not complete; none: all are
  Epoch source_epoch = 0;                     // the latest that a source has reached here
  int64_t bytes_in_flight = 0;                // on their way between steps, of this process
};

namespace internal {

// What one worker shows to the outside. Written by its thread, a few stores at the end of a step;
// read by any.
struct alignas(64) WorkerStatistics {
  static constexpr Epoch kNoEpoch = std::numeric_limits<Epoch>::max();

  std::atomic<uint64_t> records{0};
  std::atomic<Epoch> epoch{kNoEpoch};
  std::atomic<Epoch> source_epoch{0};
};

}  // namespace internal

// Lets other threads look at a run, which gets it as RunOptions::monitor. One run at a time; of a
// run on several processes it shows the part that is in this process. Costs nothing per record.
//
// Thread safe.
class RunMonitor {
 public:
  // What the run has done by the last step of each of its workers. None before the run has begun;
  // how it ended, after its end.
  std::optional<RunStatistics> Look() const;

  // For the run: its workers exist between these calls. False if another run has begun.
  bool TryBegin(int worker_count, Epoch first_epoch, const internal::FlowControl* flow_control);
  void End();
  internal::WorkerStatistics& OfWorker(int local_index) { return workers_[local_index]; }

 private:
  RunStatistics LookLocked() const;

  mutable std::mutex mutex_;  // guards what follows, but not what is in workers_
  int worker_count_ = 0;
  std::unique_ptr<internal::WorkerStatistics[]> workers_;
  const internal::FlowControl* flow_control_ = nullptr;  // null: no run is under way
  std::optional<RunStatistics> last_;                    // of a run that has ended
};

}  // namespace headway

#endif  // HEADWAY_ENGINE_RUNTIME_RUN_MONITOR_H_
