#include "engine/run.h"

#include <algorithm>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_format.h"
#include "comm/system/thread_placement.h"
#include "engine/graph/source_control.h"
#include "engine/run_process.h"
#include "engine/runtime/network.h"

namespace headway {
namespace {

using Program = absl::FunctionRef<absl::Status(internal::Attempt&, Worker&)>;

// The run fails with the exception that is being handled.
void FailWithCurrentException(internal::Attempt& attempt, int worker) {
  std::string what;
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return attempt.failure().ReportOutOfMemory();
  } catch (const std::exception& error) {
    what = error.what();
  } catch (...) {
    what = "an exception that is no std::exception";
  }
  attempt.failure().Report(absl::AbortedError(
      absl::StrFormat("the program of %s threw: %s", attempt.Describe(worker), what)));
}

void RunWorker(internal::Attempt& attempt, int local_index, Program program) {
  try {
    try {
      Worker worker(attempt, local_index);
      absl::Status status = program(attempt, worker);
      if (!status.ok()) attempt.failure().Report(status);
    } catch (...) {
      FailWithCurrentException(attempt, attempt.run().topology().first_worker() + local_index);
    }
  } catch (const std::bad_alloc&) {  // there was none left for the message
    attempt.failure().ReportOutOfMemory();
  }
}

// While the workers agree on a stop, an idle one looks this often.
constexpr absl::Duration kStopPoll = absl::Milliseconds(1);

void ProposeStop(internal::Attempt& attempt, Epoch epoch) {
  const std::optional<Epoch> of_process = attempt.stop_agreement().Propose(epoch);
  if (of_process.has_value() && attempt.network() != nullptr) {
    attempt.network()->AnnounceStopAt(*of_process);
  }
}

absl::Status RunUntilDone(internal::Attempt& attempt, Worker& worker) {
  absl::Status status =
      worker.StepWhile([&] { return worker.HasDataflows() && !attempt.run().stop_requested(); });
  if (!status.ok()) return status;
  if (!worker.HasDataflows()) {
    ProposeStop(attempt, 0);
    return absl::OkStatus();
  }
  Epoch next = 0;
  for (internal::SourceControl* source : worker.Sources())
    next = std::max(next, source->epoch() + 1);
  ProposeStop(attempt, next);
  std::optional<Epoch> agreed;
  while (status.ok() && worker.HasDataflows() && !agreed.has_value()) {
    status = worker.StepOrPark(kStopPoll);
    agreed = attempt.stop_agreement().Agreed();
  }
  if (!agreed.has_value()) return status;
  for (internal::SourceControl* source : worker.Sources()) source->StopAt(*agreed);
  while (status.ok() && worker.HasDataflows() && !worker.CompletedBefore(*agreed)) {
    status = worker.StepOrPark(kStopPoll);
  }
  return status;
}

absl::Status RunThreads(const RunOptions& options, int workers,
                        std::unique_ptr<internal::Transport> transport, Program program) {
  if (absl::Status status = internal::ValidateRun(workers, options); !status.ok()) return status;
  internal::Topology topology{.workers_per_process = workers};
  if (transport != nullptr && transport->process_count() == 1) transport = nullptr;
  if (transport != nullptr) {
    topology.process = transport->process_id();
    topology.process_count = transport->process_count();
  }
  std::optional<internal::RunContext> run;
  std::optional<internal::Attempt> made;
  std::optional<internal::Network> network;
  std::vector<std::thread> threads;
  try {
    threads.reserve(static_cast<size_t>(workers));
    run.emplace(topology, options);
    made.emplace(*run);
    if (transport != nullptr) {
      network.emplace(*made, std::move(transport));
      made->set_network(&*network);
    }
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "not enough memory for the connections of %d workers; use fewer workers", workers));
  } catch (const std::system_error& error) {
    return absl::ResourceExhaustedError(
        absl::StrFormat("cannot start the network's watchdog: %s", error.what()));
  }
  internal::Attempt& attempt = *made;
  const std::vector<int> processors = internal::ProcessorsForThreads(workers);
  for (int index = 1; index < workers; ++index) {
    try {
      threads.emplace_back([&attempt, &processors, index, program] {
        if (!processors.empty()) internal::MoveThreadTo(processors[static_cast<size_t>(index)]);
        RunWorker(attempt, index, program);
      });
    } catch (const std::system_error& error) {
      attempt.failure().Report(absl::ResourceExhaustedError(absl::StrFormat(
          "cannot start the thread of worker %d: %s; use fewer workers", index, error.what())));
      break;
    } catch (const std::bad_alloc&) {
      attempt.failure().ReportOutOfMemory();
      break;
    }
  }
  RunWorker(attempt, 0, program);
  for (std::thread& thread : threads) thread.join();
  if (!network.has_value()) return attempt.failure().marked_status();
  const absl::Cleanup close = [&attempt] {
    attempt.CloseToThreads();
  };  // they would wake the network
  try {
    return network->Finish();
  } catch (const std::bad_alloc&) {
    attempt.failure().ReportOutOfMemory();
    return attempt.failure().marked_status();
  }
}

}  // namespace

