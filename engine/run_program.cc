#include "engine/run_program.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <exception>
#include <new>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/functional/function_ref.h"
#include "comm/system/file_descriptor.h"
#include "comm/system/thread_placement.h"
#include "engine/graph/step_errors.h"
#include "engine/network/network.h"
#include "engine/recovery/recovery.h"
#include "engine/runtime/attempt.h"
#include "engine/runtime/failure_origin.h"
#include "engine/runtime/restarts.h"
#include "engine/runtime/run_context.h"
#include "engine/runtime/status_macros.h"
#include "engine/runtime/stop_signals.h"
#include "engine/worker.h"
#include "format.h"

namespace headway::internal {
namespace {

constexpr int kMaxWorkersPerProcess = 256;
constexpr Epoch kMaxFirstEpoch = Epoch{1} << 63;
// A batch of plain records fits easily.
constexpr size_t kMinMaxFrameBytes = size_t{64} << 10;

absl::Status ValidateRecovery(const RecoveryConfig& recovery) {
  if (recovery.store == nullptr) {
    return absl::InvalidArgumentError(
        "recovery_config has no store; give it one, such as StoreInDirectory(\"DIR\")");
  }
  if (recovery.backup_interval < absl::ZeroDuration() ||
      recovery.backup_interval == absl::InfiniteDuration()) {
    return absl::InvalidArgumentError(
        Format("backup_interval must be zero or a positive duration, not %s",
               absl::FormatDuration(recovery.backup_interval)));
  }
  if (recovery.snapshot_every_epochs < 1) {
    return absl::InvalidArgumentError(
        Format("snapshot_every_epochs must be at least 1, not %d", recovery.snapshot_every_epochs));
  }
  return absl::OkStatus();
}

absl::Status ValidateRestart(const RestartConfig& restart) {
  if (restart.max_restarts < 1 || restart.window <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(
        Format("restart needs max_restarts of at least 1 and a positive window, not %d and %s",
               restart.max_restarts, absl::FormatDuration(restart.window)));
  }
  if (restart.backoff < absl::ZeroDuration()) {
    return absl::InvalidArgumentError(
        Format("the backoff of restarts must be zero or a positive duration, not %s",
               absl::FormatDuration(restart.backoff)));
  }
  return absl::OkStatus();
}

absl::Status ValidateOptions(int workers, const RunOptions& options) {
  if (workers < 1 || workers > kMaxWorkersPerProcess) {
    return absl::InvalidArgumentError(Format("a run needs 1 to %d workers in each process, not %d",
                                             kMaxWorkersPerProcess, workers));
  }
  if (options.max_epochs_in_flight < 1) {
    return absl::InvalidArgumentError(
        Format("max_epochs_in_flight must be at least 1, not %d", options.max_epochs_in_flight));
  }
  if (options.max_bytes_in_flight < 1) {
    return absl::InvalidArgumentError(
        Format("max_bytes_in_flight must be positive, not %d", options.max_bytes_in_flight));
  }
  if (options.first_epoch > kMaxFirstEpoch) {
    return absl::InvalidArgumentError(
        Format("first_epoch must be at most %d, so that epochs can follow, not %d", kMaxFirstEpoch,
               options.first_epoch));
  }
  const ClusterConfig& cluster = options.cluster;
  if (cluster.connect_timeout <= absl::ZeroDuration() ||
      cluster.peer_timeout <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(Format(
        "connect_timeout and peer_timeout must be positive, not %s and %s",
        absl::FormatDuration(cluster.connect_timeout), absl::FormatDuration(cluster.peer_timeout)));
  }
  if (cluster.max_frame_bytes < kMinMaxFrameBytes) {
    return absl::InvalidArgumentError(Format("max_frame_bytes must be at least %d, not %d",
                                             kMinMaxFrameBytes, cluster.max_frame_bytes));
  }
  if (options.recovery_config.has_value()) {
    HEADWAY_RETURN_IF_ERROR(ValidateRecovery(*options.recovery_config));
  } else if (options.restart.has_value()) {
    return absl::InvalidArgumentError(
        "restart needs a recovery_config: without one a restart would do everything again");
  }
  if (options.restart.has_value()) HEADWAY_RETURN_IF_ERROR(ValidateRestart(*options.restart));
  return ValidateEpochConfig(options.epoch_config);
}

// Reports the exception that is being handled.
void ReportCurrentException(Attempt& attempt, int worker) {
  std::string what;
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return attempt.failure().ReportOutOfMemory();
  } catch (const CallerError& error) {
    return attempt.failure().Report(absl::FailedPreconditionError(
        absl::StrFormat("the program of %s: %s", attempt.Describe(worker), error.what())));
  } catch (const std::exception& error) {
    what = error.what();
  } catch (...) {
    what = "an exception that is no std::exception";
  }
  attempt.failure().Report(
      absl::AbortedError(Format("the program of %s threw: %s", attempt.Describe(worker), what)));
}

void RunWorker(Attempt& attempt, int local_index, Program program) {
  try {
    try {
      Worker worker(attempt, local_index);
      const absl::Status status = program(worker);
      if (!status.ok()) attempt.failure().Report(status);
      attempt.EndProgram();
      // A failure is the attempt's, which has it already.
      worker.StepWhile([&] { return attempt.HasProgramsUnderWay(); }).IgnoreError();
    } catch (...) {
      ReportCurrentException(attempt, attempt.run().topology().first_worker() + local_index);
    }
  } catch (const std::bad_alloc&) {  // while the message was written
    attempt.failure().ReportOutOfMemory();
  }
}

// Starts a thread for each worker but the first. A failure to do so is that of the attempt.
std::vector<std::thread> StartThreads(Attempt& attempt, Program program) {
  const int workers = attempt.run().topology().workers_per_process;
  std::vector<std::thread> threads;
  try {
    threads.reserve(static_cast<size_t>(workers));
    const std::vector<int> processors = ProcessorsForThreads(workers);
    for (int index = 1; index < workers; ++index) {
      const int processor = processors.empty() ? -1 : processors[static_cast<size_t>(index)];
      threads.emplace_back([&attempt, processor, index, program] {
        if (processor >= 0) MoveThreadTo(processor);
        RunWorker(attempt, index, program);
      });
    }
  } catch (const std::system_error& error) {
    attempt.failure().Report(absl::ResourceExhaustedError(
        Format("cannot start the thread of %s: %s; use fewer workers, or allow more threads "
               "(ulimit -u)",
               attempt.Describe(attempt.run().topology().first_worker() +
                                static_cast<int>(threads.size()) + 1),
               error.what())));
  } catch (const std::bad_alloc&) {
    attempt.failure().ReportOutOfMemory();
  }
  return threads;
}

absl::Status RunAttempt(Attempt& attempt, Program program) {
  std::vector<std::thread> threads = StartThreads(attempt, program);
  RunWorker(attempt, 0, program);
  for (std::thread& thread : threads) thread.join();
  Network* const network = attempt.network();
  if (network == nullptr) return attempt.failure().marked_status();
  // Other threads wake the network, which the caller destroys next.
  const absl::Cleanup close = [&attempt] { attempt.CloseToThreads(); };
  try {
    return network->Finish();
  } catch (const std::bad_alloc&) {
    attempt.failure().ReportOutOfMemory();
    return attempt.failure().marked_status();
  }
}

// Waits on the real clock, since that of the run may be moved by its workers alone. Returns early
// if a stop is requested, perhaps by a signal handler.
void WaitForRestart(absl::Duration wait, const StopHandle& stop) {
  const FileDescriptor stopped(eventfd(0, EFD_CLOEXEC));
  const StopListener listener(stop, [&stopped] { eventfd_write(stopped.get(), 1); });
  if (stop.requested()) return;
  pollfd polled = {stopped.get(), POLLIN, 0};
  poll(&polled, 1, static_cast<int>(absl::ToInt64Milliseconds(wait)));
}

// Attempts until one succeeds, or restarts are of no use.
absl::Status AttemptAgain(absl::FunctionRef<absl::Status(const RunOptions&)> attempt,
                          const RunOptions& options) {
  RealClock real_clock;
  Clock& clock = options.clock != nullptr ? *options.clock : real_clock;
  Restarts restarts(*options.restart);
  RunOptions current = options;
  for (;;) {
    const absl::Status status = attempt(current);
    if (status.ok() || options.stop.requested()) return status;
    const std::optional<absl::Duration> wait = restarts.AfterFailure(status, clock.NowNanos());
    if (!wait.has_value()) return status;
    Log(options.log_hook, LogSeverity::kWarning,
        absl::StrFormat("the run has failed, and resumes in %s: %s", absl::FormatDuration(*wait),
                        status.message()));
    WaitForRestart(*wait, options.stop);
    if (options.stop.requested()) return status;
    // The others wait for a lost process until it is started again.
    current.cluster.connect_timeout =
        std::max(options.cluster.connect_timeout, options.restart->window);
  }
}

}  // namespace

