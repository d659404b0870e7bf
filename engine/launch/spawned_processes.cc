#include "engine/launch/spawned_processes.h"

#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "comm/mesh/tcp_mesh.h"
#include "comm/system/thread_placement.h"
#include "engine/launch/process_mesh.h"
#include "engine/launch/supervisor.h"
#include "engine/runtime/failure_origin.h"
#include "engine/runtime/status_macros.h"

namespace headway::internal {

absl::Status SpawnedProcesses::Place(const RunOptions& options, ProcessPart part) const {
  HEADWAY_RETURN_IF_ERROR(ValidateProcesses(process_count_, workers_));
  const std::vector<int> processors = ProcessorsForThreads(process_count_ * workers_);
  const auto run_child = [&](int process, std::span<const int> sockets) -> absl::Status {
    if (!processors.empty()) {
      const size_t first_worker = static_cast<size_t>(process) * static_cast<size_t>(workers_);
      MoveThreadTo(processors[first_worker]);
    }
    if (process_count_ == 1) return part(options, nullptr);
    absl::StatusOr<std::unique_ptr<TcpMesh>> mesh =
        TcpMesh::FromSockets(MeshOptionsOf(options, process, process_count_, workers_), sockets);
    if (absl::IsUnavailable(mesh.status())) return MarkLoss(mesh.status());
    if (!mesh.ok()) return mesh.status();
    return part(options, *std::move(mesh));
  };
  return RunChildProcesses({.process_count = process_count_,
                            // The survivors of a failure notice it after at most the timeout.
                            .patience = options.cluster.peer_timeout + absl::Seconds(1),
                            .stop = options.stop,
                            .stop_descriptor = command_.stop_descriptor,
                            .end_by_sigpipe = command_.end_by_sigpipe},
                           run_child);
}

}  // namespace headway::internal
