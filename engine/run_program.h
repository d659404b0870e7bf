#ifndef HEADWAY_ENGINE_RUN_PROGRAM_H_
#define HEADWAY_ENGINE_RUN_PROGRAM_H_

#include <memory>

#include "absl/status/status.h"
#include "comm/wire/transport.h"
#include "engine/placement.h"
#include "engine/program.h"
#include "engine/recovery/run_identity.h"
#include "engine/runtime/config.h"

namespace headway::internal {

// Runs a program on each worker of the placed processes. Every entry point is this call. Returns
// the first failure of any worker or process; InvalidArgument names an option that is wrong, before
// anything starts.
absl::Status Run(Program program, const Placement& placement, const RunOptions& options);

// Runs this process's part of a run, with `workers` threads, one of them the caller's. `transport`
// connects it to the other processes, which do the same; null: it is alone. Returns when all
// processes have ended, with the first failure of any and its mark (failure_origin.h). `identity`
// is that of the run's earlier attempts in this process; null: there is only this one.
absl::Status RunProcess(Program program, const RunOptions& options, int workers,
                        std::unique_ptr<Transport> transport, RunIdentity* identity = nullptr);

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_RUN_PROGRAM_H_
