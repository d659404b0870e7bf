#ifndef HEADWAY_ENGINE_STEP_FLUSH_STATE_H_
#define HEADWAY_ENGINE_STEP_FLUSH_STATE_H_

#include "absl/time/time.h"

namespace headway {

// Whether a flush of a sink's writer is done; see sink.h.
struct FlushState {
  static FlushState Done() { return {}; }
  // The flush is asked for again after `wait`, or earlier if SinkContext::activator wakes the sink.
  static FlushState Pending(absl::Duration wait) { return {.done = false, .wait = wait}; }

  bool done = true;
  absl::Duration wait = absl::ZeroDuration();
};

// The record type of the stream that Output returns. There are no such records: the frontier of the
// stream says which epochs are flushed.
struct Flushed {};

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_FLUSH_STATE_H_
