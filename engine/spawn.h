#ifndef HEADWAY_ENGINE_SPAWN_H_
#define HEADWAY_ENGINE_SPAWN_H_

#include "absl/status/status.h"
#include "headway/engine/cluster.h"
#include "headway/engine/dataflow.h"

namespace headway::internal {

// SpawnCluster, which is also stopped gracefully when `stop_descriptor` becomes readable (-1: none;
// not owned, and not read).
absl::Status SpawnProcesses(const Dataflow& dataflow, const SpawnOptions& options,
                            int stop_descriptor);

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_SPAWN_H_
