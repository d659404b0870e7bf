#ifndef HEADWAY_ENGINE_STEP_BUILD_SINK_H_
#define HEADWAY_ENGINE_STEP_BUILD_SINK_H_

#include <string_view>
#include <utility>

#include "engine/step/flush_state.h"
#include "engine/step/operator_builder.h"

namespace headway::internal {

// Builds the operator of a sink, with a `Node` of the graph, the node's way for records,
// Node::PactOf(sink), and the node's sink. Returns a stream without records, whose frontier passes
// an epoch when the node has closed it on all workers.
template <class Node, class D, class T, class Sink>
Stream<Flushed, T> BuildSink(const Stream<D, T>& stream, std::string_view id, Sink of_worker) {
  OperatorBuilder<T> builder(stream.scope(), id);
  Graph& graph = builder.graph();
  Sink& sink = graph.objects().template Make<Sink>(std::move(of_worker));
  NodeInput<D, T>& input = builder.AddInput(stream, Node::PactOf(sink));
  // No record leaves through this output. Its capabilities keep epochs open until they are closed.
  auto& closed = builder.template AddOutput<Flushed>();
  auto& node = graph.objects().template Make<Node>(graph, builder.node(), input, sink);
  builder.AddParticipant(node, 0, [&node] { node.Open(); });
  builder.node().flushes = true;
  builder.BuildWithoutCapabilities([&node] { node.Run(); });
  return builder.StreamOf(closed);
}

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STEP_BUILD_SINK_H_
