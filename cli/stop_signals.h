#ifndef HEADWAY_CLI_STOP_SIGNALS_H_
#define HEADWAY_CLI_STOP_SIGNALS_H_

#include "absl/status/statusor.h"

namespace headway::cli {

// Installs handlers of SIGINT and SIGTERM: the first signal makes the returned descriptor readable,
// a second one ends the process, also as process 1 of a container. An ignored signal stays ignored.
// ResourceExhausted: the system is out of descriptors.
//
// REQUIRES: it is called once, before the process has other threads.
absl::StatusOr<int> HandleStopSignals();

}  // namespace headway::cli

#endif  // HEADWAY_CLI_STOP_SIGNALS_H_
