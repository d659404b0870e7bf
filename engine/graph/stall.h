#ifndef HEADWAY_ENGINE_GRAPH_STALL_H_
#define HEADWAY_ENGINE_GRAPH_STALL_H_

#include <string>

#include "engine/graph/graph.h"

namespace headway::internal {

// The reason why a dataflow stands still, as one worker knows it.
struct Stall {
  // Names the step, the time and the worker, and the remedy. Empty if nothing holds the dataflow
  // back.
  std::string sentence;
  // Whether this worker holds the dataflow back. Another one knows less: not the worker, for
  // example.
  bool is_here = false;
};

// Finds the outstanding times that hold the dataflow back: capabilities, open inputs, batches that
// a step leaves in its inputs. Visits the whole graph, so it is for workers that have been idle for
// seconds. Belongs to the worker's thread; call it between steps.
Stall FindStall(Graph& graph);

// The name of a location of a built graph in messages: the step and its port.
std::string NameOfLocation(const GraphParts& parts, LocationId location);

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_GRAPH_STALL_H_
