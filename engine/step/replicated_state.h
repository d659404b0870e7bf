#ifndef HEADWAY_ENGINE_STEP_REPLICATED_STATE_H_
#define HEADWAY_ENGINE_STEP_REPLICATED_STATE_H_

#include <span>
#include <string>
#include <utility>

#include "comm/codec/stable_hash.h"
#include "engine/state/keyed_state.h"
#include "engine/step/epoch_participant.h"

namespace headway::internal {

// State under keys that is the same on all workers at the end of each epoch. An entry is written by
// the worker to which its key would be exchanged, and restored by all.
template <class K, class S>
class ReplicatedState final : public EpochParticipant {
 public:
  ReplicatedState(std::string step_id, int worker_index, int worker_count)
      : EpochParticipant(std::move(step_id)),
        worker_index_(worker_index),
        worker_count_(worker_count) {}

  KeyedState<K, S>& states() { return states_; }

  bool restores_everywhere() const override { return true; }

  void ExpectEntries(size_t count) override { states_.ExpectEntries(count); }
  void TrackChanges() override { states_.TrackChanges(); }
  void Snapshot(absl::FunctionRef<void(const StateEntry&)> write) override {
    states_.Snapshot([&](const StateEntry& entry) {
      if (RouteHash(entry.hash, worker_count_) == worker_index_) write(entry);
    });
  }
  absl::Status Restore(const StateEntry& entry) override { return states_.Restore(entry); }
  absl::Status RestoreEach(std::span<const StateEntry> entries) override {
    return states_.RestoreEach(entries);
  }

 private:
  const int worker_index_;
  const int worker_count_;
  KeyedState<K, S> states_;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STEP_REPLICATED_STATE_H_