absl::Status Run(Program program, const Placement& placement, const RunOptions& options) {
  const int workers = placement.workers_per_process();
  HEADWAY_RETURN_IF_ERROR(ValidateOptions(workers, options));
  std::optional<StopOnSignals> stop_on_signals;
  if (options.stop_on_signals) stop_on_signals.emplace(options.stop);
  RunIdentity identity;
  const auto attempt = [&](const RunOptions& current) -> absl::Status {
    ++identity.attempts;
    try {
      return placement.Place(
          current, [&](const RunOptions& run, std::unique_ptr<Transport> transport) {
            return RunProcess(program, run, workers, std::move(transport), &identity);
          });
    } catch (const std::bad_alloc&) {  // before the processes of the run, or after them
      return absl::ResourceExhaustedError("the program is out of memory");
    }
  };
  return WithoutMark(options.restart.has_value() ? AttemptAgain(attempt, options)
                                                 : attempt(options));
}

absl::Status RunProcess(Program program, const RunOptions& options, int workers,
                        std::unique_ptr<Transport> transport, RunIdentity* identity) {
  RunIdentity own_identity;
  Topology topology{.workers_per_process = workers};
  if (transport != nullptr && transport->process_count() == 1) transport = nullptr;
  if (transport != nullptr) {
    topology.process = transport->process_id();
    topology.process_count = transport->process_count();
  }
  std::optional<RunContext> run;
  std::optional<Attempt> attempt;
  std::optional<Network> network;
  std::optional<Recovery> recovery;
  if (options.waiting == Waiting::kSpin && !EachHasAProcessor(workers)) {
    Log(options.log_hook, LogSeverity::kWarning,
        absl::StrFormat(
            "%d workers spin (Waiting::kSpin), but there are fewer processors: a worker that waits "
            "takes the processor from the one that it waits for, which is 100 to 1,000 times "
            "slower. Use fewer workers, or Waiting::kSpinThenPark",
            workers));
  }
  try {
    run.emplace(topology, options);
    attempt.emplace(*run);
    if (transport != nullptr) {
      network.emplace(*attempt, std::move(transport));
      attempt->set_network(&*network, network->ProcessNames());
    }
    if (options.recovery_config.has_value()) {
      recovery.emplace(
          *run, attempt->resume_point(), identity != nullptr ? *identity : own_identity,
          [&attempt](const absl::Status& failure) { attempt->failure().Report(failure); });
      attempt->resume_point().recovery = &*recovery;
    }
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(
        Format("not enough memory for the connections of %d workers; use fewer workers", workers));
  } catch (const std::system_error& error) {
    return absl::ResourceExhaustedError(
        Format("process %d cannot start the thread of the network's watchdog: %s; allow "
               "more threads (ulimit -u)",
               topology.process, error.what()));
  }
  return RunAttempt(*attempt, program);
}

}  // namespace headway::internal
