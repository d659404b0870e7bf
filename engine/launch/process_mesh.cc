#include "engine/launch/process_mesh.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <string_view>

#include "absl/strings/str_format.h"
#include "comm/system/topology.h"

namespace headway::internal {

absl::Status ValidateProcesses(int process_count, int workers_per_process) {
  if (process_count < 1 || int64_t{process_count} * workers_per_process > kMaxWorkersOfRun) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "a cluster has at least one process and at most %d workers, not %d processes of %d workers",
        kMaxWorkersOfRun, process_count, workers_per_process));
  }
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(descriptor, F_GETFD) >= 0) continue;
    return absl::FailedPreconditionError(absl::StrFormat(
        "standard descriptor %d (input, output or errors) is closed: a connection would take its "
        "place and get the program's output; open it before the run, for instance on /dev/null",
        descriptor));
  }
  return absl::OkStatus();
}

MeshOptions MeshOptionsOf(const RunOptions& run, int process, int process_count,
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

}  // namespace headway::internal
