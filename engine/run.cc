#include "headway/engine/run.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <new>
#include <optional>
#include <system_error>
#include <thread>
#include <vector>

#include "absl/strings/str_format.h"
#include "headway/engine/source_control.h"

namespace headway {
namespace {

absl::Status Validate(int workers, const RunOptions& options) {
  constexpr int kMaxWorkers = 256;
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
  const auto* periodic = std::get_if<PeriodicEpochConfig>(&options.epoch_config);
  if (periodic != nullptr && periodic->epoch_length <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("epoch_length must be positive, not %s; to close an epoch after each item "
                        "use TestingEpochConfig",
                        absl::FormatDuration(periodic->epoch_length)));
  }
  return absl::OkStatus();
}

void RunWorker(internal::RunState& run, int index,
               absl::FunctionRef<absl::Status(Worker&)> program) {
  try {
    Worker worker(run, index);
    absl::Status status = program(worker);
    if (!status.ok()) run.Fail(status);
  } catch (const std::exception& error) {
    run.Fail(absl::AbortedError(
        absl::StrFormat("the program of worker %d threw: %s", index, error.what())));
  } catch (...) {
    run.Fail(absl::AbortedError(absl::StrFormat(
        "the program of worker %d threw an exception that is no std::exception", index)));
  }
}

// Agreement of the workers on the epoch at which a graceful stop ends the run: the latest that any
// source has reached.
class StopAgreement {
 public:
  explicit StopAgreement(int workers) : missing_(workers) {}

  void Propose(Epoch epoch) {
    Epoch seen = epoch_.load();
    while (seen < epoch && !epoch_.compare_exchange_weak(seen, epoch)) {
    }
    missing_.fetch_sub(1);
  }
  bool Reached() const { return missing_.load() == 0; }
  Epoch epoch() const { return epoch_.load(); }

 private:
  std::atomic<Epoch> epoch_{0};
  std::atomic<int> missing_;
};

// While the workers agree on a stop, an idle one looks this often.
constexpr absl::Duration kStopPoll = absl::Milliseconds(1);

absl::Status RunUntilDone(Worker& worker, const RunOptions& options, StopAgreement& agreement) {
  absl::Status status =
      worker.StepWhile([&] { return worker.HasDataflows() && !options.stop.requested(); });
  if (!status.ok()) return status;
  if (!worker.HasDataflows()) {
    agreement.Propose(0);
    return absl::OkStatus();
  }
  Epoch next = 0;
  for (internal::SourceControl* source : worker.Sources())
    next = std::max(next, source->epoch() + 1);
  agreement.Propose(next);
  while (status.ok() && worker.HasDataflows() && !agreement.Reached()) {
    status = worker.StepOrPark(kStopPoll);
  }
  for (internal::SourceControl* source : worker.Sources()) source->StopAt(agreement.epoch());
  while (status.ok() && worker.HasDataflows() && !worker.CompletedBefore(agreement.epoch())) {
    status = worker.StepOrPark(kStopPoll);
  }
  return status;
}

absl::Status RunThreads(int workers, const RunOptions& options,
                        absl::FunctionRef<absl::Status(Worker&)> program) {
  std::optional<internal::RunState> made;
  try {
    made.emplace(workers, options);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "not enough memory for the connections of %d workers; use fewer workers", workers));
  }
  internal::RunState& run = *made;
  std::vector<std::thread> threads;
  for (int index = 1; index < workers; ++index) {
    try {
      threads.emplace_back([&run, index, program] { RunWorker(run, index, program); });
    } catch (const std::system_error& error) {
      run.Fail(absl::ResourceExhaustedError(absl::StrFormat(
          "cannot start the thread of worker %d: %s; use fewer workers", index, error.what())));
      break;
    }
  }
  RunWorker(run, 0, program);
  for (std::thread& thread : threads) thread.join();
  return run.status();
}

}  // namespace

absl::Status Execute(const Config& config, absl::FunctionRef<absl::Status(Worker&)> program) {
  if (absl::Status status = Validate(config.workers, config.run); !status.ok()) return status;
  return RunThreads(config.workers, config.run, [&](Worker& worker) {
    absl::Status status = program(worker);
    if (status.ok()) worker.EndBuilding();
    return status.ok() ? worker.StepWhile([&] { return worker.HasDataflows(); }) : status;
  });
}

absl::Status RunMain(const Dataflow& dataflow, const RunOptions& options) {
  if (absl::Status status = Validate(options.worker_count, options); !status.ok()) return status;
  StopAgreement agreement(options.worker_count);
  return RunThreads(options.worker_count, options, [&](Worker& worker) {
    absl::Status status =
        worker.Build(dataflow.name(), [&](Scope<>& scope) { dataflow.Build(scope); });
    return status.ok() ? RunUntilDone(worker, options, agreement) : status;
  });
}

}  // namespace headway
