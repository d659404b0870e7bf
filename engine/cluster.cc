#include "headway/engine/cluster.h"

#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "headway/comm/tcp_mesh.h"
#include "headway/comm/topology.h"
#include "headway/engine/failure_origin.h"
#include "headway/engine/run_process.h"
#include "headway/engine/spawn.h"
#include "headway/engine/status_macros.h"

namespace headway {

internal::MeshOptions internal::MeshOptionsOf(const RunOptions& run, int process, int process_count,
                                              int workers_per_process) {
  MeshOptions options{.process_id = process,
                      .process_count = process_count,
                      .workers_per_process = workers_per_process,
                      .cluster = run.cluster.name,
                      .secret = run.cluster.secret,
                      .insecure = run.cluster.insecure,
                      .connect_timeout = run.cluster.connect_timeout,
                      .peer_timeout = run.cluster.peer_timeout,
                      .max_frame_bytes = run.cluster.max_frame_bytes};
  if (run.log_hook != nullptr) {
    options.log = [hook = run.log_hook](std::string_view message) {
      hook(LogSeverity::kInfo, message);
    };
  }
  return options;
}

absl::Status internal::ValidateProcesses(int process_count, int workers_per_process) {
  if (process_count < 1 || int64_t{process_count} * workers_per_process > kMaxWorkersOfRun) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "a cluster needs at least one process and has at most %d workers; %d processes of %d "
        "workers were asked for",
        kMaxWorkersOfRun, process_count, workers_per_process));
  }
  return absl::OkStatus();
}

namespace internal {

absl::Status RunClusterProcess(const ClusterOptions& options, ProcessPart part) {
  const auto process_count = static_cast<int>(options.addresses.size());
  const int workers = options.worker_count_per_proc;
  HEADWAY_RETURN_IF_ERROR(ValidateRun(workers, options.run));
  HEADWAY_RETURN_IF_ERROR(ValidateProcesses(process_count, workers));
  if (options.proc_id < 0 || options.proc_id >= process_count) {
    return absl::InvalidArgumentError(
        absl::StrFormat("proc_id must be the place of this process in the list of %d addresses, 0 "
                        "to %d, not %d",
                        process_count, process_count - 1, options.proc_id));
  }
  absl::StatusOr<std::unique_ptr<TcpMesh>> mesh = TcpMesh::Connect(
      MeshOptionsOf(options.run, options.proc_id, process_count, workers), options.addresses);
  if (!mesh.ok()) return mesh.status();
  return WithoutMark(part(*std::move(mesh)));
}

}  // namespace internal

absl::Status ClusterMain(const Dataflow& dataflow, const ClusterOptions& options) {
  return internal::RunClusterProcess(options, [&](std::unique_ptr<internal::Transport> transport) {
    return internal::RunProcess(dataflow, options.run, options.worker_count_per_proc,
                                std::move(transport));
  });
}

absl::Status ExecuteCluster(const ClusterOptions& options,
                            absl::FunctionRef<absl::Status(Worker&)> program) {
  return internal::RunClusterProcess(options, [&](std::unique_ptr<internal::Transport> transport) {
    return internal::ExecuteProcess(options.run, options.worker_count_per_proc,
                                    std::move(transport), program);
  });
}

}  // namespace headway
