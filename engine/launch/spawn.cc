#include "engine/launch/spawn.h"

#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "comm/mesh/tcp_mesh.h"
#include "comm/system/thread_placement.h"
#include "engine/launch/child_processes.h"
#include "engine/run_process.h"
#include "engine/runtime/failure_origin.h"
#include "engine/runtime/status_macros.h"

namespace headway {

absl::Status internal::RunSpawnedProcesses(const SpawnOptions& options, int stop_descriptor,
                                           ProcessPart part) {
  const int workers = options.worker_count_per_proc;
  HEADWAY_RETURN_IF_ERROR(ValidateRun(workers, options.run));
  HEADWAY_RETURN_IF_ERROR(ValidateProcesses(options.proc_count, workers));
  // Survivors of a failure see it after at most the timeout.
  const absl::Duration patience = options.run.cluster.peer_timeout + absl::Seconds(1);
  const std::vector<int> processors = ProcessorsForThreads(options.proc_count * workers);
  return RunChildProcesses({.process_count = options.proc_count,
                            .patience = patience,
                            .stop = options.run.stop,
                            .stop_descriptor = stop_descriptor},
                           [&](int process, std::span<const int> sockets) -> absl::Status {
                             if (!processors.empty()) {
                               const int worker = process * workers;
                               MoveThreadTo(processors[static_cast<size_t>(worker)]);
                             }
                             std::unique_ptr<Transport> transport;
                             if (options.proc_count > 1) {
                               absl::StatusOr<std::unique_ptr<TcpMesh>> mesh = TcpMesh::FromSockets(
                                   MeshOptionsOf(options.run, process, options.proc_count, workers),
                                   sockets);
                               if (absl::IsUnavailable(mesh.status())) {
                                 return MarkLoss(mesh.status());
                               }
                               if (!mesh.ok()) return mesh.status();
                               transport = *std::move(mesh);
                             }
                             return part(std::move(transport));
                           });
}

absl::Status SpawnCluster(const Dataflow& dataflow, const SpawnOptions& options) {
  return internal::RunSpawnedProcesses(
      options, -1, [&](std::unique_ptr<internal::Transport> transport) {
        return internal::RunProcess(dataflow, options.run, options.worker_count_per_proc,
                                    std::move(transport));
      });
}

absl::Status ExecuteSpawned(const SpawnOptions& options,
                            absl::FunctionRef<absl::Status(Worker&)> program) {
  return internal::RunSpawnedProcesses(
      options, -1, [&](std::unique_ptr<internal::Transport> transport) {
        return internal::ExecuteProcess(options.run, options.worker_count_per_proc,
                                        std::move(transport), program);
      });
}

}  // namespace headway