absl::Status internal::ValidateRun(int workers, const RunOptions& options) {
  constexpr int kMaxWorkers = 256;
  constexpr Epoch kMaxFirstEpoch = Epoch{1} << 63;
  constexpr size_t kMinFrameBytes = size_t{64} << 10;  // a batch of plain records fits easily
  if (workers < 1 || workers > kMaxWorkers) {
    return absl::InvalidArgumentError(
        absl::StrFormat("a run needs 1 to %d workers, not %d", kMaxWorkers, workers));
  }
  if (options.max_epochs_in_flight < 1) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "max_epochs_in_flight must be at least 1, not %d", options.max_epochs_in_flight));
  }
  if (options.max_bytes_in_flight < 1) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "max_bytes_in_flight must be positive, not %d", options.max_bytes_in_flight));
  }
  if (options.first_epoch > kMaxFirstEpoch) {
    return absl::InvalidArgumentError(
        absl::StrFormat("first_epoch must be at most %d, so that epochs can follow, not %d",
                        kMaxFirstEpoch, options.first_epoch));
  }
  const ClusterConfig& cluster = options.cluster;
  if (cluster.connect_timeout <= absl::ZeroDuration() ||
      cluster.peer_timeout <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "connect_timeout and peer_timeout must be positive, not %s and %s",
        absl::FormatDuration(cluster.connect_timeout), absl::FormatDuration(cluster.peer_timeout)));
  }
  if (cluster.max_frame_bytes < kMinFrameBytes) {
    return absl::InvalidArgumentError(absl::StrFormat("max_frame_bytes must be at least %d, not %d",
                                                      kMinFrameBytes, cluster.max_frame_bytes));
  }
  const auto* periodic = std::get_if<PeriodicEpochConfig>(&options.epoch_config);
  if (periodic != nullptr && periodic->epoch_length <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("epoch_length must be positive, not %s; to close an epoch after each item "
                        "use TestingEpochConfig",
                        absl::FormatDuration(periodic->epoch_length)));
  }
  return absl::OkStatus();
}

absl::Status Execute(const Config& config, absl::FunctionRef<absl::Status(Worker&)> program) {
  return internal::ExecuteProcess(config.run, config.workers, nullptr, program);
}

absl::Status RunMain(const Dataflow& dataflow, const RunOptions& options) {
  return internal::RunProcess(dataflow, options, options.worker_count, nullptr);
}

absl::Status internal::ExecuteProcess(const RunOptions& options, int workers,
                                      std::unique_ptr<Transport> transport,
                                      absl::FunctionRef<absl::Status(Worker&)> program) {
  return RunThreads(options, workers, std::move(transport), [&](Attempt& attempt, Worker& worker) {
    absl::Status status = program(worker);
    if (!status.ok()) return status;
    worker.EndBuilding();
    status = RunUntilDone(attempt, worker);
    // A stop asks sources; what the host feeds by hand ends with its inputs.
    return status.ok() ? worker.StepWhile([&] { return worker.HasDataflowsFedByHand(); }) : status;
  });
}

absl::Status internal::RunProcess(const Dataflow& dataflow, const RunOptions& options, int workers,
                                  std::unique_ptr<Transport> transport) {
  return RunThreads(options, workers, std::move(transport), [&](Attempt& attempt, Worker& worker) {
    absl::Status status =
        worker.Build(dataflow.name(), [&](Scope<>& scope) { dataflow.Build(scope); });
    return status.ok() ? RunUntilDone(attempt, worker) : status;
  });
}

}  // namespace headway
