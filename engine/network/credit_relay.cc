#include "engine/network/credit_relay.h"

#include <algorithm>

#include "comm/local/flow_control.h"
#include "comm/wire/transport.h"
#include "comm/wire/wire_generated.h"

namespace headway::internal {

CreditRelay::CreditRelay(Peers& peers, Endpoint& endpoint, RemoteCredit& credit)
    : peers_(peers),
      endpoint_(endpoint),
      credit_(credit),
      returned_(static_cast<size_t>(peers.topology().process_count)),
      due_bytes_(kExclusiveBytes / 2 / (peers.topology().process_count - 1)) {}

void CreditRelay::Add(const Message& message) {
  const auto [sender, bytes] = message.returned();
  if (bytes == 0) return;  // a batch that came as several counts once
  const int process = peers_.topology().ProcessOf(static_cast<int>(sender));
  credit_.AddTaken(process, bytes);
  auto& returned = returned_[static_cast<size_t>(process)];
  auto same = std::find_if(returned.begin(), returned.end(), [&](const auto& entry) {
    return entry.dataflow == message.dataflow() && entry.channel == message.channel() &&
           entry.worker == message.returned().sender;
  });
  if (same == returned.end()) {
    returned.push_back({message.dataflow(), message.channel(), sender, 0});
    same = returned.end() - 1;
  }
  same->bytes += bytes;
  bytes_ += bytes;
}

void CreditRelay::Send() {
  for (size_t process = 0; process < returned_.size(); ++process) {
    if (returned_[process].empty()) continue;
    peers_.transport().Send(
        static_cast<int>(process),
        {.frame_class = FrameClass::kControl, .head = encoder_.Credit(returned_[process])});
    returned_[process].clear();
  }
  bytes_ = 0;
}

void CreditRelay::Deliver(int process, const wire::Frame& frame) {
  const Topology& topology = peers_.topology();
  for (const wire::Returned* returned : *frame.body_as_Credit()->returned()) {
    const auto worker = static_cast<int>(returned->worker());
    if (worker < 0 || worker >= topology.worker_count() || !topology.IsLocal(worker)) {
      peers_.Refuse(process, "credit for a worker that does not exist");
      return;
    }
    // No batch is charged less. Smaller returns would become far more messages than batches.
    if (returned->bytes() < sizeof(Block)) {
      peers_.Refuse(process, "credit for less than a batch");
      return;
    }
    if (!credit_.AddReturned(process, returned->bytes())) {
      peers_.Refuse(process, "credit for more than it was sent");
      return;
    }
    for (uint64_t left = returned->bytes(); left > 0;) {
      const auto bytes = static_cast<uint32_t>(std::min<uint64_t>(left, UINT32_MAX));
      endpoint_.Send(
          topology.LocalIndex(worker),
          Message::Credited(returned->dataflow(), returned->channel(),
                            {.process = static_cast<uint32_t>(process), .bytes = bytes}));
      left -= bytes;
    }
  }
}

}  // namespace headway::internal
