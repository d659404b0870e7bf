#include "progress/cycles.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <set>
#include <utility>
#include <vector>

#include "tests/progress/random.h"

namespace headway::internal {
namespace {

TEST_CASE("components are the sets of nodes that reach one another") {
  for (const uint64_t seed : progress_test::Seeds(500)) {
    CAPTURE(seed);
    progress_test::Random random(seed);
    const auto count = static_cast<uint32_t>(1 + random.Below(9));
    std::vector<GraphEdge> edges;
    std::vector<std::vector<bool>> reaches(count, std::vector<bool>(count));
    for (uint64_t i = random.Below(count * 2 + 1); i > 0; --i) {
      const auto from = static_cast<uint32_t>(random.Below(count));
      const auto to = static_cast<uint32_t>(random.Below(count));
      edges.push_back({from, to});
      reaches[from][to] = true;
    }
    std::set<std::pair<uint32_t, uint32_t>> direct;
    for (const GraphEdge& edge : edges) direct.insert({edge.from, edge.to});
    for (uint32_t k = 0; k < count; ++k) {
      for (uint32_t i = 0; i < count; ++i) {
        for (uint32_t j = 0; j < count; ++j) {
          if (reaches[i][k] && reaches[k][j]) reaches[i][j] = true;
        }
      }
    }
    const Components components = FindComponents(count, edges);
    for (uint32_t i = 0; i < count; ++i) {
      REQUIRE(components.in_cycle[i] == reaches[i][i]);
      for (uint32_t j = 0; j < count; ++j) {
        const bool together = i == j || (reaches[i][j] && reaches[j][i]);
        REQUIRE((components.component[i] == components.component[j]) == together);
      }
      const std::vector<uint32_t> cycle = FindCycle(count, edges, i);
      REQUIRE(cycle.empty() == !reaches[i][i]);
      for (size_t n = 0; n < cycle.size(); ++n) {
        REQUIRE(direct.contains({cycle[n], cycle[(n + 1) % cycle.size()]}));
      }
      if (!cycle.empty()) REQUIRE(cycle.front() == i);
    }
  }
}

TEST_CASE("a path of a million nodes needs no stack") {
  constexpr uint32_t kCount = 1'000'000;
  std::vector<GraphEdge> edges;
  for (uint32_t i = 0; i < kCount; ++i) edges.push_back({i, (i + 1) % kCount});
  const Components components = FindComponents(kCount, edges);
  CHECK(components.component[0] == components.component[kCount - 1]);
  CHECK(components.in_cycle[kCount / 2]);
}

}  // namespace
}  // namespace headway::internal
