#ifndef HEADWAY_ENGINE_STEP_SOURCE_STATE_H_
#define HEADWAY_ENGINE_STEP_SOURCE_STATE_H_

#include <optional>

#include "absl/time/time.h"
#include "progress/timestamp.h"

namespace headway {

// The result of a poll of a source's reader; see source.h.
struct SourceState {
  static SourceState More() { return {}; }
  static SourceState Done() { return {.done = true}; }
  // The reader is polled again after `wait`, or earlier if SourceContext::activator wakes it.
  static SourceState Idle(absl::Duration wait) { return {.wait = wait}; }
  // More, in the next epoch: the current one has no more records of this reader.
  static SourceState EndEpoch() { return {.ends_epoch = true}; }
  // The same with the number of the next epoch. An epoch before out.epoch(), or from kStopEpoch on,
  // ends the run with FailedPrecondition; out.epoch() itself is like More.
  static SourceState AdvanceTo(Epoch epoch) { return {.ends_epoch = true, .next_epoch = epoch}; }

  bool done = false;
  absl::Duration wait = absl::ZeroDuration();
  bool ends_epoch = false;
  std::optional<Epoch> next_epoch = std::nullopt;  // nullopt: the current one + 1
};

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_SOURCE_STATE_H_
