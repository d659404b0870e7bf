#include "engine/network/batch_relay.h"

#include <array>
#include <cstring>

#include "comm/wire/wire_generated.h"
#include "engine/network/dataflow_table.h"

namespace headway::internal {

void BatchRelay::Send(const Message& message) {
  Block& block = *message.block();
  const OutgoingBatch& batch = message.outgoing();
  BatchFields fields{.dataflow = message.dataflow(),
                     .channel = message.channel(),
                     .sender = block.sender,
                     .target = batch.target,
                     .record_count = block.record_count,
                     .charged_bytes = block.charged_bytes};
  std::memcpy(fields.time.data(), block.time, sizeof(block.time));
  const size_t payload = PadToFrameAlignment(size_t{batch.front_bytes} + batch.back_bytes);
  const auto head = EncodeBatchHead(fields, static_cast<uint32_t>(payload));
  peers_.transport().Send(peers_.topology().ProcessOf(static_cast<int>(batch.target)),
                          {.frame_class = FrameClass::kData,
                           .head = head,
                           .body = &block,
                           .front_bytes = batch.front_bytes,
                           .back_bytes = batch.back_bytes});
}

void BatchRelay::Deliver(int process, const IncomingFrame& frame) {
  const wire::Batch& batch = *frame.frame->body_as_Batch();
  const Topology& topology = peers_.topology();
  const auto target = static_cast<int>(batch.target());
  const auto sender = static_cast<int>(batch.sender());
  if (target < 0 || target >= topology.worker_count() || !topology.IsLocal(target) || sender < 0 ||
      sender >= topology.worker_count() || topology.ProcessOf(sender) != process) {
    peers_.Refuse(process, "a batch from or for a worker that does not exist");
    return;
  }
  if (batch.dataflow() >= kMaxDataflows || batch.charged_bytes() < batch.records()->size()) {
    peers_.Refuse(
        process,
        "a batch with a dataflow number beyond the limit, or with fewer charged bytes than it has");
    return;
  }
  // The block's header overwrites the head of the frame: read all fields first.
  const uint32_t dataflow = batch.dataflow();
  const uint32_t channel = batch.channel();
  const uint32_t charged_bytes = batch.charged_bytes();
  const uint32_t record_count = batch.record_count();
  std::array<std::byte, sizeof(Block::time)> time;
  std::memcpy(time.data(), batch.time(), time.size());
  auto* records =
      const_cast<std::byte*>(reinterpret_cast<const std::byte*>(batch.records()->data()));
  Block* block = frame.slab->PlaceBlock(records, batch.records()->size());
  block->record_count = record_count;
  block->charged_bytes = charged_bytes;
  block->sender = static_cast<uint16_t>(sender);
  std::memcpy(block->time, time.data(), time.size());
  endpoint_.Send(topology.LocalIndex(target), Message::Incoming(dataflow, channel, block));
}

}  // namespace headway::internal
