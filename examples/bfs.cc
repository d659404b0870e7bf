// Breadth-first search in a random graph: `bfs [-w WORKERS] [NODES EDGES]` prints the number of
// nodes at each distance from node 0, as `(distance, nodes)`.
//
// Two operators form a cycle in a nested scope. A time there is (epoch, round), and the round is
// the distance. One operator keeps the first visit of each node. The other turns it into visits of
// the node's neighbours. Nodes are divided among the workers, with their outgoing edges.
#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "examples/example.h"
#include "headway/headway.h"

using namespace headway;

struct Edge {
  uint32_t from;
  uint32_t to;
};
struct Visit {
  uint32_t node;
  uint32_t distance;
};
using Round = Product<Epoch, uint64_t>;

constexpr auto kByNode = [](const Visit& v) { return v.node; };
constexpr auto kByFrom = [](const Edge& e) { return e.from; };

// Keeps the earliest visit of each node. Messages of a later round may overtake those of an earlier
// one, so a round waits until it is complete.
auto FirstVisits() {
  return UnaryNotify<Visit>(
      "first_visits", pact::Exchange{kByNode}, [](Capability<Round>, Notificator<Round>&) {
        return [seen = absl::flat_hash_set<uint32_t>(),
                rounds = std::map<uint64_t, std::vector<Visit>>()](
                   NodeInput<Visit, Round>& in, NodeOutput<Visit, Round>& out,
                   Notificator<Round>& notificator) mutable {
          in.ForEach([&](const CapabilityRef<Round>& time, Batch<Visit>& batch) {
            auto [round, is_new] = rounds.try_emplace(time.time().inner);
            if (is_new) notificator.NotifyAt(time.Retain());
            round->second.insert(round->second.end(), batch.begin(), batch.end());
          });
          while (std::optional<Capability<Round>> complete = notificator.Next(in.frontier())) {
            auto session = out.SessionAt(*complete);
            const auto round = rounds.extract(complete->time().inner);
            for (const Visit& visit : round.mapped()) {
              if (seen.insert(visit.node).second) session.Give(visit);
            }
          }
        };
      });
}

// Visits the neighbours of each visited node, once all edges are known.
auto Neighbours(Stream<Edge, Round> edges) {
  return BinaryFrontier<Visit>(
      "neighbours", edges, pact::Exchange{kByNode}, pact::Exchange{kByFrom}, [](Capability<Round>) {
        return [graph = std::vector<Edge>(), sorted = false,
                waiting = std::vector<std::pair<Capability<Round>, Batch<Visit>>>()](
                   NodeInput<Visit, Round>& visits, NodeInput<Edge, Round>& edges_in,
                   NodeOutput<Visit, Round>& out) mutable {
          edges_in.ForEach([&](const CapabilityRef<Round>&, Batch<Edge>& batch) {
            graph.insert(graph.end(), batch.begin(), batch.end());
          });
          visits.ForEach([&](const CapabilityRef<Round>& time, Batch<Visit>& batch) {
            waiting.emplace_back(time.Retain(), std::move(batch));
          });
          if (!edges_in.frontier().empty()) return;
          if (!std::exchange(sorted, true)) {
            std::ranges::sort(graph, {}, &Edge::from);
          }
          for (auto& [capability, batch] : waiting) {
            auto session = out.SessionAt(capability);
            for (const Visit& visit : batch) {
              for (const Edge& edge :
                   std::ranges::equal_range(graph, visit.node, {}, &Edge::from)) {
                session.Give(Visit{edge.to, visit.distance + 1});
              }
            }
          }
          waiting.clear();
        };
      });
}

int main(int argc, char** argv) {
  const std::vector<std::string> words = ProgramArguments(argc, argv);
  const uint64_t nodes = words.size() < 2 ? 10'000 : std::stoull(words[0]);
  const uint64_t edges = words.size() < 2 ? 30'000 : std::stoull(words[1]);

  return Finish(ExecuteFromArgs(argc, argv, [&](Worker& worker) -> absl::Status {
    InputHandle<Edge> edge_input;
    InputHandle<Visit> root_input;
    HEADWAY_RETURN_IF_ERROR(worker.Build("bfs", [&](Scope<>& scope) {
      Stream<Edge> all_edges = scope.Input(edge_input);
      Stream<Visit> root = scope.Input(root_input);
      Stream<Visit> visits = scope.Iterate("search", [&](Scope<Round>& inner) {
        auto [loop, again] = inner.Feedback<Visit>("again", {0, 1});
        auto first = root | Enter(inner) | Merge("visits", again) | FirstVisits();
        first | Neighbours(all_edges | Enter(inner)) | ConnectLoop(loop);
        return first | Leave(scope);
      });
      visits | CountFinal("count", [](const Visit& v) { return v.distance; })  //
          | Output("out", StdOutSink());
    }));

    // Each worker generates its share of the edges, no faster than the dataflow takes them. Edge i
    // leads from one random node to another.
    for (uint64_t i = worker.index(); i < edges; i += worker.count()) {
      if (!edge_input.HasCredit()) {
        HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return !edge_input.HasCredit(); }));
      }
      edge_input.Send(Edge{static_cast<uint32_t>(SplitMix64(2 * i) % nodes),
                           static_cast<uint32_t>(SplitMix64(2 * i + 1) % nodes)});
    }
    if (worker.index() == 0) root_input.Send(Visit{.node = 0, .distance = 0});
    return absl::OkStatus();  // the handles close; the worker runs until the dataflow is complete
  }));
}
