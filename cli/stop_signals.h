#ifndef HEADWAY_CLI_STOP_SIGNALS_H_
#define HEADWAY_CLI_STOP_SIGNALS_H_

#include "absl/status/statusor.h"

namespace headway::cli {

// Handles SIGINT and SIGTERM from now on: the first makes the returned descriptor readable, a
// second one ends the process at once. One that is ignored stays so. To be called once, before
// there are other threads.
// ResourceExhausted: the system has no descriptor left.
absl::StatusOr<int> HandleStopSignals();

}  // namespace headway::cli

#endif  // HEADWAY_CLI_STOP_SIGNALS_H_
