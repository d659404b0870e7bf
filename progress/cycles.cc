#include "progress/cycles.h"

#include <algorithm>
#include <cstddef>
#include <limits>

namespace headway::internal {
namespace {

constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();

// Edges grouped by their source.
struct Successors {
  Successors(uint32_t node_count, std::span<const GraphEdge> edges)
      : begin(node_count + 1, 0), to(edges.size()) {
    for (const GraphEdge& edge : edges) ++begin[edge.from + 1];
    for (uint32_t i = 0; i < node_count; ++i) begin[i + 1] += begin[i];
    std::vector<uint32_t> next(begin.begin(), begin.end() - 1);
    for (const GraphEdge& edge : edges) to[next[edge.from]++] = edge.to;
  }

  std::vector<uint32_t> begin;
  std::vector<uint32_t> to;
};

}  // namespace

Components FindComponents(uint32_t node_count, std::span<const GraphEdge> edges) {
  const Successors successors(node_count, edges);
  Components result{std::vector<uint32_t>(node_count, kNone), std::vector<bool>(node_count)};
  for (const GraphEdge& edge : edges) {
    if (edge.from == edge.to) result.in_cycle[edge.from] = true;
  }

  std::vector<uint32_t> order(node_count, kNone);  // the position of each node's first visit
  std::vector<uint32_t> low(node_count);  // the earliest one reachable within the component
  std::vector<uint32_t> open;             // nodes whose component is not known yet
  std::vector<uint32_t> path;             // of the depth-first search
  std::vector<uint32_t> next(successors.begin.begin(), successors.begin.end() - 1);
  uint32_t visited = 0;
  uint32_t component_count = 0;
  for (uint32_t root = 0; root < node_count; ++root) {
    if (order[root] != kNone) continue;
    path.push_back(root);
    while (!path.empty()) {
      const uint32_t node = path.back();
      if (order[node] == kNone) {
        order[node] = low[node] = visited++;
        open.push_back(node);
      }
      if (next[node] < successors.begin[node + 1]) {
        const uint32_t to = successors.to[next[node]++];
        if (order[to] == kNone) {
          path.push_back(to);
        } else if (result.component[to] == kNone) {
          low[node] = std::min(low[node], order[to]);
        }
        continue;
      }
      path.pop_back();
      if (!path.empty()) low[path.back()] = std::min(low[path.back()], low[node]);
      if (low[node] != order[node]) continue;
      const auto members = std::find(open.rbegin(), open.rend(), node).base() - 1;
      for (auto member = members; member != open.end(); ++member) {
        result.component[*member] = component_count;
        if (open.end() - members > 1) result.in_cycle[*member] = true;
      }
      open.erase(members, open.end());
      ++component_count;
    }
  }
  return result;
}

std::vector<uint32_t> FindCycle(uint32_t node_count, std::span<const GraphEdge> edges,
                                uint32_t node) {
  const Successors successors(node_count, edges);
  std::vector<uint32_t> came_from(node_count, kNone);
  std::vector<uint32_t> queue = {node};
  for (size_t i = 0; i < queue.size() && came_from[node] == kNone; ++i) {
    const uint32_t from = queue[i];
    for (uint32_t e = successors.begin[from]; e < successors.begin[from + 1]; ++e) {
      const uint32_t to = successors.to[e];
      if (came_from[to] != kNone) continue;
      came_from[to] = from;
      queue.push_back(to);
    }
  }
  std::vector<uint32_t> cycle;
  if (came_from[node] == kNone) return cycle;
  for (uint32_t at = came_from[node]; at != node; at = came_from[at]) cycle.push_back(at);
  cycle.push_back(node);
  std::reverse(cycle.begin(), cycle.end());
  return cycle;
}

}  // namespace headway::internal
