#include "engine/network/remote_graphs.h"

#include <string>
#include <utility>

#include "comm/wire/wire_generated.h"
#include "engine/network/dataflow_table.h"

namespace headway::internal {

void RemoteGraphs::Compare(int process, const IncomingFrame& frame) {
  const wire::Graph& graph = *frame.frame->body_as_Graph();
  if (graph.dataflow() >= kMaxDataflows) {
    peers_.Refuse(process, "the graph of a dataflow number beyond the limit");
    return;
  }
  if (graph.dataflow() != announced_[static_cast<size_t>(process)]) {
    peers_.Refuse(process, "the graph of a dataflow out of turn");
    return;
  }
  ++announced_[static_cast<size_t>(process)];
  constexpr size_t kMinStepBytes = 8;  // of a step in a frame: its offset and its size
  std::vector<std::string> steps;
  size_t bytes = 0;
  for (const flatbuffers::String* step : *graph.steps()) {
    bytes += step->size() + kMinStepBytes;
    // Offsets of a FlatBuffer may share bytes, and so ask for far more memory than the frame has.
    if (bytes > frame.bytes.size()) {
      peers_.Refuse(process, "a graph whose steps overlap");
      return;
    }
    steps.push_back(step->str());
  }
  Attempt& attempt = peers_.attempt();
  absl::Status status = attempt.graph_comparison().Compare(
      graph.dataflow(), peers_.transport().Describe(process), steps);
  if (!status.ok()) attempt.failure().Report(status);
}

}  // namespace headway::internal
