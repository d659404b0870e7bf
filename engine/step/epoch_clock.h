#ifndef HEADWAY_ENGINE_STEP_EPOCH_CLOCK_H_
#define HEADWAY_ENGINE_STEP_EPOCH_CLOCK_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "engine/graph/capability.h"
#include "engine/graph/graph.h"
#include "engine/runtime/snapshot_interval.h"
#include "engine/step/alarm.h"
#include "engine/step/epoch_participant.h"

namespace headway::internal {

// Decides in which epoch a source emits, when the epoch is closed, and when the source has to
// pause. Independent of the record type.
//
// At most max_epochs_in_flight epochs of the source are incomplete, the current one included. A
// timed epoch lasts longer than its length if the next one could not emit: it ends when enough of
// the earlier ones are complete. So the source emits again however long a completion takes. Epochs
// that end with their records cannot last longer: the source pauses instead.
class EpochClock {
 public:
  // Tells `participant` of each epoch before it is closed. An invalid config is an error of the
  // step.
  EpochClock(Graph& graph, Node& node, Capability<Epoch> capability, EpochParticipant& participant,
             const EpochConfig& config);

  Epoch epoch() const { return capability_.time(); }
  // The epoch of the snapshot that has the changes of the current epoch.
  Epoch SnapshotEpoch() const { return snapshots_.LastOf(epoch()); }
  // Returns true if all workers have closed the epoch, which is complete.
  bool IsComplete(Epoch epoch) const { return !graph_.completion().frontier().LessEqual(epoch); }
  bool finished() const { return !capability_.held(); }
  // Epochs have a length.
  bool is_timed() const { return length_nanos_ > 0; }
  // The number of records that one poll may emit in the current epoch; 0 to pause until earlier
  // epochs are complete.
  int64_t Budget();
  // After a poll that emitted this many records: closes the epoch if they complete it.
  void AfterPoll(int64_t emitted);
  // At each activation: closes a timed epoch whose time is over, with records or without. Otherwise
  // activates the node when it is over.
  void CloseDueEpochs();
  // Closes the current epoch at the request of the reader. Without a `next` it is the epoch after
  // the current one; an earlier one than the current one is FailedPrecondition.
  void Advance(std::optional<Epoch> next);
  // Closes the last epoch.
  void Finish();
  // Closes the epochs before kStopEpoch, which stays open. The last call.
  void Stop();
  // The earliest epoch whose completion the source awaits before it can emit, or close its epoch;
  // nullopt if it awaits none.
  std::optional<Epoch> AwaitedEpoch();
  // Returns true if nothing may be emitted, and no epoch closed, before an epoch is complete.
  bool IsPaused();

 private:
  static constexpr int64_t kUnlimited = INT64_MAX;

  bool IsDue(int64_t now) const { return now >= end_nanos_; }
  void BeginEpoch();
  void AdvanceTo(Epoch epoch);
  void TellLastSnapshot();

  Graph& graph_;
  Node& node_;
  Capability<Epoch> capability_;
  EpochParticipant& participant_;
  Alarm alarm_;
  const size_t max_in_flight_;
  const SnapshotInterval snapshots_;
  int64_t length_nanos_ = 0;  // 0: not timed
  int64_t end_nanos_ = 0;     // of the current epoch, if timed
  int64_t records_per_epoch_ = kUnlimited;
  int64_t records_left_ = kUnlimited;  // of the current epoch
  bool closes_when_idle_ = false;
  bool paused_ = false;
  std::deque<Epoch> closed_;  // and not complete when last looked at, ascending
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STEP_EPOCH_CLOCK_H_
