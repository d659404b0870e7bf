#ifndef HEADWAY_ENGINE_GRAPH_SOURCE_CONTROL_H_
#define HEADWAY_ENGINE_GRAPH_SOURCE_CONTROL_H_

#include <optional>

#include "engine/graph/node.h"
#include "progress/timestamp.h"

namespace headway::internal {

// The requests of a run's entry point to a source of a dataflow. Belongs to the worker's thread.
class SourceControl {
 public:
  virtual ~SourceControl() = default;
  virtual Node& node() = 0;
  // The epoch in which the source would emit now.
  virtual Epoch epoch() const = 0;
  // Returns true if the source emits nothing more: its input has ended, or it was stopped.
  virtual bool ended() const = 0;
  // The earliest epoch whose completion the source awaits before it can emit, or close its epoch;
  // nullopt if it awaits none.
  virtual std::optional<Epoch> AwaitedEpoch() = 0;
  // Returns true if the source emits nothing, and closes no epoch, before an epoch is complete.
  virtual bool IsPaused() = 0;
  // Graceful stop: the source emits nothing more, closes the epochs before kStopEpoch, and keeps
  // its capability there, so that nothing sees the end of the input. Without effect the second
  // time.
  virtual void Stop() = 0;
  // Whether the source asks for the positions that are committed (source.h).
  virtual bool WatchesCommits() const = 0;
  // The epochs before `end` are committed.
  virtual void SetCommitted(Epoch end) = 0;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_GRAPH_SOURCE_CONTROL_H_
