#include "engine/graph/progress_outbox.h"

#include "engine/network/remote_sender.h"

namespace headway::internal {

bool ProgressOutbox::Send() {
  unsent_ = !worker_.endpoint().TryPublishProgress(graph_id_, round_);
  if (worker_.remote() != nullptr) worker_.remote()->NoteProgress();
  return !unsent_;
}

}  // namespace headway::internal
