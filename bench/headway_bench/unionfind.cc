// Connected components. Every worker joins the edges that it has; worker 0 joins the edges that
// joined two trees on some worker.

#include <algorithm>
#include <limits>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "bench/headway_bench/benchmarks.h"
#include "bench/headway_bench/steps.h"

namespace headway::bench {

namespace {

// A forest over nodes, with path halving and union by rank.
class Forest {
 public:
  explicit Forest(uint64_t nodes) : parents_(nodes), ranks_(nodes, 0) {
    std::iota(parents_.begin(), parents_.end(), 0);
  }

  // Joins the trees of two nodes. Returns false if they were one tree already.
  bool Join(uint32_t left, uint32_t right) {
    if (parents_[left] == parents_[right]) return false;  // soon true for most edges
    left = Root(left);
    right = Root(right);
    if (left == right) return false;
    if (ranks_[left] < ranks_[right]) std::swap(left, right);
    if (ranks_[left] == ranks_[right]) ++ranks_[left];
    parents_[right] = left;
    return true;
  }

  // Prefetches the entries at which Join of these nodes begins.
  void Prefetch(const Edge& edge) const {
    __builtin_prefetch(&parents_[edge.from], 1);
    __builtin_prefetch(&parents_[edge.to], 1);
  }

  // The sum of (node + 1) * (smallest node of its component + 1).
  uint64_t Checksum() {
    std::vector<uint32_t> smallest(parents_.size(), std::numeric_limits<uint32_t>::max());
    uint64_t sum = 0;
    for (uint32_t node = 0; node < parents_.size(); ++node) {
      // Nodes are in ascending order, so the first of a component is its smallest.
      uint32_t& first = smallest[Root(node)];
      first = std::min(first, node);
      sum += (uint64_t{node} + 1) * (uint64_t{first} + 1);
    }
    return sum;
  }

 private:
  uint32_t Root(uint32_t node) {
    for (;;) {
      const uint32_t parent = parents_[node];
      const uint32_t grandparent = parents_[parent];
      if (grandparent == parent) return parent;
      // Path halving: every other node on the path now points to its grandparent.
      node = parents_[node] = grandparent;
    }
  }

  std::vector<uint32_t> parents_;
  std::vector<uint8_t> ranks_;
};

constexpr ptrdiff_t kLookAhead = 16;  // edges

// Forwards the edges that joined two trees.
template <class Pact>
auto Join(std::string step_id, Pact pact, Forest& forest) {
  return Unary<Edge>(std::move(step_id), pact, [&forest](Capability<>) {
    return [&forest](NodeInput<Edge>& in, NodeOutput<Edge>& out) {
      in.ForEach([&](const CapabilityRef<Epoch>& time, Batch<Edge>& batch) {
        Edge* kept = batch.begin();
        for (const Edge& edge : batch) {
          if (batch.end() - &edge > kLookAhead) forest.Prefetch((&edge)[kLookAhead]);
          if (forest.Join(edge.from, edge.to)) *kept++ = edge;
        }
        batch.Truncate(static_cast<size_t>(kept - batch.begin()));
        if (!batch.empty()) out.SessionAt(time).GiveBatch(std::move(batch));
      });
    };
  });
}

absl::StatusOr<Outcome> Run(Worker& worker, Harness& harness, const Options& options) {
  constexpr size_t kEdgesPerStep = 1024;
  const uint64_t nodes = options.number("nodes");
  const Range own = Share(options.number("edges"), worker.index(), worker.count());
  std::vector<Edge> own_edges;
  own_edges.reserve(own.size());
  for (uint64_t i = own.first; i < own.last; ++i) own_edges.push_back(RandomEdge(i, nodes));
  Forest own_forest(worker.count() > 1 ? nodes : 0);
  Forest forest(worker.index() == 0 ? nodes : 0);

  InputHandle<Edge> input;
  ProbeHandle<> probe;
  HEADWAY_RETURN_IF_ERROR(worker.Build("unionfind", [&](Scope<>& scope) {
    Stream<Edge> edges = scope.Input(input);
    if (worker.count() > 1) edges = edges | Join("own", pact::Pipeline{}, own_forest);
    edges | Join("all", pact::Gather{}, forest) | Probe(probe);
  }));

  HEADWAY_RETURN_IF_ERROR(harness.Start(own_edges.size()));
  for (std::span<const Edge> left = own_edges; !left.empty();) {
    const size_t count = std::min(left.size(), kEdgesPerStep);
    SendAll(input, left.first(count));
    left = left.subspan(count);
    HEADWAY_RETURN_IF_ERROR(worker.Step());
    harness.SetDone(own_edges.size() - left.size());
  }
  input.Close();
  HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return !probe.Done(); }));
  const double seconds = harness.clock().Seconds();
  return Outcome{.seconds = seconds, .records = own.size(), .checksum = forest.Checksum()};
}

}  // namespace

Benchmark UnionfindBenchmark() {
  return {.name = "unionfind",
          .summary = "connected components of a random graph",
          .arguments = {Number("nodes", 1'000'000, "nodes of the graph"),
                        Number("edges", 10'000'000, "edges of the graph")},
          .run = Run};
}

}  // namespace headway::bench
