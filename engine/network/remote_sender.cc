#include "engine/network/remote_sender.h"

namespace headway::internal {
namespace {

// Bytes that a worker sends before it pumps the network in the middle of a step.
constexpr int64_t kPumpBytes = 256 * 1024;

}  // namespace

void RemoteSender::SendBatch(uint32_t dataflow, uint32_t channel, int worker,
                             const PackedBatch& batch) {
  const uint32_t bytes = batch.block->charged_bytes;
  endpoint_.Send(network_.endpoint_index(),
                 Message::Outgoing(dataflow, channel, batch.block,
                                   {.target = static_cast<uint32_t>(worker),
                                    .front_bytes = batch.parts.front_bytes,
                                    .back_bytes = batch.parts.back_bytes}));
  has_output_ = true;
  unpumped_bytes_ += bytes;
  if (unpumped_bytes_ < kPumpBytes) return;
  unpumped_bytes_ = 0;
  endpoint_.Flush();
  network_.Pump(true);
}

void RemoteSender::ReturnBytes(uint32_t dataflow, uint32_t channel, const Block& block) {
  endpoint_.Send(
      network_.endpoint_index(),
      Message::Returned(dataflow, channel, {.sender = block.sender, .bytes = block.charged_bytes}));
  has_output_ = true;
}

}  // namespace headway::internal
