#include "engine/launch/run_from_args.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "comm/system/file_descriptor.h"
#include "engine/launch/cluster_member.h"
#include "engine/launch/run_flags.h"
#include "engine/launch/spawned_processes.h"
#include "engine/launch/status_line.h"
#include "engine/launch/stop_event.h"
#include "engine/placement.h"
#include "engine/program.h"
#include "engine/run_program.h"
#include "engine/runtime/config.h"
#include "engine/runtime/run_monitor.h"
#include "engine/runtime/status_macros.h"

namespace headway {
namespace {

// Requests a stop once a descriptor is readable, until it is destroyed.
class StopOnDescriptor {
 public:
  StopOnDescriptor() = default;
  ~StopOnDescriptor() {
    if (!thread_.joinable()) return;
    eventfd_write(end_.get(), 1);
    thread_.join();
  }
  // Does nothing for a descriptor of -1. ResourceExhausted: the system is out of descriptors or
  // threads.
  absl::Status Start(int descriptor, const StopHandle& stop) {
    if (descriptor < 0) return absl::OkStatus();
    absl::StatusOr<internal::FileDescriptor> end = internal::MakeStopEvent();
    if (!end.ok()) return end.status();
    end_ = *std::move(end);
    try {
      thread_ = std::thread([this, descriptor, stop = StopHandle(stop)]() mutable {
        pollfd polled[] = {{descriptor, POLLIN, 0}, {end_.get(), POLLIN, 0}};
        while (poll(polled, 2, -1) < 0 && errno == EINTR) {
        }
        if (polled[0].revents != 0) stop.RequestStop();
      });
    } catch (const std::system_error& error) {
      return absl::ResourceExhaustedError(absl::StrFormat(
          "cannot start the thread that waits for a request to stop: %s; allow more threads "
          "(ulimit -u)",
          error.what()));
    }
    return absl::OkStatus();
  }
  StopOnDescriptor(const StopOnDescriptor&) = delete;
  StopOnDescriptor& operator=(const StopOnDescriptor&) = delete;

 private:
  internal::FileDescriptor end_;
  std::thread thread_;
};

// Reads the first line of the file, which may be a pipe. A file without an end, such as /dev/zero,
// is an error.
absl::Status ReadSecret(const std::string& file, std::string& secret) {
  constexpr size_t kMaxSecretBytes = 4096;
  std::ifstream in(file);
  if (!in) {
    return internal::UsageError(
        absl::StrFormat("cannot read the secret from '%s': %s", file, std::strerror(errno)));
  }
  for (char next = 0; in.get(next) && next != '\n';) {
    if (secret.size() == kMaxSecretBytes) {
      return internal::UsageError(absl::StrFormat(
          "cannot read the secret from '%s': its first line is longer than %d bytes", file,
          kMaxSecretBytes));
    }
    secret += next;
  }
  if (in.bad()) {
    return internal::UsageError(absl::StrFormat(
        "cannot read the secret from '%s': it is not a file that can be read", file));
  }
  if (!secret.empty() && secret.back() == '\r') secret.pop_back();
  if (!secret.empty()) return absl::OkStatus();
  return internal::UsageError(
      absl::StrFormat("the file '%s' contains no secret: its first line is empty", file));
}

// A placement whose processes show a status line while they run.
class WithStatusLine final : public internal::Placement {
 public:
  // `share_a_terminal`: the processes of the placement do, so only process 0 shows its line.
  WithStatusLine(const internal::Placement& placement, bool share_a_terminal)
      : placement_(placement), share_a_terminal_(share_a_terminal) {}

  int workers_per_process() const override { return placement_.workers_per_process(); }

