#ifndef HEADWAY_ENGINE_RECOVERY_SNAPSHOT_COLLECTOR_H_
#define HEADWAY_ENGINE_RECOVERY_SNAPSHOT_COLLECTOR_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "engine/recovery/row_buffers.h"
#include "engine/recovery/state_chunk.h"
#include "engine/runtime/snapshot_interval.h"
#include "engine/step/epoch_participant.h"
#include "engine/step/node_io.h"

namespace headway::internal {

// Takes the snapshots of the participants of a worker when they close an epoch, and sends them at
// that epoch once all participants on all workers have closed it. It keeps them until then: those
// of the epochs in flight, which max_epochs_in_flight bounds.
//
// The logic of a node with an input without records, whose frontier passes an epoch when all
// participants have closed it. Belongs to the worker's thread.
class SnapshotCollector {
 public:
  // `buffers` outlives it.
  SnapshotCollector(Graph& graph, NodeInput<StateChunk>& ends, NodeOutput<StateChunk>& output,
                    Capability<Epoch> first, const SnapshotInterval& snapshots, int partition_count,
                    RowBuffers& buffers);

  // From now on the participant's changes are collected, as those of step number `step`. The
  // participant does not outlive this.
  void Watch(EpochParticipant& participant, uint32_t step);

  void Run();

 private:
  using Place = std::pair<uint32_t, uint32_t>;  // partition, step
  using Rows = std::map<Place, std::vector<std::string>>;

  void Take(EpochParticipant& participant, uint32_t step, Epoch epoch);
  void Send(Epoch epoch, Rows& rows);

  Graph& graph_;
  NodeInput<StateChunk>& ends_;
  NodeOutput<StateChunk>& output_;
  Capability<Epoch> held_;
  const SnapshotInterval snapshots_;
  const int partition_count_;
  RowBuffers& buffers_;
  std::map<Epoch, Rows> closed_;  // not sent yet
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_RECOVERY_SNAPSHOT_COLLECTOR_H_
