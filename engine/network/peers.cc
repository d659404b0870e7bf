#include "engine/network/peers.h"

#include "format.h"

namespace headway::internal {

void Peers::SendToAll(FrameClass frame_class, std::span<const std::byte> frame) {
  for (int process = 0; process < transport_->process_count(); ++process) {
    if (process == transport_->process_id()) continue;
    transport_->Send(process, {.frame_class = frame_class, .head = frame});
  }
}

bool Peers::AnyQueuesMoreThan(size_t bytes, FrameClass frame_class) const {
  for (int process = 0; process < transport_->process_count(); ++process) {
    if (process == transport_->process_id()) continue;
    if (transport_->QueuedBytes(process, frame_class) > bytes) return true;
  }
  return false;
}

void Peers::Refuse(int process, std::string_view message) {
  attempt_.failure().Report(absl::InvalidArgumentError(
      Format("%s sent %s; it is not the same program, or its memory is corrupt",
             transport_->Describe(process), message)));
}

}  // namespace headway::internal
