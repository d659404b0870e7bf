#ifndef HEADWAY_ENGINE_STEP_STEP_STATE_H_
#define HEADWAY_ENGINE_STEP_STEP_STATE_H_

#include <cstddef>
#include <cstdint>

#include "engine/state/keyed_state.h"
#include "engine/state/timers.h"
#include "engine/step/epoch_participant.h"

namespace headway::internal {

// The state and the timers of a step's keys on a worker, as its snapshots contain them.
template <class K, class S>
class StepState final : public EpochParticipant {
 public:
  using EpochParticipant::EpochParticipant;

  KeyedState<K, S>& states() { return states_; }
  // By nanoseconds since 1970.
  Timers<K, int64_t>& clock_timers() { return clock_timers_; }
  Timers<K, Epoch>& epoch_timers() { return epoch_timers_; }

  void TrackChanges() override {
    states_.TrackChanges();
    clock_timers_.TrackChanges();
    epoch_timers_.TrackChanges();
  }

  void Snapshot(absl::FunctionRef<void(const StateEntry&)> write) override {
    states_.Snapshot(write);
    clock_timers_.Snapshot(write);
    epoch_timers_.Snapshot(write);
  }

  absl::Status Restore(const StateEntry& entry) override {
    if (entry.part.empty()) return states_.Restore(entry);
    if (entry.part[0] == kClockTimer) return clock_timers_.Restore(entry);
    return epoch_timers_.Restore(entry);
  }

 private:
  // Stored in snapshots: do not change.
  static constexpr std::byte kClockTimer{1};
  static constexpr std::byte kEpochTimer{2};

  KeyedState<K, S> states_;
  Timers<K, int64_t> clock_timers_{kClockTimer};
  Timers<K, Epoch> epoch_timers_{kEpochTimer};
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STEP_STEP_STATE_H_
