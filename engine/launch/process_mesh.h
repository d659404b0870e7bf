#ifndef HEADWAY_ENGINE_LAUNCH_PROCESS_MESH_H_
#define HEADWAY_ENGINE_LAUNCH_PROCESS_MESH_H_

#include "absl/status/status.h"
#include "comm/wire/mesh_options.h"
#include "engine/runtime/config.h"

// The connections between the processes of a run: the checks before they are made, and their
// options.

namespace headway::internal {

// Checks the counts of a run of several processes, and the standard descriptors: a connection that
// took the place of a closed one would get the program's output. Errors: InvalidArgument;
// FailedPrecondition for a closed descriptor.
absl::Status ValidateProcesses(int process_count, int workers_per_process);

MeshOptions MeshOptionsOf(const RunOptions& run, int process, int process_count,
                          int workers_per_process);

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_LAUNCH_PROCESS_MESH_H_
