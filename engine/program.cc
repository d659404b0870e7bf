#include "engine/program.h"

#include <algorithm>
#include <optional>

#include "absl/time/time.h"
#include "engine/dataflow.h"
#include "engine/graph/source_control.h"
#include "engine/network/network.h"
#include "engine/runtime/attempt.h"
#include "engine/runtime/status_macros.h"
#include "engine/worker.h"

namespace headway::internal {
namespace {

// Between two polls of the agreement on a stop. Its end does not wake a sleeping worker.
constexpr absl::Duration kStopPoll = absl::Milliseconds(1);

void ProposeStop(Attempt& attempt, Epoch epoch) {
  const std::optional<Epoch> of_process = attempt.stop_agreement().Propose(epoch);
  if (of_process.has_value() && attempt.network() != nullptr) {
    attempt.network()->AnnounceStopAt(*of_process);
  }
}

// Stops the sources at the epoch that all workers agree on, and completes the epochs before it.
absl::Status StopGracefully(Worker& worker) {
  Attempt& attempt = worker.attempt();
  Epoch next = 0;
  for (SourceControl* source : worker.Sources()) next = std::max(next, source->epoch() + 1);
  ProposeStop(attempt, next);
  absl::Status status;
  std::optional<Epoch> agreed;
  while (status.ok() && worker.HasDataflows() && !agreed.has_value()) {
    status = worker.StepOrPark(kStopPoll);
    agreed = attempt.stop_agreement().Agreed();
  }
  if (!agreed.has_value()) return status;
  for (SourceControl* source : worker.Sources()) source->StopAt(*agreed);
  while (status.ok() && worker.HasDataflows() && !worker.CompletedBefore(*agreed)) {
    status = worker.StepOrPark(kStopPoll);
  }
  return status;
}

// Steps until every dataflow is complete, or until a graceful stop is.
absl::Status RunUntilDone(Worker& worker) {
  Attempt& attempt = worker.attempt();
  HEADWAY_RETURN_IF_ERROR(
      worker.StepWhile([&] { return worker.HasDataflows() && !attempt.run().stop_requested(); }));
  if (worker.HasDataflows()) return StopGracefully(worker);
  ProposeStop(attempt, 0);  // others may be stopping, and wait for the proposal of each worker
  return absl::OkStatus();
}

}  // namespace

absl::Status DataflowProgram::operator()(Worker& worker) const {
  HEADWAY_RETURN_IF_ERROR(
      worker.Build(dataflow_.name(), [&](Scope<>& scope) { dataflow_.Build(scope); }));
  return RunUntilDone(worker);
}

absl::Status HostProgram::operator()(Worker& worker) const {
  HEADWAY_RETURN_IF_ERROR(function_(worker));
  worker.EndBuilding();
  HEADWAY_RETURN_IF_ERROR(RunUntilDone(worker));
  // A stop ends sources. Dataflows that the host feeds by hand end with their inputs.
  return worker.StepWhile([&] { return worker.HasDataflowsFedByHand(); });
}

}  // namespace headway::internal
