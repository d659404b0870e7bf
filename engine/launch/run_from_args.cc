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

#include "absl/strings/str_format.h"
#include "comm/system/file_descriptor.h"
#include "engine/launch/cluster.h"
#include "engine/launch/run_flags.h"
#include "engine/launch/spawn.h"
#include "engine/launch/status_line.h"
#include "engine/launch/stop_event.h"
#include "engine/run_process.h"
#include "engine/runtime/run_monitor.h"
#include "engine/runtime/status_macros.h"

namespace headway {
namespace {

constexpr char kHelpPayload[] = "headway/help";

// While it lives, requests the stop once a descriptor is readable.
class StopOnDescriptor {
 public:
  StopOnDescriptor() = default;
  ~StopOnDescriptor() {
    if (!thread_.joinable()) return;
    eventfd_write(end_.get(), 1);
    thread_.join();
  }
  // A descriptor of -1 is none. ResourceExhausted: the system has no descriptor or thread left.
  absl::Status Start(int descriptor, StopHandle stop) {
    if (descriptor < 0) return absl::OkStatus();
    absl::StatusOr<internal::FileDescriptor> end = internal::MakeStopEvent();
    if (!end.ok()) return end.status();
    end_ = *std::move(end);
    try {
      thread_ = std::thread([this, descriptor, stop]() mutable {
        pollfd polled[] = {{descriptor, POLLIN, 0}, {end_.get(), POLLIN, 0}};
        while (poll(polled, 2, -1) < 0 && errno == EINTR) {
        }
        if (polled[0].revents != 0) stop.RequestStop();
      });
    } catch (const std::system_error& error) {
      return absl::ResourceExhaustedError(absl::StrFormat(
          "cannot start the thread that listens for a request to stop: %s", error.what()));
    }
    return absl::OkStatus();
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
  if (in.bad()) {
    return internal::UsageError(absl::StrFormat(
        "cannot read the secret from '%s': it is not a file that can be read", file));
  }
  if (!secret.empty() && secret.back() == '\r') secret.pop_back();
  if (!secret.empty()) return absl::OkStatus();
  return internal::UsageError(
      absl::StrFormat("the file '%s' holds no secret: its first line is empty", file));
}

// Runs `part`, which gets the run's options, where the flags say.
absl::Status RunWhere(
    const internal::RunFlags& flags, int stop_descriptor,
    absl::FunctionRef<absl::Status(const RunOptions&, std::unique_ptr<internal::Transport>)> part) {
  RunOptions run = flags.run;
  run.worker_count = flags.workers_per_process;
  if (!flags.secret_file.empty()) {
    HEADWAY_RETURN_IF_ERROR(ReadSecret(flags.secret_file, run.cluster.secret));
  }
  auto run_part = [&](std::unique_ptr<internal::Transport> transport) {
    return part(run, std::move(transport));
  };
  if (flags.processes.has_value()) {
    return internal::RunSpawnedProcesses({.proc_count = *flags.processes,
                                          .worker_count_per_proc = flags.workers_per_process,
                                          .run = run},
                                         stop_descriptor, run_part);
  }
  StopOnDescriptor stopper;
  HEADWAY_RETURN_IF_ERROR(stopper.Start(stop_descriptor, run.stop));
  if (flags.addresses.empty()) return run_part(nullptr);
  return internal::RunClusterProcess({.addresses = flags.addresses,
                                      .proc_id = flags.process_id,
                                      .worker_count_per_proc = flags.workers_per_process,
                                      .run = run},
                                     run_part);
}

absl::StatusOr<internal::RunFlags> ParseArguments(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  return internal::ParseRunFlags(arguments, internal::ReadEnvironmentVariable);
}

absl::Status Help(std::string_view what) {
  absl::Status help =
      absl::CancelledError(absl::StrFormat("%s Flags:\n\n%s", what, internal::RunFlagsHelp()));
  help.SetPayload(kHelpPayload, absl::Cord());
  return help;
}

}  // namespace

absl::Status internal::RunWithFlags(const Dataflow& dataflow, const RunFlags& flags,
                                    int stop_descriptor) {
  return RunWhere(
      flags, stop_descriptor, [&](const RunOptions& run, std::unique_ptr<Transport> transport) {
        const int process = transport != nullptr ? transport->process_id() : 0;
        // Spawned processes share a terminal: one of them shows its status.
        if (isatty(STDERR_FILENO) == 0 || (flags.processes.has_value() && process != 0)) {
          return RunProcess(dataflow, run, run.worker_count, std::move(transport));
        }
        RunMonitor monitor;
        RealClock clock;
        StatusLine status_line(STDERR_FILENO,
                               transport != nullptr ? absl::StrFormat("process %d: ", process) : "",
                               monitor, clock);
        RunOptions watched = run;
        watched.monitor = &monitor;
        if (run.log_hook != nullptr) {
          watched.log_hook = [&](LogSeverity severity, std::string_view message) {
            status_line.Hide([&] { run.log_hook(severity, message); });
          };
        }
        return RunProcess(dataflow, watched, run.worker_count, std::move(transport));
      });
}

std::optional<std::string> internal::ReadEnvironmentVariable(const std::string& variable) {
  const char* value = std::getenv(variable.c_str());
  if (value == nullptr) return std::nullopt;
  return value;
}

absl::Status RunFromArgs(const Dataflow& dataflow, int argc, char** argv) {
  absl::StatusOr<internal::RunFlags> flags = ParseArguments(argc, argv);
  if (!flags.ok()) return flags.status();
  if (flags->help) return Help(absl::StrFormat("Runs the dataflow '%s'.", dataflow.name()));
  return internal::RunWithFlags(dataflow, *flags, -1);
}

absl::Status ExecuteFromArgs(int argc, char** argv,
                             absl::FunctionRef<absl::Status(Worker&)> program) {
  absl::StatusOr<internal::RunFlags> flags = ParseArguments(argc, argv);
  if (!flags.ok()) return flags.status();
  if (flags->help) return Help("Runs a program on each worker.");
  return RunWhere(
      *flags, -1, [&](const RunOptions& run, std::unique_ptr<internal::Transport> transport) {
        return internal::ExecuteProcess(run, run.worker_count, std::move(transport), program);
      });
}

std::vector<std::string> ProgramArguments(int argc, char** argv) {
  absl::StatusOr<internal::RunFlags> flags = ParseArguments(argc, argv);
  return flags.ok() ? flags->words : std::vector<std::string>();
}

int ExitCode(const absl::Status& status) {
  if (status.ok() || status.GetPayload(kHelpPayload).has_value()) return 0;
  return internal::IsUsageError(status) ? 2 : 1;
}

}  // namespace headway
