// The pages with the highest rank in a random graph: `pagerank [-w WORKERS] [NODES EDGES]`.
//
// The ranks are computed in rounds, which are times of a nested scope. In a round each node divides
// 85 % of its rank among the nodes that it links to. The new rank of a node is the sum of the parts
// that it got, and of a share that all nodes get. The sum is complete when the round is. Ranks are
// integers, so the sums do not depend on the order of the additions.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "examples/example.h"
#include "headway/headway.h"

using namespace headway;

struct Edge {
  uint32_t from;
  uint32_t to;
};
using Rank = std::pair<uint32_t, int64_t>;  // node, rank in millionths
using Round = Product<Epoch, uint64_t>;
constexpr uint64_t kRounds = 20;
constexpr int64_t kOne = 1'000'000;

// Divides the ranks of nodes among their neighbours, once all edges are known.
auto Divide(Stream<Edge, Round> edges) {
  return BinaryFrontier<Rank>(
      "divide", edges, pact::Exchange{FirstOfPair()},
      pact::Exchange{[](const Edge& e) { return e.from; }}, [](Capability<Round>) {
        return [graph = std::vector<Edge>(), sorted = false,
                waiting = std::vector<std::pair<Capability<Round>, Batch<Rank>>>()](
                   NodeInput<Rank, Round>& ranks, NodeInput<Edge, Round>& edges_in,
                   NodeOutput<Rank, Round>& out) mutable {
          edges_in.ForEach([&](const CapabilityRef<Round>&, Batch<Edge>& batch) {
            graph.insert(graph.end(), batch.begin(), batch.end());
          });
          ranks.ForEach([&](const CapabilityRef<Round>& time, Batch<Rank>& batch) {
            waiting.emplace_back(time.Retain(), std::move(batch));
          });
          if (!edges_in.frontier().empty()) return;
          if (!std::exchange(sorted, true)) std::ranges::sort(graph, {}, &Edge::from);
          for (auto& [capability, batch] : waiting) {
            auto session = out.SessionAt(capability);
            for (const auto& [node, rank] : batch) {
              session.Give(Rank(node, kOne * 15 / 100));
              const auto own = std::ranges::equal_range(graph, node, {}, &Edge::from);
              for (const Edge& edge : own) {
                session.Give(Rank(edge.to, rank * 85 / 100 / std::ssize(own)));
              }
            }
          }
          waiting.clear();
        };
      });
}

int main(int argc, char** argv) {
  const std::vector<std::string> words = ProgramArguments(argc, argv);
  const uint64_t nodes = words.size() < 2 ? 1'000 : std::stoull(words[0]);
  const uint64_t edges = words.size() < 2 ? 5'000 : std::stoull(words[1]);

  return Finish(ExecuteFromArgs(argc, argv, [&](Worker& worker) -> absl::Status {
    InputHandle<Edge> edge_input;
    InputHandle<Rank> rank_input;
    HEADWAY_RETURN_IF_ERROR(worker.Build("pagerank", [&](Scope<>& scope) {
      Stream<Edge> all_edges = scope.Input(edge_input);
      Stream<Rank> first_ranks = scope.Input(rank_input);
      Stream<Rank> last_ranks = scope.Iterate("rounds", [&](Scope<Round>& inner) {
        auto [loop, shares] = inner.Feedback<Rank>("next", {0, 1});
        auto sums = shares | ReducePerEpoch("sum", [](int64_t a, int64_t b) { return a + b; });
        auto [again, last] =
            TransformTo<Rank, Rank>(sums, "last", [](Batch<Rank>& batch, auto& more, auto& done) {
              (more.time().inner < kRounds ? more : done).GiveBatch(std::move(batch));
            });
        first_ranks | Enter(inner) | Merge("ranks", again) | Divide(all_edges | Enter(inner)) |
            ConnectLoop(loop);
        return last | Leave(scope);
      });
      last_ranks | KeyOn("all", [](const Rank&) { return 0; }) |
          TopKFinal("top", 5, [](const Rank& r) { return std::pair(r.second, r.first); }) |
          FlatMap("ranks", [](const auto& top) { return top.second; }) |
          Map("text",
              [](const Rank& r) { return absl::StrFormat("node %d: %d", r.first, r.second); }) |
          Output("out", StdOutSink());
    }));

    // Each worker generates its share of the nodes and edges.
    for (uint64_t i = worker.index(); i < nodes; i += worker.count()) {
      rank_input.Send(Rank(i, kOne));
    }
    for (uint64_t i = worker.index(); i < edges; i += worker.count()) {
      edge_input.Send(Edge{static_cast<uint32_t>(SplitMix64(2 * i) % nodes),
                           static_cast<uint32_t>(SplitMix64(2 * i + 1) % nodes)});
      if (!edge_input.HasCredit()) {
        HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return !edge_input.HasCredit(); }));
      }
    }
    return absl::OkStatus();  // the handles close; the worker runs until the dataflow is complete
  }));
}
