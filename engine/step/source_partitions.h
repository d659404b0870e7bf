#ifndef HEADWAY_ENGINE_STEP_SOURCE_PARTITIONS_H_
#define HEADWAY_ENGINE_STEP_SOURCE_PARTITIONS_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/state/state_base.h"
#include "engine/step/partition_position.h"
#include "engine/step/source_state.h"
#include "progress/timestamp.h"

namespace headway::internal {

// Reads one partition of a source.
class PartitionReader {
 public:
  virtual ~PartitionReader() = default;
  // Emits up to `budget` records at `epoch`, and sets `emitted` to their number.
  virtual absl::StatusOr<SourceState> Poll(Epoch epoch, int64_t budget, int64_t& emitted) = 0;
  // The position after the emitted records; nullopt if the reader keeps none.
  virtual std::optional<std::string> Position() const = 0;
};

// The partitions of a source that a worker reads: opens them, lets their readers take turns, and
// keeps their positions. Belongs to the worker's thread.
class SourcePartitions {
 public:
  struct Partition {
    PartitionPosition at;  // as a snapshot has it; no position: none has one
    std::unique_ptr<PartitionReader> reader;
    int64_t poll_at_nanos = 0;  // until then it is idle; 0: it is not
    bool polled = false;        // since the last snapshot, or new
  };
  using Positions = std::unordered_map<std::string, std::string>;
  using OpenReader = absl::FunctionRef<absl::StatusOr<std::unique_ptr<PartitionReader>>(
      const std::string& name, std::optional<std::string> position)>;

  void TrackChanges() { tracking_ = true; }
  // The changes since the last snapshot.
  void Snapshot(absl::FunctionRef<void(const StateEntry&)> write);
  void Restore(const StateEntry& entry);
  // The positions that were restored, until Assign.
  const Positions& restored() const { return restored_; }
  // The next snapshot says that the partition is gone.
  void Forget(const std::string& name);

  // Gives the worker its partitions, which are opened in this order. Drops the positions of others.
  void Assign(const std::vector<std::string>& names);
  // Opens the next partitions, as long as fewer than `max_open` are open. Returns an error of
  // `open`.
  absl::Status OpenNext(size_t max_open, OpenReader open);
  // Returns true if the worker has read all of its partitions.
  bool AllDone() const { return assigned_ && open_.empty() && unopened_.empty(); }

  // The partition whose turn it is at the time that `now` returns, or null if all are idle. Calls
  // `now` only if a partition is idle.
  Partition* NextReady(absl::FunctionRef<int64_t()> now);
  // The time at which the first of the idle partitions is to be polled.
  int64_t FirstPoll() const;
  // No partition is idle any more.
  void WakeAll();
  // Closes a partition whose reader is done.
  void Close(Partition& partition);
  // Closes all partitions, when the dataflow ends.
  void CloseAll() { open_.clear(); }
  size_t open_count() const { return open_.size(); }

 private:
  bool tracking_ = false;
  bool assigned_ = false;
  Positions restored_;
  std::deque<PartitionPosition> unopened_;
  std::vector<std::unique_ptr<Partition>> open_;
  size_t turn_ = 0;  // index of open_
  std::vector<PartitionPosition>
      changes_;  // of partitions that are not open, for the next snapshot
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STEP_SOURCE_PARTITIONS_H_
