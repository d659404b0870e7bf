#ifndef HEADWAY_ENGINE_STEP_EPOCH_PARTICIPANT_H_
#define HEADWAY_ENGINE_STEP_EPOCH_PARTICIPANT_H_

#include <optional>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "engine/state/keyed_state.h"
#include "progress/location_id.h"
#include "progress/product.h"
#include "progress/timestamp.h"

namespace headway {

namespace internal {

// The epoch of a time of any scope.
inline Epoch EpochOf(Epoch epoch) { return epoch; }
template <class Outer, class Inner>
Epoch EpochOf(const Product<Outer, Inner>& time) {
  return EpochOf(time.outer);
}

}  // namespace internal

// A node that takes part in the ends of epochs: a source with its position, a keyed step with its
// state, a sink with its flush. GraphParts::participants lists those of a worker's dataflow.
// Belongs to the worker's thread.
//
// Invariants:
//  1. A node closes an epoch once, and epochs in ascending order. It may skip an epoch in which it
//     received nothing.
//  2. When an epoch closes, the node has applied all batches of it and of earlier epochs; if the
//     run applies in epoch order, none of later epochs.
//  3. The epoch is not complete in the dataflow (Graph::completion) before it is closed, that is,
//     before the listener returns. Frontiers within the dataflow may pass the epoch earlier.
class EpochParticipant : public StateBase {
 public:
  using Listener = absl::AnyInvocable<void(EpochParticipant&, Epoch)>;

  explicit EpochParticipant(std::string step_id) : step_id_(std::move(step_id)) {}

  // The full step id, under which the snapshots are stored.
  const std::string& step_id() const { return step_id_; }

  // Whether each worker restores all entries of the step, not only those that RouteHash gives it.
  // The partitions of a source are divided among the workers by another rule.
  virtual bool restores_everywhere() const { return false; }

  // Sets the function that is called with each epoch that closes. It may take a snapshot.
  // REQUIRES: the dataflow is being built.
  void SetListener(Listener listener) { listener_ = std::move(listener); }

  // The location of the root scope whose frontier passes an epoch only when the node has closed it
  // on all workers; nullopt if the node is in a nested scope, where no location speaks of epochs
  // alone.
  std::optional<LocationId> ends() const { return ends_; }
  void SetEnds(std::optional<LocationId> ends) { ends_ = ends; }

  // For the node itself: the epoch is closed.
  void TellClosed(Epoch epoch) {
    if (listener_) listener_(*this, epoch);
  }

 private:
  const std::string step_id_;
  std::optional<LocationId> ends_;
  Listener listener_;
};

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_EPOCH_PARTICIPANT_H_
