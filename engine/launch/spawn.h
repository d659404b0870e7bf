#ifndef HEADWAY_ENGINE_LAUNCH_SPAWN_H_
#define HEADWAY_ENGINE_LAUNCH_SPAWN_H_

#include "absl/status/status.h"
#include "engine/launch/cluster.h"
#include "engine/run_process.h"

namespace headway::internal {

// Connects this process with the others of its cluster, and runs its part.
absl::Status RunClusterProcess(const ClusterOptions& options, ProcessPart part);

// Runs `part` in each of the processes that it forks. They are also stopped gracefully when
// `stop_descriptor` becomes readable (-1: none; not owned, and not read).
absl::Status RunSpawnedProcesses(const SpawnOptions& options, int stop_descriptor,
                                 ProcessPart part);

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_LAUNCH_SPAWN_H_
