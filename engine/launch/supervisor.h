#ifndef HEADWAY_ENGINE_LAUNCH_SUPERVISOR_H_
#define HEADWAY_ENGINE_LAUNCH_SUPERVISOR_H_

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "engine/launch/child_process.h"
#include "engine/runtime/config.h"

namespace headway::internal {

struct ChildProcessesOptions {
  int process_count = 1;
  // After the first failure the other children have this long to end by themselves, then they are
  // killed. After the loss of a child, which all of them notice at once, they have at most a
  // second.
  absl::Duration patience = absl::Seconds(11);
  // A graceful stop is requested by this handle, or by a readable descriptor (-1: absent; not
  // owned, not read). In the children it is requested through this handle.
  StopHandle stop = {};
  int stop_descriptor = -1;
  // If SIGPIPE killed a child, since the reader of its output has ended, it ends this process too.
  bool end_by_sigpipe = false;
};

// Forks `process_count` children that are connected with each other by stream sockets, runs `body`
// in each, and waits until all have ended. No child outlives the call, or the calling thread.
//
// Returns the first failure, by cause: a child's own failure, or its death, is preferred to the
// secondary failures of the others (failure_origin.h). Errors: FailedPrecondition if this process
// has other threads; ResourceExhausted if the children or their sockets cannot be made.
absl::Status RunChildProcesses(const ChildProcessesOptions& options, ChildBody body);

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_LAUNCH_SUPERVISOR_H_
