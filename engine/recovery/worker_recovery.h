#ifndef HEADWAY_ENGINE_RECOVERY_WORKER_RECOVERY_H_
#define HEADWAY_ENGINE_RECOVERY_WORKER_RECOVERY_H_

#include "engine/graph/scope.h"
#include "engine/recovery/recovery.h"

namespace headway::internal {

// Makes a dataflow that was built on a worker take part in recovery. Opens a new generation in the
// partitions that the worker owns, and restores the participants' state as of the resume epoch.
// Adds the two nodes that collect and write snapshots. Called at the end of the build of the root
// scope, before sources and sinks open. A failure is one of the build, and StepFailed is thrown.
//
// REQUIRES: the recovery has a plan.
void JoinRecovery(Scope<>& scope, Recovery& recovery);

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_RECOVERY_WORKER_RECOVERY_H_
