#ifndef HEADWAY_ENGINE_PROGRAM_H_
#define HEADWAY_ENGINE_PROGRAM_H_

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "engine/worker.h"

namespace headway {

class Dataflow;

namespace internal {

// Everything that one worker does in a run. Called once on each worker, concurrently. An error, or
// an exception, ends the run.
using Program = absl::FunctionRef<absl::Status(Worker&)>;

// Builds a dataflow and steps until it is complete, or until a graceful stop: the program of
// RunMain.
class DataflowProgram {
 public:
  explicit DataflowProgram(const Dataflow& dataflow) : dataflow_(dataflow) {}
  absl::Status operator()(Worker& worker) const;

 private:
  const Dataflow& dataflow_;
};

// Calls a function of the host, then steps until the dataflows that it built are complete: the
// program of Execute.
class HostProgram {
 public:
  explicit HostProgram(absl::FunctionRef<absl::Status(Worker&)> function) : function_(function) {}
  absl::Status operator()(Worker& worker) const;

 private:
  const absl::FunctionRef<absl::Status(Worker&)> function_;
};

}  // namespace internal
}  // namespace headway

#endif  // HEADWAY_ENGINE_PROGRAM_H_
