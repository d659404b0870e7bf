#include "engine/graph/push.h"

#include "absl/status/status.h"

namespace headway::internal {

void CurrentPush::FailNested(const OutputPortBase& port) const {
  errors_.FailAndThrow(
      port.node().step_id(),
      absl::FailedPreconditionError(
          "records were sent to it by a function of the same dataflow that was called with a "
          "batch; keep the records, and send them when the worker's step is over"));
}

}  // namespace headway::internal
