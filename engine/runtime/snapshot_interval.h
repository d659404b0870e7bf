#ifndef HEADWAY_ENGINE_RUNTIME_SNAPSHOT_INTERVAL_H_
#define HEADWAY_ENGINE_RUNTIME_SNAPSHOT_INTERVAL_H_

#include "engine/runtime/config.h"
#include "progress/timestamp.h"

namespace headway::internal {

// Groups of consecutive epochs that share a snapshot, which is taken at the end of the last one
// (RecoveryConfig::snapshot_every_epochs).
class SnapshotInterval {
 public:
  explicit SnapshotInterval(const RunOptions& options)
      : epochs_(options.recovery_config.has_value()
                    ? static_cast<Epoch>(options.recovery_config->snapshot_every_epochs)
                    : 1) {}

  // The first and the last epoch of the group of `epoch`. Epochs from kStopEpoch on, which are
  // reserved, are groups of their own.
  Epoch FirstOf(Epoch epoch) const { return epoch < kStopEpoch ? epoch - epoch % epochs_ : epoch; }
  Epoch LastOf(Epoch epoch) const {
    return epoch < kStopEpoch ? FirstOf(epoch) + (epochs_ - 1) : epoch;
  }

 private:
  Epoch epochs_;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_RUNTIME_SNAPSHOT_INTERVAL_H_
