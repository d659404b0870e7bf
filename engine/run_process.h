#ifndef HEADWAY_ENGINE_RUN_PROCESS_H_
#define HEADWAY_ENGINE_RUN_PROCESS_H_

#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "comm/wire/mesh_options.h"
#include "comm/wire/transport.h"
#include "engine/dataflow.h"
#include "engine/runtime/config.h"
#include "engine/worker.h"

namespace headway::internal {

// Checks what RunProcess is given, before anything is started for it. InvalidArgument says which
// option is wrong.
absl::Status ValidateRun(int workers, const RunOptions& options);

// The same for a run of several processes: its counts, and that what the program prints does not
// get into a connection. FailedPrecondition: a standard descriptor is closed.
absl::Status ValidateProcesses(int process_count, int workers_per_process);

// What the connections of a process need to know of its run.
MeshOptions MeshOptionsOf(const RunOptions& run, int process, int process_count,
                          int workers_per_process);

// A process's part of a run, given its connections to the others (null: it is alone).
using ProcessPart = absl::FunctionRef<absl::Status(std::unique_ptr<Transport>)>;

// Runs one process's part of a dataflow, with `workers` threads (the caller's is one of them); each
// process of the cluster does the same. `transport` connects it to the others; null will do
// for a process that is alone. Returns when all processes have ended well, or with the first
// failure of any.
absl::Status RunProcess(const Dataflow& dataflow, const RunOptions& options, int workers,
                        std::unique_ptr<Transport> transport);

// The same for a program that has each worker to itself, as in Execute.
absl::Status ExecuteProcess(const RunOptions& options, int workers,
                            std::unique_ptr<Transport> transport,
                            absl::FunctionRef<absl::Status(Worker&)> program);

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_RUN_PROCESS_H_
