#include "engine/launch/cluster_member.h"

#include <memory>
#include <new>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "comm/mesh/tcp_mesh.h"
#include "engine/launch/process_mesh.h"
#include "engine/runtime/failure_origin.h"
#include "engine/runtime/status_macros.h"

namespace headway::internal {

absl::Status ClusterMember::Place(const RunOptions& options, ProcessPart part) const {
  const auto process_count = static_cast<int>(addresses_.size());
  HEADWAY_RETURN_IF_ERROR(ValidateProcesses(process_count, workers_));
  if (process_ < 0 || process_ >= process_count) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "proc_id must be the index of this process in the list of %d addresses, 0 to %d, not %d",
        process_count, process_count - 1, process_));
  }
  MeshOptions mesh_options = MeshOptionsOf(options, process_, process_count, workers_);
  mesh_options.stop_requested = [stop = options.stop] { return stop.requested(); };
  absl::StatusOr<std::unique_ptr<TcpMesh>> mesh;
  try {
    mesh = TcpMesh::Connect(mesh_options, addresses_);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "not enough memory for the connections to %d processes", process_count - 1));
  }
  // A stop that comes before the beginning is a graceful stop too.
  if (absl::IsCancelled(mesh.status()) && options.stop.requested()) return absl::OkStatus();
  if (!mesh.ok()) return MarkUnconnected(mesh.status());
  return WithoutMark(part(options, *std::move(mesh)));
}

}  // namespace headway::internal
