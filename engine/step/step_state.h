#ifndef HEADWAY_ENGINE_STEP_STEP_STATE_H_
#define HEADWAY_ENGINE_STEP_STEP_STATE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/graph/watermark.h"
#include "engine/state/keyed_state.h"
#include "engine/state/timers.h"
#include "engine/step/epoch_participant.h"

namespace headway {

// The first byte of the parts of a step's own state (KeyedStep::AddState).
inline constexpr std::byte kFirstOwnPart{16};

namespace internal {

// The state and the timers of a step's keys on a worker, as its snapshots contain them. A step may
// add state of its own, whose entries begin their part with a tag from kFirstOwnPart on.
template <class K, class S>
class StepState final : public EpochParticipant {
 public:
  using EpochParticipant::EpochParticipant;

  KeyedState<K, S>& states() { return states_; }
  // By nanoseconds since 1970.
  Timers<K, int64_t>& clock_timers() { return clock_timers_; }
  Timers<K, Epoch>& epoch_timers() { return epoch_timers_; }
  Timers<K, EventTime>& event_timers() { return event_timers_; }
  // Owned by the caller. REQUIRES: the dataflow is being built.
  void AddOwn(StateBase& state) { own_ = &state; }

  void ExpectEntries(size_t count) override { states_.ExpectEntries(count); }
  void TrackChanges() override {
    states_.TrackChanges();
    clock_timers_.TrackChanges();
    epoch_timers_.TrackChanges();
    event_timers_.TrackChanges();
    if (own_ != nullptr) own_->TrackChanges();
  }

  void Snapshot(absl::FunctionRef<void(const StateEntry&)> write) override {
    states_.Snapshot(write);
    clock_timers_.Snapshot(write);
    epoch_timers_.Snapshot(write);
    event_timers_.Snapshot(write);
    if (own_ != nullptr) own_->Snapshot(write);
  }

  absl::Status Restore(const StateEntry& entry) override {
    if (entry.part.empty()) return states_.Restore(entry);
    if (entry.part[0] == kClockTimer) return clock_timers_.Restore(entry);
    if (entry.part[0] == kEpochTimer) return epoch_timers_.Restore(entry);
    if (entry.part[0] == kEventTimer) return event_timers_.Restore(entry);
    if (own_ != nullptr) return own_->Restore(entry);
    return absl::DataLossError(
        "stored state has a part that the step does not know: it was written by another version of "
        "the step, or is damaged");
  }
  absl::Status RestoreEach(std::span<const StateEntry> entries) override {
    const auto is_state = [](const StateEntry& entry) { return entry.part.empty(); };
    if (std::ranges::all_of(entries, is_state)) return states_.RestoreEach(entries);
    return EpochParticipant::RestoreEach(entries);
  }

 private:
  // Stored in snapshots: do not change.
  static constexpr std::byte kClockTimer{1};
  static constexpr std::byte kEpochTimer{2};
  static constexpr std::byte kEventTimer{3};

  KeyedState<K, S> states_;
  Timers<K, int64_t> clock_timers_{kClockTimer};
  Timers<K, Epoch> epoch_timers_{kEpochTimer};
  Timers<K, EventTime> event_timers_{kEventTimer};
  StateBase* own_ = nullptr;
};

}  // namespace internal
}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_STEP_STATE_H_
