#include "engine/graph/node_cycles.h"

#include <algorithm>

#include "engine/graph/channel.h"
#include "progress/cycles.h"

namespace headway::internal {

void NodeCycles::Find(std::span<const std::unique_ptr<Node>> nodes) {
  std::vector<GraphEdge> edges;
  for (const std::unique_ptr<Node>& node : nodes) {
    for (const OutputPortBase* output : node->outputs) {
      for (ChannelBase* channel : output->channels) {
        edges.push_back({node->index(), channel->target().node().index()});
      }
    }
  }
  const Components components = FindComponents(static_cast<uint32_t>(nodes.size()), edges);
  std::vector<int> cycle_of(nodes.size(), Node::kNoCycle);  // by component
  for (const std::unique_ptr<Node>& node : nodes) {
    if (!components.in_cycle[node->index()]) continue;
    int& cycle = cycle_of[components.component[node->index()]];
    if (cycle == Node::kNoCycle) {
      cycle = static_cast<int>(channels_.size());
      channels_.emplace_back();
    }
    node->cycle = cycle;
  }
  for (const std::unique_ptr<Node>& node : nodes) {
    if (!node->in_cycle()) continue;
    std::vector<ChannelBase*>& within = channels_[static_cast<size_t>(node->cycle)];
    for (const OutputPortBase* output : node->outputs) {
      for (ChannelBase* channel : output->channels) {
        channel->SetTouchesCycle();
        if (channel->target().node().cycle == node->cycle &&
            std::find(within.begin(), within.end(), channel) == within.end()) {
          within.push_back(channel);
        }
      }
    }
  }
}

// Reads the bytes sent on all channels first: bytes that move from one channel to the next
// meanwhile count once at most.
int64_t NodeCycles::BytesInFlightAtLeast(int cycle) const {
  int64_t bytes = 0;
  for (const ChannelBase* channel : Channels(cycle)) bytes += channel->credits().Sent();
  for (const ChannelBase* channel : Channels(cycle)) bytes -= channel->credits().Taken();
  return bytes;
}

}  // namespace headway::internal
