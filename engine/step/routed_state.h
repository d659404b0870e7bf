#ifndef HEADWAY_ENGINE_STEP_ROUTED_STATE_H_
#define HEADWAY_ENGINE_STEP_ROUTED_STATE_H_

#include <string>
#include <utility>

#include "comm/codec/stable_hash.h"
#include "engine/state/keyed_state.h"
#include "engine/step/epoch_participant.h"

namespace headway::internal {

// State under keys of an operator, which its inputs close. An entry belongs to the worker to which
// records with the value route(key) are exchanged.
template <class K, class S, class Route>
class RoutedState final : public EpochParticipant {
 public:
  RoutedState(std::string step_id, Route route)
      : EpochParticipant(std::move(step_id)), route_(std::move(route)) {}

  KeyedState<K, S>& states() { return states_; }

  void TrackChanges() override { states_.TrackChanges(); }
  void Snapshot(absl::FunctionRef<void(const StateEntry&)> write) override {
    states_.SnapshotRouted(
        [this](typename KeyedState<K, S>::KeyView key) { return StableHash(route_(key)); }, write);
  }
  absl::Status Restore(const StateEntry& entry) override { return states_.Restore(entry); }

 private:
  Route route_;
  KeyedState<K, S> states_;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STEP_ROUTED_STATE_H_