  absl::Status Place(const RunOptions& options, internal::ProcessPart part) const override {
    return placement_.Place(
        options, [&](const RunOptions& run, std::unique_ptr<internal::Transport> transport) {
          const int process = transport != nullptr ? transport->process_id() : 0;
          if (isatty(STDERR_FILENO) == 0 || (share_a_terminal_ && process != 0)) {
            return part(run, std::move(transport));
          }
          RunMonitor monitor;
          RealClock clock;
          internal::StatusLine line(
              STDERR_FILENO, transport != nullptr ? absl::StrFormat("process %d: ", process) : "",
              monitor, clock);
          RunOptions watched = run;
          watched.monitor = &monitor;
          if (run.log_hook != nullptr) {
            watched.log_hook = [&](LogSeverity severity, std::string_view message) {
              line.Hide([&] { run.log_hook(severity, message); });
            };
          }
          return part(watched, std::move(transport));
        });
  }

 private:
  const internal::Placement& placement_;
  const bool share_a_terminal_;
};

// Runs a program where the flags say. Reads the file with the secret.
absl::Status RunPlaced(internal::Program program, const internal::RunFlags& flags,
                       int stop_descriptor, bool show_status) {
  RunOptions options = flags.run;
  if (!flags.secret_file.empty()) {
    HEADWAY_RETURN_IF_ERROR(ReadSecret(flags.secret_file, options.cluster.secret));
  }
  const auto run_on = [&](const internal::Placement& placement) {
    if (!show_status) return internal::Run(program, placement, options);
    return internal::Run(program, WithStatusLine(placement, flags.processes.has_value()), options);
  };
  const int workers = flags.workers_per_process;
  if (flags.processes.has_value()) {
    return run_on(internal::SpawnedProcesses(
        *flags.processes, workers, {.stop_descriptor = stop_descriptor, .end_by_sigpipe = true}));
  }
  StopOnDescriptor stopper;
  HEADWAY_RETURN_IF_ERROR(stopper.Start(stop_descriptor, options.stop));
  if (flags.addresses.empty()) return run_on(internal::OneProcess(workers));
  return run_on(internal::ClusterMember(flags.addresses, flags.process_id, workers));
}

absl::StatusOr<internal::RunFlags> ParseArguments(int argc, char** argv,
                                                  const RunOptions& options) {
  const std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  return internal::ParseRunFlags(arguments, internal::ReadEnvironmentVariable, options);
}

}  // namespace

absl::Status internal::RunWithFlags(const Dataflow& dataflow, const RunFlags& flags,
                                    int stop_descriptor) {
  return RunPlaced(DataflowProgram(dataflow), flags, stop_descriptor, true);
}

std::optional<std::string> internal::ReadEnvironmentVariable(const std::string& variable) {
  const char* value = std::getenv(variable.c_str());
  if (value == nullptr) return std::nullopt;
  return value;
}

absl::Status internal::ExecuteWithFlags(absl::FunctionRef<absl::Status(Worker&)> program,
                                        const RunFlags& flags) {
  return RunPlaced(HostProgram(program), flags, -1, false);
}

absl::Status RunFromArgs(const Dataflow& dataflow, int argc, char** argv,
                         const RunOptions& options) {
  absl::StatusOr<internal::RunFlags> flags = ParseArguments(argc, argv, options);
  if (!flags.ok()) return flags.status();
  if (flags->help) {
    return internal::HelpStatus(
        absl::StrFormat("Runs the dataflow '%s'. Flags:\n\n", dataflow.name()), options);
  }
  return internal::RunWithFlags(dataflow, *flags, -1);
}

absl::Status ExecuteFromArgs(int argc, char** argv,
                             absl::FunctionRef<absl::Status(Worker&)> program,
                             const RunOptions& options) {
  absl::StatusOr<internal::RunFlags> flags = ParseArguments(argc, argv, options);
  if (!flags.ok()) return flags.status();
  if (flags->help) {
    return internal::HelpStatus("Runs a program on each worker. Flags:\n\n", options);
  }
  return internal::ExecuteWithFlags(program, *flags);
}

std::vector<std::string> ProgramArguments(int argc, char** argv) {
  absl::StatusOr<internal::RunFlags> flags = ParseArguments(argc, argv, {});
  return flags.ok() ? flags->words : std::vector<std::string>();
}

int ExitCode(const absl::Status& status) {
  if (status.ok() || internal::IsHelp(status)) return 0;
  return internal::IsUsageError(status) ? 2 : 1;
}

}  // namespace headway
