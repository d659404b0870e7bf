#ifndef HEADWAY_ENGINE_RECOVERY_SNAPSHOT_WRITER_H_
#define HEADWAY_ENGINE_RECOVERY_SNAPSHOT_WRITER_H_

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "engine/recovery/recovery.h"
#include "engine/recovery/state_chunk.h"
#include "engine/runtime/snapshot_interval.h"
#include "engine/step/node_io.h"
#include "engine/step/step_context.h"

namespace headway::internal {

// Writes the snapshots of the partitions that a worker owns. It holds a capability at the first
// epoch that is not durable in all of them, so the completion of the dataflow waits for it. A
// complete epoch is recorded as committed with the next transaction, and at once if there is no
// other to wait for.
//
// In a dataflow with outboxes there is a second output, whose frontier passes an epoch when its
// commit is recorded. The owner of partition 0 holds a capability of it until then.
//
// The logic of a node; belongs to the worker's thread. One job of the store's thread is under way
// at a time; epochs that end meanwhile share the next one.
class SnapshotWriter {
 public:
  // `commits`: of the second output, if there is one.
  SnapshotWriter(Graph& graph, Node& node, NodeInput<StateChunk>& input, Capability<Epoch> first,
                 Capability<Epoch> commits, Recovery& recovery);

  void Run();

 private:
  // The end of the job that is under way, told by the store's thread. Shared with it.
  struct Outcome {
    std::mutex mutex;
    bool done = false;
    absl::Status status;
  };
  using Place = std::pair<uint32_t, uint32_t>;  // partition, step

  void TakeOutcome();
  // Gives up the epochs whose commit is recorded.
  void NoteRecorded();
  // Whether all epochs are complete that this run, or its part until the stop, has.
  bool HasEnded() const;
  // Gives up the epochs that are durable.
  void NoteDurable();
  void Submit(std::vector<StoreThread::Write> writes, Epoch durable_end);
  // The end of the epochs that are complete in the dataflow; the epoch after the last one if all
  // are.
  Epoch CommittedEnd() const;
  StoreThread::Write* WriteOf(std::vector<StoreThread::Write>& writes, uint32_t partition);

  Graph& graph_;
  Node& node_;
  NodeInput<StateChunk>& input_;
  Capability<Epoch> held_;
  Capability<Epoch> commits_;
  Recovery& recovery_;
  const std::vector<OwnedPartition*> owned_;
  const ThreadActivator activator_;
  const SnapshotInterval snapshots_;
  std::map<Epoch, std::map<Place, std::vector<std::string>>> waiting_;
  std::shared_ptr<Outcome> under_way_;  // null: no job is
  Epoch durable_end_;                   // with the job that is under way
  Epoch recorded_end_;                  // of the commits that are recorded, with that job
  Epoch closed_end_;                    // of the epochs that participants have closed
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_RECOVERY_SNAPSHOT_WRITER_H_
