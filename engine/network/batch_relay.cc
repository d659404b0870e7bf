#include "engine/network/batch_relay.h"

#include <array>
#include <cstring>

#include "absl/strings/str_format.h"
#include "comm/wire/wire_generated.h"

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
  const int process = peers_.topology().ProcessOf(static_cast<int>(batch.target));
  credit_.AddSent(process, block.charged_bytes);
  peers_.transport().Send(process, {.frame_class = FrameClass::kData,
                                    .head = head,
                                    .body = &block,
                                    .front_bytes = batch.front_bytes,
                                    .back_bytes = batch.back_bytes});
}

bool BatchRelay::Accepts(int process, const IncomingFrame& frame) {
  const wire::Batch& batch = *frame.frame->body_as_Batch();
  const Topology& topology = peers_.topology();
  const auto target = static_cast<int>(batch.target());
  const auto sender = static_cast<int>(batch.sender());
  if (target < 0 || target >= topology.worker_count() || !topology.IsLocal(target) || sender < 0 ||
      sender >= topology.worker_count() || topology.ProcessOf(sender) != process) {
    peers_.Refuse(process, "a batch from or for a worker that does not exist");
    return false;
  }
  if (!graphs_.Knows(process, batch.dataflow())) {
    peers_.Refuse(process, "a batch of a dataflow that it has not announced");
    return false;
  }
  // A batch without records is a watermark, which is small. The charge is the memory of the
  // sender's block, header included.
  const size_t bytes = batch.records()->size();
  const bool is_empty = batch.record_count() == 0 && (bytes == 0 || bytes > sizeof(Block));
  if (is_empty || batch.charged_bytes() < sizeof(Block) || batch.charged_bytes() < bytes) {
    peers_.Refuse(process, "a batch without records, or with fewer charged bytes than it has");
    return false;
  }
  return HasCredit(process, batch.charged_bytes());
}

bool BatchRelay::HasCredit(int process, int64_t bytes) {
  const int64_t in_flight = credit_.AddReceived(process, bytes);
  const int64_t limit = credit_.Limit(table_.location_count());
  if (in_flight <= limit) return true;
  peers_.attempt().failure().Report(absl::ResourceExhaustedError(absl::StrFormat(
      "%s exceeds its credit: process %d holds %d bytes of batches from it that no worker has "
      "taken, and the limit is %d. Let its steps emit less in one call, or raise "
      "max_bytes_in_flight in every process",
      peers_.transport().Describe(process), peers_.topology().process, in_flight, limit)));
  return false;
}

void BatchRelay::Deliver(int process, const IncomingFrame& frame) {
  if (!Accepts(process, frame)) return;
  const wire::Batch& batch = *frame.frame->body_as_Batch();
  // The block's header overwrites the head of the frame: read all fields first.
  const auto target = static_cast<int>(batch.target());
  const auto sender = static_cast<uint16_t>(batch.sender());
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
  block->sender = sender;
  std::memcpy(block->time, time.data(), time.size());
  endpoint_.Send(peers_.topology().LocalIndex(target), Message::Incoming(dataflow, channel, block));
}

}  // namespace headway::internal
