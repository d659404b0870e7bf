#include "engine/recovery/publisher.h"

#include <algorithm>
#include <utility>

#include "engine/graph/source_control.h"
#include "engine/recovery/store_thread.h"
#include "engine/step/outbox_node.h"

namespace headway::internal {

Publisher::Publisher(Graph& graph, Node& node, NodeInput<StateChunk>& commits,
                     Capability<Epoch> first)
    : graph_(graph), node_(node), commits_(commits), held_(std::move(first)) {}

void Publisher::Run() {
  if (!held_.held()) return;
  const FrontierView<Epoch> frontier = commits_.frontier();
  const Epoch end = frontier.empty() ? kAllEpochs : frontier.elements()[0];
  Epoch published_end = end;
  for (OutboxNodeBase* outbox : graph_.parts().outboxes) {
    outbox->SetCommitted(end, node_);
    published_end = std::min(published_end, outbox->published_end());
  }
  for (SourceControl* source : graph_.parts().sources) source->SetCommitted(end);
  if (published_end == kAllEpochs) {
    held_.Drop();
  } else if (published_end > held_.time()) {
    held_.Downgrade(published_end);
  }
}

}  // namespace headway::internal
