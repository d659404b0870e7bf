#include "engine/launch/cluster.h"

#include <fcntl.h>
#include <unistd.h>

#include <memory>
#include <new>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "comm/mesh/tcp_mesh.h"
#include "comm/system/topology.h"
#include "engine/launch/spawn.h"
#include "engine/run_process.h"
#include "engine/runtime/failure_origin.h"
#include "engine/runtime/status_macros.h"

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
      Log(hook, LogSeverity::kInfo, message);
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
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(descriptor, F_GETFD) >= 0) continue;
    return absl::FailedPreconditionError(
        absl::StrFormat("descriptor %d, which is for standard input, output or errors, is closed, "
                        "and a connection that took its place would get what the program prints: "
                        "open it, for instance on /dev/null, before the run",
                        descriptor));
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
  MeshOptions mesh_options = MeshOptionsOf(options.run, options.proc_id, process_count, workers);
  mesh_options.stop_requested = [stop = options.run.stop] { return stop.requested(); };
  absl::StatusOr<std::unique_ptr<TcpMesh>> mesh;
  try {
    mesh = TcpMesh::Connect(mesh_options, options.addresses);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "not enough memory for the connections to %d processes", process_count - 1));
  }
  // A run that is stopped before it begins is stopped all the same.
  if (absl::IsCancelled(mesh.status()) && options.run.stop.requested()) return absl::OkStatus();
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
