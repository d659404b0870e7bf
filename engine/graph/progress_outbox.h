#ifndef HEADWAY_ENGINE_GRAPH_PROGRESS_OUTBOX_H_
#define HEADWAY_ENGINE_GRAPH_PROGRESS_OUTBOX_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/runtime/worker_context.h"
#include "progress/tracker.h"

namespace headway::internal {

// Publishes the rounds of a graph in this worker's log, for all other workers and processes. While
// the log is full a round waits here, and later ones add up in the tracker. So rounds are published
// whole and in order, and memory is bounded by one round.
//
// Belongs to its graph and the worker's thread.
class ProgressOutbox {
 public:
  ProgressOutbox(WorkerContext& worker, uint32_t graph_id)
      : worker_(worker), graph_id_(graph_id), alone_(worker.count() == 1) {}

  // Returns true if a round waits for room in the log.
  bool unsent() const { return unsent_; }

  // Publishes the net changes of the tracker as one round. Returns false if there are none, or if
  // an earlier round still waits. After true the tracker has to propagate.
  bool Publish(Tracker& tracker) {
    if (unsent_ && !Send()) return false;
    if (!tracker.HasPending()) return false;
    round_.clear();
    if (!tracker.Publish(alone_ ? nullptr : &round_)) return false;
    if (!alone_) Send();
    return true;
  }

 private:
  // Returns true if the log had room for the round.
  bool Send();

  WorkerContext& worker_;
  const uint32_t graph_id_;
  const bool alone_;
  std::vector<std::byte> round_;
  bool unsent_ = false;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_GRAPH_PROGRESS_OUTBOX_H_
