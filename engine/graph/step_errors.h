#ifndef HEADWAY_ENGINE_GRAPH_STEP_ERRORS_H_
#define HEADWAY_ENGINE_GRAPH_STEP_ERRORS_H_

#include <stdexcept>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "engine/runtime/worker_context.h"

namespace headway::internal {

// Unwinds the stack out of a step that failed. Thrown after the failure was recorded; never leaves
// the library.
struct StepFailed {};

// Thrown for an error of the caller that no graph can report, since the graph is gone. Reported
// where it leaves user code, as FailedPrecondition.
struct CallerError : std::logic_error {
  using std::logic_error::logic_error;
};

// Ends the run with errors that name the step, the dataflow and the worker. The first failure of a
// run wins; later ones are dropped. An empty step id stands for the dataflow as a whole.
//
// Belongs to its graph and the worker's thread. `dataflow` outlives the object.
class StepErrors {
 public:
  StepErrors(WorkerContext& worker, const std::string& dataflow)
      : worker_(worker), dataflow_(dataflow) {}

  void Fail(std::string_view step_id, const absl::Status& status);
  [[noreturn]] void FailAndThrow(std::string_view step_id, const absl::Status& status);
  // Records the exception that is being handled: Aborted, or ResourceExhausted when memory ran out.
  // Then throws StepFailed.
  [[noreturn]] void FailWithCurrentException(std::string_view step_id);

  // Runs user code. An exception that leaves `f` fails the step, and StepFailed propagates. `Id` is
  // a std::string or a literal, so that the common path does not copy it.
  template <class Id, class F>
  void Guard(const Id& step_id, F&& f) {
    try {
      f();
    } catch (const StepFailed&) {
      throw;
    } catch (...) {
      FailWithCurrentException(step_id);
    }
  }

 private:
  WorkerContext& worker_;
  const std::string& dataflow_;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_GRAPH_STEP_ERRORS_H_
