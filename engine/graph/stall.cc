#include "engine/graph/stall.h"

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/graph/capability.h"
#include "engine/graph/source_control.h"

namespace headway::internal {
namespace {

constexpr size_t kMaxHoldups = 16;

// The party that holds an outstanding time, as a clause after "for which", and the remedy.
struct Holder {
  std::string clause;
  std::string remedy;
  bool is_here = false;
};

SourceControl* SourceOf(const Graph& graph, const Node& node) {
  for (SourceControl* source : graph.parts().sources) {
    if (&source->node() == &node) return source;
  }
  return nullptr;
}

std::string RemedyFor(Graph& graph, const Node& node) {
  if (SourceOf(graph, node) != nullptr) {
    return "let its reader return EndEpoch() or Done() when it has no more records for the epoch";
  }
  if (node.flushes) return "let its Flush return Done()";
  if (node.inputs.empty()) return "advance or close the InputHandle";
  return absl::StrFormat("drop it, let it follow the frontier, or raise max_epochs_in_flight (%d)",
                         graph.worker().run().options().max_epochs_in_flight);
}

std::string VerbFor(const Graph& graph, const Node& node) {
  if (SourceOf(graph, node) != nullptr) return "has not ended";
  if (node.flushes) return "has not flushed";
  return "holds a capability at";
}

std::optional<Holder> HolderHere(Graph& graph, const Holdup& holdup, const std::string& where) {
  for (const std::unique_ptr<Node>& node : graph.parts().nodes) {
    for (size_t i = 0; i < node->inputs.size(); ++i) {
      const InputPortBase& input = *node->inputs[i];
      if (input.location != holdup.location || input.empty()) continue;
      return Holder{absl::StrFormat("step '%s' %s leaves a batch of time %s in its input %d",
                                    node->step_id(), where, holdup.time, i),
                    "take the batches of every input in each call", true};
    }
    for (const OutputPortBase* output : node->outputs) {
      if (output->location != holdup.location || output->hold_count == 0) continue;
      return Holder{absl::StrFormat("a step after '%s' %s lacks credit to send the rest of a batch "
                                    "of time %s",
                                    node->step_id(), where, holdup.time),
                    "raise max_bytes_in_flight", true};
    }
  }
  for (const CapabilityLedgerBase* ledger : graph.parts().ledgers) {
    if (ledger->location() != holdup.location || ledger->held_count() == 0) continue;
    const Node& node = ledger->node();
    // A source that waits holds a later time than the one that it waits for.
    SourceControl* const source = SourceOf(graph, node);
    if (source != nullptr && TimestampTraits<Epoch>::Format(source->epoch()) != holdup.time) {
      continue;
    }
    return Holder{absl::StrFormat("step '%s' %s %s time %s", node.step_id(), where,
                                  VerbFor(graph, node), holdup.time),
                  RemedyFor(graph, node), true};
  }
  return std::nullopt;
}

std::optional<Holder> HolderElsewhere(Graph& graph, const Holdup& holdup) {
  for (const std::unique_ptr<Node>& node : graph.parts().nodes) {
    for (const OutputPortBase* output : node->outputs) {
      if (output->location != holdup.location) continue;
      return Holder{absl::StrFormat("step '%s' on another worker %s time %s", node->step_id(),
                                    VerbFor(graph, *node), holdup.time),
                    RemedyFor(graph, *node)};
    }
    for (const InputPortBase* input : node->inputs) {
      if (input->location != holdup.location) continue;
      return Holder{
          absl::StrFormat("a batch of time %s is on its way to step '%s' on another worker",
                          holdup.time, node->step_id()),
          "let that worker take its next step"};
    }
  }
  return std::nullopt;
}

// The party that waits, with a verb. Holdups of a stop are those of epochs before kStopEpoch.
std::string Waiter(Graph& graph, const std::string& where) {
  for (SourceControl* source : graph.parts().sources) {
    if (const std::optional<Epoch> epoch = source->AwaitedEpoch()) {
      return absl::StrFormat("source '%s' %s waits for epoch %d", source->node().step_id(), where,
                             *epoch);
    }
  }
  const std::string stop = graph.worker().run().stop_requested() ? "the stop of " : "";
  return absl::StrFormat("%sdataflow '%s' %s waits", stop, graph.name(), where);
}

std::vector<LocationId> WatchedLocations(const Graph& graph) {
  if (graph.completion().is_watched()) return {graph.completion().location()};
  std::vector<LocationId> locations;
  for (const std::unique_ptr<Node>& node : graph.parts().nodes) {
    for (const InputPortBase* input : node->inputs) locations.push_back(input->location);
    for (const OutputPortBase* output : node->outputs) locations.push_back(output->location);
  }
  return locations;
}

}  // namespace

Stall FindStall(Graph& graph) {
  Attempt& attempt = graph.worker().attempt();
  const std::string where = absl::StrCat("on ", attempt.Describe(graph.worker().index()));
  if (const std::string by = attempt.stall_board().CancelledBy(graph.id()); !by.empty()) {
    return {absl::StrFormat("dataflow '%s' %s waits for the others, but %s has cancelled it; every "
                            "worker must cancel a dataflow that one of them cancels",
                            graph.name(), where, by),
            true};
  }
  const std::vector<Holdup> holdups =
      graph.tracker().FindHoldups(WatchedLocations(graph), kMaxHoldups);
  std::optional<Holder> holder;
  for (const Holdup& holdup : holdups) {
    std::optional<Holder> here = HolderHere(graph, holdup, where);
    if (here.has_value()) {
      holder = std::move(here);
      break;
    }
    if (!holder.has_value()) holder = HolderElsewhere(graph, holdup);
  }
  if (!holder.has_value()) return {};
  return {absl::StrFormat("%s: %s; %s", Waiter(graph, where), holder->clause, holder->remedy),
          holder->is_here};
}

std::string NameOfLocation(const GraphParts& parts, LocationId location) {
  for (const std::unique_ptr<Node>& node : parts.nodes) {
    for (size_t i = 0; i < node->inputs.size(); ++i) {
      if (node->inputs[i]->location != location) continue;
      return absl::StrFormat("input %d of step '%s'", i, node->step_id());
    }
    for (size_t i = 0; i < node->outputs.size(); ++i) {
      if (node->outputs[i]->location != location) continue;
      return absl::StrFormat("output %d of step '%s'", i, node->step_id());
    }
  }
  return absl::StrCat("location ", location);
}

}  // namespace headway::internal
