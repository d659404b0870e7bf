#ifndef HEADWAY_PROGRESS_CYCLES_H_
#define HEADWAY_PROGRESS_CYCLES_H_

#include <cstdint>
#include <span>
#include <vector>

namespace headway::internal {

struct GraphEdge {
  uint32_t from;
  uint32_t to;
};

// The strongly connected components of a directed graph.
struct Components {
  std::vector<uint32_t> component;  // of each node
  std::vector<bool> in_cycle;       // of each node: true iff a path leads from it back to it
};

// Nodes are 0 to `node_count` - 1. Linear time, no recursion. Source: Tarjan, "Depth-first search
// and linear graph algorithms", 1972.
Components FindComponents(uint32_t node_count, std::span<const GraphEdge> edges);

// A shortest cycle through `node`: its nodes in order, starting with `node`. Empty if no cycle
// exists.
std::vector<uint32_t> FindCycle(uint32_t node_count, std::span<const GraphEdge> edges,
                                uint32_t node);

}  // namespace headway::internal

#endif  // HEADWAY_PROGRESS_CYCLES_H_
