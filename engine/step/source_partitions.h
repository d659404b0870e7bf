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
#include "engine/graph/watermark.h"
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
// keeps their positions. A turn costs the logarithm of the number of idle partitions at most.
// Belongs to the worker's thread.
class SourcePartitions {
 public:
  struct Partition {
    PartitionPosition at;  // as a snapshot has it; no position: none has one
    std::unique_ptr<PartitionReader> reader;
    int64_t poll_at_nanos = 0;  // while it is idle
    bool polled = false;        // since the last snapshot, or new
    size_t index = 0;           // among the open ones
    uint32_t number = 0;        // of ReadPartitions
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

  // Gives the worker partitions, which are opened in this order. Drops the restored positions of
  // others. `is_last`: the worker gets no more.
  void Assign(const std::vector<std::string>& names, bool is_last);
  // Opens the next partitions, as long as fewer than `max_open` are open. Returns an error of
  // `open`.
  absl::Status OpenNext(size_t max_open, OpenReader open);
  // Returns true if the worker has read all of its partitions, and gets no more.
  bool AllDone() const { return all_assigned_ && open_.empty() && unopened_.empty(); }
  // Returns true if the worker has nothing to read until it gets another partition.
  bool AwaitsPartitions() const { return assigned_ && !all_assigned_ && open_.empty(); }

  // Takes the partition whose turn it is at the time that `now` returns, or null if all are idle.
  // Calls `now` only if a partition is idle. The caller returns it by Continue, Rest or Close.
  Partition* TakeNext(absl::FunctionRef<int64_t()> now);
  // The partition has its next turn after the others.
  void Continue(Partition& partition) { ready_.push_back(&partition); }
  // The partition is idle until `poll_at_nanos`.
  void Rest(Partition& partition, int64_t poll_at_nanos);
  // Closes a partition whose reader is done.
  void Close(Partition& partition);
  // The time at which the first of the idle partitions is to be polled.
  int64_t FirstPoll() const;
  // The reader of the partition is about to be polled.
  void BeginPoll(Partition& partition);
  // The partition was asked at `now`: it had records, or is empty since then or before.
  void NotePoll(const Partition& partition, bool had_records, bool is_empty, int64_t now);
  // The partitions as steps downstream see them.
  ReadPartitions& read() { return read_; }
  // No partition is idle any more.
  void WakeAll();
  // Closes all partitions, when the dataflow ends.
  void CloseAll();
  size_t open_count() const { return open_.size(); }

 private:
  bool tracking_ = false;
  bool assigned_ = false;
  bool all_assigned_ = false;
  Positions restored_;
  std::deque<PartitionPosition> unopened_;
  std::vector<std::unique_ptr<Partition>> open_;
  std::deque<Partition*> ready_;  // in the order of their turns
  std::vector<Partition*> idle_;  // a heap, the first to be polled on top
  ReadPartitions read_;
  // Of partitions that are not open, for the next snapshot.
  std::vector<PartitionPosition> changes_;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STEP_SOURCE_PARTITIONS_H_
