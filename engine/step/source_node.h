#ifndef HEADWAY_ENGINE_STEP_SOURCE_NODE_H_
#define HEADWAY_ENGINE_STEP_SOURCE_NODE_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "engine/graph/source_control.h"
#include "engine/step/alarm.h"
#include "engine/step/epoch_clock.h"
#include "engine/step/epoch_participant.h"
#include "engine/step/source_listing.h"
#include "engine/step/source_partitions.h"
#include "engine/step/step_context.h"

namespace headway {

// Positions by the names of their partitions.
using CommittedPositions = std::map<std::string, std::string>;

namespace internal {

// A source on a worker, independent of its record type: decides when to poll which reader, closes
// epochs, and keeps the positions of partitions.
//
// A source by worker has one partition for each worker, named by the worker's index. The partitions
// of other sources are listed on worker 0 alone, so that all workers agree on them. A source may be
// listed again: its new partitions are sent to all workers.
class SourceNodeBase : public SourceControl, public EpochParticipant {
 public:
  struct Form {
    bool by_worker = false;
    size_t max_open = SIZE_MAX;     // partitions that are open at a time
    bool forgets_vanished = false;  // drops the position of a partition that is gone
    bool watches_commits = false;   // Committed is called
  };

  // `listing` is null in a source by worker, and if there is only one worker.
  SourceNodeBase(Graph& graph, Node& node, OutputPortBase& output, Capability<Epoch> capability,
                 const EpochConfig& epochs, Form form, SourceListing* listing);

  // The dataflow has been built, and the positions are restored.
  void Open();
  void Run();

  Node& node() override { return node_; }
  Epoch epoch() const override { return clock_.epoch(); }
  bool ended() const override { return stopped_ || clock_.finished(); }
  std::optional<Epoch> AwaitedEpoch() override { return clock_.AwaitedEpoch(); }
  bool IsPaused() override { return clock_.IsPaused(); }
  void Stop() override;
  bool WatchesCommits() const override { return form_.watches_commits; }
  void SetCommitted(Epoch end) override;

  // Partitions are divided by another rule than RouteHash, so each worker gets all positions.
  bool restores_everywhere() const override { return true; }
  void TrackChanges() override { partitions_.TrackChanges(); }
  void Snapshot(absl::FunctionRef<void(const StateEntry&)> write) override;
  absl::Status Restore(const StateEntry& entry) override {
    partitions_.Restore(entry);
    return absl::OkStatus();
  }

 protected:
  StepContext Context() const { return ContextOf(graph_, node_); }
  const SourcePartitions::Positions& restored() const { return partitions_.restored(); }
  void CloseReaders() { partitions_.CloseAll(); }

  // Called on worker 0: the restored partitions that the source does not have any more. By default
  // the list consists of the names of all partitions.
  virtual absl::StatusOr<std::vector<std::string>> Vanished(
      const std::vector<std::string>& list) const;
  // The share of this worker in the list, in the order in which partitions are opened.
  virtual absl::StatusOr<std::vector<std::string>> Divide(std::vector<std::string> list);

 private:
  // Called on worker 0: the list that Divide gets on each worker.
  virtual absl::StatusOr<std::vector<std::string>> List() = 0;
  // Called on worker 0 after a listing: the time until the next one.
  virtual absl::Duration ListInterval() const = 0;
  virtual absl::StatusOr<std::unique_ptr<PartitionReader>> OpenPartition(
      const std::string& partition, std::optional<std::string> position) = 0;
  // Called if form.watches_commits.
  virtual absl::Status Committed(const CommittedPositions& positions) = 0;

  void Check(const absl::Status& status) {
    if (!status.ok()) graph_.errors().FailAndThrow(step_id(), status);
  }
  // Fails the run with the status if it is an error.
  std::vector<std::string> ValueOf(absl::StatusOr<std::vector<std::string>> list) {
    Check(list.status());
    return *std::move(list);
  }
  void OpenByWorker();
  void CheckVanished(const std::vector<std::string>& list);
  void ListFirst();
  void ListAgainWhenDue();
  void TakeNewNames(std::vector<std::string>& list);
  void TakeNamesThatAreBack(std::vector<std::string>& list);
  void SendList(std::vector<std::string> names, absl::Duration interval);
  void ReceiveLists();
  void Assign(PartitionList list);
  void OpenNext();
  void PollReaders();
  void CloseEmptyEpoch();
  void Poll(SourcePartitions::Partition& partition, int64_t budget);
  void Finish();
  // Tells the steps downstream that the partitions were looked at, if they derive watermarks.
  void TellWatermark(bool active, bool more_follows);

  Graph& graph_;
  Node& node_;
  OutputPortBase& output_;
  EpochClock clock_;
  Alarm alarm_;
  const Form form_;
  SourceListing* const listing_;
  SourcePartitions partitions_;
  size_t divided_ = 0;  // partitions of the lists that were divided
  // On worker 0, if the source is listed again: the time of that, and the partitions that it named.
  int64_t list_at_nanos_ = Alarm::kNever;
  std::unordered_set<std::string> named_;
  // The partitions that are gone, until the snapshot that says so is complete.
  struct Forgotten {
    std::unordered_set<std::string> names;
    Epoch in = 0;                     // the epoch of that snapshot
    std::vector<std::string> back;    // that the source names again
    bool is_after_last_list = false;  // they alone are still to be sent
  };
  Forgotten forgotten_;
  // The positions in snapshots that are not committed, by the epoch of the snapshot.
  std::map<Epoch, CommittedPositions> uncommitted_;
  int64_t empty_epoch_end_nanos_ = Alarm::kNever;  // kNever: no empty epoch has begun
  bool stopped_ = false;
};

}  // namespace internal

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_SOURCE_NODE_H_
