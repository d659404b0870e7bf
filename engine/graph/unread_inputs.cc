#include "engine/graph/unread_inputs.h"

#include <algorithm>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "engine/graph/graph.h"
#include "engine/graph/source_control.h"

namespace headway::internal {
namespace {

// An input that its step leaves batches in.
struct UnreadInput {
  const Node* node;
  size_t index;
  int64_t bytes;
};

UnreadInput LargestInputOf(const Node& node) {
  UnreadInput largest{&node, 0, 0};
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const int64_t bytes = node.inputs[i]->QueuedBytes([](const Block&) { return true; });
    if (bytes > largest.bytes) largest = {&node, i, bytes};
  }
  return largest;
}

std::string Describe(const UnreadInput& unread, int64_t max_bytes_in_flight) {
  return absl::StrFormat(
      "it leaves %d bytes of batches unread in its input %d (the first is 0) and waits for "
      "something else, but the steps before it wait for the credit of these bytes. Take the "
      "batches and keep them as state of the step, or raise max_bytes_in_flight (this process's "
      "part is %d)",
      unread.bytes, unread.index, max_bytes_in_flight);
}

// Returns true if the source does nothing before credit returns, or an epoch is complete.
bool Waits(const Graph& graph, SourceControl& source) {
  return source.ended() || graph.credit().IsBlocked(source.node()) || source.IsPaused();
}

}  // namespace

std::optional<int64_t> BytesThatWait(Graph& graph) {
  WorkerContext& worker = graph.worker();
  const GraphParts& parts = graph.parts();
  // A dataflow without sources is fed by its host.
  if (graph.HasWork() || parts.sources.empty()) return std::nullopt;
  for (SourceControl* source : parts.sources) {
    if (!Waits(graph, *source)) return std::nullopt;
  }
  const bool has_alarm = worker.timers().Any([&](uint32_t graph_id, uint32_t node) {
    return graph_id == graph.id() && !parts.nodes[node]->checks_credit_itself;
  });
  if (has_alarm) return std::nullopt;
  const Topology& topology = worker.run().topology();
  int64_t bytes = 0;
  for (const std::unique_ptr<Node>& node : parts.nodes) {
    if (node->may_be_woken) return std::nullopt;
    for (const InputPortBase* input : node->inputs) {
      if (node->takes_nothing && !input->empty()) return std::nullopt;
      bytes +=
          input->QueuedBytes([&](const Block& block) { return topology.IsLocal(block.sender); });
    }
  }
  return bytes;
}

void WatchUnreadInputs(Graph& graph, bool progressed) {
  WorkerContext& worker = graph.worker();
  Attempt& attempt = worker.attempt();
  CreditStandstill& standstill = attempt.credit_standstill();
  if (progressed) {
    standstill.Progressed();
    return;
  }
  if (worker.PoolHasRoom()) return;
  if (const std::optional<int64_t> bytes = BytesThatWait(graph); bytes.has_value()) {
    standstill.Waits(worker.local_index(), *bytes);
  }
  const std::vector<Node*>& nodes = graph.credit().leaving_unread();
  if (nodes.empty()) return;
  const CreditStandstill::Verdict verdict = standstill.Look(worker.NowNanos());
  if (verdict == CreditStandstill::Verdict::kMoves) return;
  UnreadInput unread{};
  for (const Node* node : nodes) {
    const UnreadInput of_node = LargestInputOf(*node);
    if (of_node.bytes > unread.bytes) unread = of_node;
  }
  if (unread.node == nullptr) return;
  const std::string text = Describe(unread, attempt.flow_control().max_bytes_in_flight());
  if (verdict == CreditStandstill::Verdict::kStandsForEver &&
      worker.run().topology().process_count == 1) {
    graph.errors().Fail(unread.node->step_id(), absl::ResourceExhaustedError(text));
  } else {
    Log(worker.run().options().log_hook, LogSeverity::kWarning,
        absl::StrFormat("step '%s' on %s: %s", unread.node->step_id(),
                        attempt.Describe(worker.index()), text));
  }
}

}  // namespace headway::internal
