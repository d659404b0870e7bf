// How many nodes of a changing graph have how many edges: `degrees [-w WORKERS]`. An epoch is a
// version of the graph, and the input has the edges that it adds and removes. Each step keeps its
// result and emits changes of it, so a version costs as much as it changes, not as much as the
// graph. The program prints the counts that a version changes.
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "examples/example.h"
#include "headway/headway.h"

using namespace headway;

using Change = std::pair<int, int>;  // of a count: its key, and the difference

// The change of the counts when a node has another degree. A node without edges is no node.
std::vector<Change> Moves(std::optional<int>& last, int degree) {
  std::vector<Change> moves;
  if (last.has_value()) moves.emplace_back(*last, -1);
  if (degree > 0) moves.emplace_back(degree, 1);
  last = degree > 0 ? std::optional(degree) : std::nullopt;
  return moves;
}

int main(int argc, char** argv) {
  constexpr Epoch kVersions = 4;
  constexpr uint64_t kNodes = 50;
  constexpr uint64_t kNewEdges = 40;  // of each version; it also removes a quarter of the last ones

  return Finish(ExecuteFromArgs(argc, argv, [&](Worker& worker) -> absl::Status {
    InputHandle<Change> ends;  // for each end of an edge: the node, and 1 or -1
    HEADWAY_RETURN_IF_ERROR(worker.Build("degrees", [&](Scope<>& scope) {
      const auto add = [](int& sum, int change) { sum += change; };
      auto counts = scope.Input(ends) | RunningFold("degree", 0, add, UpdateEach::kEpoch) |
                    StatefulFlatMap<int>("moves", Moves) | KeyRemove("no_node") |
                    RunningFold("nodes", 0, add, UpdateEach::kEpoch);
      Transform<std::string>(counts, "text",
                             [](Batch<Change>& batch, TransformOutput<std::string, Epoch>& out) {
                               for (const auto& [degree, nodes] : batch) {
                                 out.Give(absl::StrFormat("version %d: %d nodes with %d edges",
                                                          out.time(), nodes, degree));
                               }
                             }) |
          Output("out", StdOutSink());
    }));
    const auto send = [&](uint64_t edge, int change) {
      ends.Send(Change(SplitMix64(2 * edge) % kNodes, change));
      ends.Send(Change(SplitMix64(2 * edge + 1) % kNodes, change));
    };
    for (Epoch version = 0; version < kVersions; ++version) {
      const uint64_t first = version * kNewEdges;
      for (uint64_t i = worker.index(); i < kNewEdges; i += worker.count()) {
        send(first + i, 1);
        if (version > 0 && i % 4 == 0) send(first - kNewEdges + i, -1);
      }
      ends.AdvanceTo(version + 1);
      HEADWAY_RETURN_IF_ERROR(worker.Step());
    }
    return absl::OkStatus();
  }));
}
