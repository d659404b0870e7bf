#ifndef HEADWAY_ENGINE_RECOVERY_PUBLISHER_H_
#define HEADWAY_ENGINE_RECOVERY_PUBLISHER_H_

#include "engine/graph/graph.h"
#include "engine/recovery/state_chunk.h"
#include "engine/step/node_io.h"

namespace headway::internal {

// Tells the transactional sinks of a worker, and its sources, which epochs are committed. Holds a
// capability at the first epoch that the sinks have not published, so that the run does not end
// before they have. No epoch waits for it.
//
// The logic of a node with an input without records, whose frontier passes an epoch when its commit
// is recorded. Belongs to the worker's thread.
class Publisher {
 public:
  Publisher(Graph& graph, Node& node, NodeInput<StateChunk>& commits, Capability<Epoch> first);

  void Run();

 private:
  Graph& graph_;
  Node& node_;
  NodeInput<StateChunk>& commits_;
  Capability<Epoch> held_;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_RECOVERY_PUBLISHER_H_
