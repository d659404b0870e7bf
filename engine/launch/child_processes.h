#ifndef HEADWAY_ENGINE_LAUNCH_CHILD_PROCESSES_H_
#define HEADWAY_ENGINE_LAUNCH_CHILD_PROCESSES_H_

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "engine/launch/child_process.h"
#include "engine/runtime/config.h"

namespace headway::internal {

struct ChildProcessesOptions {
  int process_count = 1;
  // After the first failure the others get this long to end by themselves, and after the loss of
  // one of them, which all see at the same time, a second at most; then they are killed.
  absl::Duration patience = absl::Seconds(11);
  // A graceful stop is asked for by this handle, or by a descriptor that becomes readable (-1:
  // none; not owned, and not read). In the children it is this handle that is asked.
  StopHandle stop = {};
  int stop_descriptor = -1;
};

// Forks `process_count` children that are connected with each other by stream sockets, runs `body`
// in each, and waits until all have ended. No child outlives the call, or the calling thread.
//
// Returns the first failure, by cause: what a child reports of itself, or that it was killed, comes
// before what the others report because they miss it, or were told of it (failure_origin.h).
// FailedPrecondition if this process has other threads, ResourceExhausted if the children or their
// sockets cannot be made.
absl::Status RunChildProcesses(const ChildProcessesOptions& options, ChildBody body);

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_LAUNCH_CHILD_PROCESSES_H_
