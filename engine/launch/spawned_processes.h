#ifndef HEADWAY_ENGINE_LAUNCH_SPAWNED_PROCESSES_H_
#define HEADWAY_ENGINE_LAUNCH_SPAWNED_PROCESSES_H_

#include "absl/status/status.h"
#include "engine/placement.h"

namespace headway::internal {

// Processes of this machine that the calling process forks and supervises.
class SpawnedProcesses final : public Placement {
 public:
  // The run is also stopped gracefully once `stop_descriptor` is readable (-1: absent; not owned,
  // not read).
  SpawnedProcesses(int process_count, int workers_per_process, int stop_descriptor = -1)
      : process_count_(process_count),
        workers_(workers_per_process),
        stop_descriptor_(stop_descriptor) {}

  int workers_per_process() const override { return workers_; }

  // Calls `part` in each child.
  absl::Status Place(const RunOptions& options, ProcessPart part) const override;

 private:
  const int process_count_;
  const int workers_;
  const int stop_descriptor_;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_LAUNCH_SPAWNED_PROCESSES_H_
