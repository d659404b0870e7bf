#include "engine/program.h"

#include "engine/agree_on_resume.h"
#include "engine/dataflow.h"
#include "engine/recovery/recovery.h"
#include "engine/runtime/attempt.h"
#include "engine/runtime/status_macros.h"
#include "engine/worker.h"

namespace headway::internal {
namespace {

// Stops the sources, and works off everything that they have emitted. Steps hold capabilities for
// it, or follow the frontier to kStopEpoch.
absl::Status StopGracefully(Worker& worker) {
  worker.StopSources();
  return worker.StepWhile([&] { return worker.HasDataflows() && !worker.CompletedStop(); });
}

// Steps until every dataflow is complete, or until a graceful stop is.
absl::Status RunUntilDone(Worker& worker) {
  Attempt& attempt = worker.attempt();
  HEADWAY_RETURN_IF_ERROR(
      worker.StepWhile([&] { return worker.HasDataflows() && !attempt.run().stop_requested(); }));
  return worker.HasDataflows() ? StopGracefully(worker) : absl::OkStatus();
}

// Calls `program` between the agreement on where to resume and the last commit, if the run has a
// recovery store.
template <class F>
absl::Status WithRecovery(Worker& worker, F&& program) {
  Recovery* const recovery = worker.attempt().resume_point().recovery;
  if (recovery == nullptr) return program();
  HEADWAY_RETURN_IF_ERROR(AgreeOnResume(worker, *recovery));
  HEADWAY_RETURN_IF_ERROR(program());
  return recovery->Finish(worker.index());
}

}  // namespace

absl::Status DataflowProgram::operator()(Worker& worker) const {
  return WithRecovery(worker, [&]() -> absl::Status {
    HEADWAY_RETURN_IF_ERROR(
        worker.Build(dataflow_.name(), [&](Scope<>& scope) { dataflow_.Build(scope); }));
    worker.EndBuilding();
    return RunUntilDone(worker);
  });
}

absl::Status HostProgram::operator()(Worker& worker) const {
  return WithRecovery(worker, [&]() -> absl::Status {
    HEADWAY_RETURN_IF_ERROR(function_(worker));
    worker.EndBuilding();
    HEADWAY_RETURN_IF_ERROR(RunUntilDone(worker));
    // A stop ends sources. Dataflows that the host feeds by hand end with their inputs.
    return worker.StepWhile([&] { return worker.HasDataflowsFedByHand(); });
  });
}

}  // namespace headway::internal
