#ifndef HEADWAY_ENGINE_RUNTIME_STOP_AGREEMENT_H_
#define HEADWAY_ENGINE_RUNTIME_STOP_AGREEMENT_H_

#include <algorithm>
#include <mutex>
#include <optional>

#include "progress/timestamp.h"

namespace headway::internal {

// Agreement of all workers of a run on the epoch at which a graceful stop ends it: the one after
// the latest that any source has reached. The workers of a process agree first, then the processes.
//
// Thread safe.
class StopAgreement {
 public:
  StopAgreement(int workers, int processes)
      : missing_workers_(workers), missing_processes_(processes) {}

  // A worker of this process can end at `epoch`, and sends nothing later than it. Returns the epoch
  // of the process, for the other processes, once its last worker has proposed.
  std::optional<Epoch> Propose(Epoch epoch) {
    std::lock_guard lock(mutex_);
    epoch_ = std::max(epoch_, epoch);
    if (--missing_workers_ > 0) return std::nullopt;
    --missing_processes_;
    return epoch_;
  }

  // Another process can end at `epoch`.
  void ProposeOfProcess(Epoch epoch) {
    std::lock_guard lock(mutex_);
    epoch_ = std::max(epoch_, epoch);
    --missing_processes_;
  }

  // Returns the epoch once every process has proposed.
  std::optional<Epoch> Agreed() const {
    std::lock_guard lock(mutex_);
    return missing_processes_ == 0 ? std::optional(epoch_) : std::nullopt;
  }

 private:
  mutable std::mutex mutex_;  // guards the members below
  Epoch epoch_ = 0;
  int missing_workers_;
  int missing_processes_;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_RUNTIME_STOP_AGREEMENT_H_
