#include "headway/engine/run_from_args.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_format.h"
#include "headway/engine/cluster.h"
#include "headway/engine/file_descriptor.h"
#include "headway/engine/run.h"
#include "headway/engine/run_flags.h"
#include "headway/engine/spawn.h"
#include "headway/engine/status_macros.h"

namespace headway {
namespace {

constexpr char kHelpPayload[] = "headway/help";

// While it lives, requests the stop once a descriptor is readable.
class StopOnDescriptor {
 public:
  StopOnDescriptor(int descriptor, StopHandle stop) : end_(eventfd(0, EFD_CLOEXEC)) {
    if (descriptor < 0) return;
    thread_ = std::thread([this, descriptor, stop]() mutable {
      pollfd polled[] = {{descriptor, POLLIN, 0}, {end_.get(), POLLIN, 0}};
      while (poll(polled, 2, -1) < 0 && errno == EINTR) {
      }
      if (polled[0].revents != 0) stop.RequestStop();
    });
  }
  ~StopOnDescriptor() {
    eventfd_write(end_.get(), 1);
    if (thread_.joinable()) thread_.join();
  }
  StopOnDescriptor(const StopOnDescriptor&) = delete;
  StopOnDescriptor& operator=(const StopOnDescriptor&) = delete;

 private:
  internal::FileDescriptor end_;
  std::thread thread_;
};

// The first line of the file.
absl::Status ReadSecret(const std::string& file, std::string& secret) {
  std::ifstream in(file);
  if (!in) {
    return internal::UsageError(
        absl::StrFormat("cannot read the secret from '%s': %s", file, std::strerror(errno)));
  }
  std::getline(in, secret);
  if (!secret.empty() && secret.back() == '\r') secret.pop_back();
  if (!secret.empty()) return absl::OkStatus();
  return internal::UsageError(
      absl::StrFormat("the file '%s' holds no secret: its first line is empty", file));
}

}  // namespace

absl::Status internal::RunWithFlags(const Dataflow& dataflow, const RunFlags& flags,
                                    int stop_descriptor) {
  RunOptions run = flags.run;
  run.worker_count = flags.workers_per_process;
  if (!flags.secret_file.empty()) {
    HEADWAY_RETURN_IF_ERROR(ReadSecret(flags.secret_file, run.cluster.secret));
  }
  if (flags.processes.has_value()) {
    return SpawnProcesses(dataflow,
                          {.proc_count = *flags.processes,
                           .worker_count_per_proc = flags.workers_per_process,
                           .run = run},
                          stop_descriptor);
  }
  const StopOnDescriptor stopper(stop_descriptor, run.stop);
  if (flags.addresses.empty()) return RunMain(dataflow, run);
  return ClusterMain(dataflow, {.addresses = flags.addresses,
                                .proc_id = flags.process_id,
                                .worker_count_per_proc = flags.workers_per_process,
                                .run = run});
}

std::optional<std::string> internal::ReadEnvironmentVariable(const std::string& variable) {
  const char* value = std::getenv(variable.c_str());
  if (value == nullptr) return std::nullopt;
  return value;
}

absl::Status RunFromArgs(const Dataflow& dataflow, int argc, char** argv) {
  const std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  absl::StatusOr<internal::RunFlags> flags =
      internal::ParseRunFlags(arguments, internal::ReadEnvironmentVariable);
  if (!flags.ok()) return flags.status();
  if (!flags->help) return internal::RunWithFlags(dataflow, *flags, -1);
  absl::Status help = absl::CancelledError(absl::StrFormat(
      "Runs the dataflow '%s'. Flags:\n\n%s", dataflow.name(), internal::RunFlagsHelp()));
  help.SetPayload(kHelpPayload, absl::Cord());
  return help;
}

int ExitCode(const absl::Status& status) {
  if (status.ok() || status.GetPayload(kHelpPayload).has_value()) return 0;
  return internal::IsUsageError(status) ? 2 : 1;
}

}  // namespace headway
