#include "engine/graph/progress_outbox.h"

#include "engine/network/remote_sender.h"

namespace headway::internal {

bool ProgressOutbox::Send() {
  const bool is_retry = unsent_;
  unsent_ = !worker_.endpoint().TryPublishProgress(graph_id_, round_);
  // A retry that failed has nothing new for the network, and must not make its pump urgent.
  if (worker_.remote() != nullptr && !(is_retry && unsent_)) worker_.remote()->NoteProgress();
  return !unsent_;
}

}  // namespace headway::internal
