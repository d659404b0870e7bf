#ifndef HEADWAY_ENGINE_GRAPH_UNREAD_INPUTS_H_
#define HEADWAY_ENGINE_GRAPH_UNREAD_INPUTS_H_

#include <cstdint>
#include <optional>

#include "engine/graph/node.h"

namespace headway::internal {

class Graph;

// Watches a dataflow whose steps wait for credit and leave batches in their inputs. Fails the run
// with ResourceExhausted, naming a step and its input, once credit can never return; logs the same
// if that cannot be proved, because something outside of the process could change it.
//
// Called at the end of a step in which something waits, on the worker's thread.
void WatchUnreadInputs(Graph& graph, bool progressed);

// Returns the bytes in the inputs of the dataflow that workers of this process have sent, if
// nothing can happen in it on this worker until credit returns; nullopt otherwise. Epochs that
// sources close by the clock do not count as something that can happen.
std::optional<int64_t> BytesThatWait(Graph& graph);

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_GRAPH_UNREAD_INPUTS_H_
