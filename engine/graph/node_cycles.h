#ifndef HEADWAY_ENGINE_GRAPH_NODE_CYCLES_H_
#define HEADWAY_ENGINE_GRAPH_NODE_CYCLES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/graph/node.h"

namespace headway::internal {

// The cycles of a graph: nodes that send to each other in a circle, through channels. Cycles that
// share a node are one.
//
// Belongs to its graph and the worker's thread.
class NodeCycles {
 public:
  // Finds the cycles, and sets Node::cycle. When the ports of all nodes have their channels.
  void Find(std::span<const std::unique_ptr<Node>> nodes);

  // Bytes that workers of this process have sent within the cycle and that were not taken yet, on
  // any worker. It may be too low, and never too high.
  int64_t BytesInFlightAtLeast(int cycle) const;
  // The number of channels from a node of the cycle to another one of it.
  size_t ChannelCount(int cycle) const { return Channels(cycle).size(); }

 private:
  const std::vector<ChannelBase*>& Channels(int cycle) const {
    return channels_[static_cast<size_t>(cycle)];
  }

  std::vector<std::vector<ChannelBase*>> channels_;  // by cycle
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_GRAPH_NODE_CYCLES_H_
