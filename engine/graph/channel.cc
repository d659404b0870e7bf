#include "engine/graph/channel.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_format.h"
#include "engine/network/remote_sender.h"

namespace headway::internal {

ChannelBase::ChannelBase(Graph& graph, InputPortBase& target) : graph_(graph), target_(target) {
  target_.channel = this;
}

void ChannelBase::Register(uint32_t id, std::shared_ptr<ChannelCredits> credits) {
  id_ = id;
  account_.emplace(graph_.worker(), std::move(credits));
}

void ChannelBase::Deliver(int worker, Block* block, PlainSizes plain) {
  WorkerContext& context = graph_.worker();
  const uint32_t bytes = block->memory_bytes();
  block->charged_bytes = bytes;
  block->sender = static_cast<uint16_t>(context.index());
  account_->AddSent(bytes);
  if (worker == context.index()) {
    target_.Accept(block);
  } else {
    const int to = context.run().topology().LocalIndex(worker);
    const Message message = Message::Batch(graph_.id(), id_, block);
    if (plain.time_bytes > 0) {
      context.endpoint().SendPlainBatch(to, message, plain.time_bytes,
                                        size_t{plain.record_bytes} * block->record_count);
    } else {
      context.endpoint().Send(to, message);
    }
  }
}

void ChannelBase::DeliverRemote(int worker, const PackedBatch& batch) {
  WorkerContext& context = graph_.worker();
  const size_t limit = context.run().options().cluster.max_frame_bytes;
  const size_t size = kBatchHeadBytes +
                      PadToFrameAlignment(size_t{batch.parts.front_bytes} + batch.parts.back_bytes);
  if (size > limit) {
    context.endpoint().Recycle(batch.block);
    graph_.errors().FailAndThrow(
        target_.node().step_id(),
        absl::ResourceExhaustedError(absl::StrFormat(
            "a batch for it takes %d bytes on its way to another process, and max_frame_bytes is "
            "%d; send smaller records, or raise the limit in every process",
            size, limit)));
  }
  const uint32_t bytes = batch.block->memory_bytes();
  batch.block->charged_bytes = bytes;
  batch.block->sender = static_cast<uint16_t>(context.index());
  account_->AddSent(bytes);
  context.remote()->SendBatch(graph_.id(), id_, worker, batch);
}

void ChannelBase::AcceptRemote(Block* block) {
  const int sender = block->sender;
  graph_.worker().endpoint().Recycle(block);
  RefuseRemote(sender, "a batch of a channel that does not leave its worker");
}

void ChannelBase::AddPort(const OutputPortBase& port) { ports_.push_back({&port, {}}); }

size_t ChannelBase::sender_count() const {
  const auto workers = static_cast<size_t>(graph_.worker().count());
  return ReachesAllWorkers() ? workers * ports_.size() : ports_.size();
}

Block* ChannelBase::PackWatermark(const Watermark& watermark) {
  const auto port = std::ranges::find(ports_, watermark.port, &Port::port);
  if (port == ports_.end()) return nullptr;  // the port of a cycle
  Watermark& sent = port->sent;
  if (watermark.active == sent.active && watermark.time <= sent.time) return nullptr;
  sent.active = watermark.active;
  sent.time = std::max(sent.time, watermark.time);
  const WatermarkPayload payload{.time = sent.time,
                                 .port = static_cast<uint32_t>(port - ports_.begin()),
                                 .active = sent.active ? 1U : 0U};
  Block* block = graph_.worker().endpoint().pool().GetTight(kWatermarkBytes);
  std::memcpy(block->payload(), &payload, sizeof(payload));
  block->record_count = 0;
  return block;
}

bool ChannelBase::IsWatermark(const Block& block) const {
  if (block.capacity < kWatermarkBytes) return false;
  WatermarkPayload payload;
  std::memcpy(&payload, block.payload(), sizeof(payload));
  return payload.port < ports_.size() && payload.active <= 1;
}

void ChannelBase::RefuseRemote(int sender, std::string_view why) {
  graph_.errors().Fail(target_.node().step_id(),
                       absl::InvalidArgumentError(absl::StrFormat(
                           "%s sent %s; it is not the same program, or its memory is corrupt",
                           graph_.worker().attempt().Describe(sender), why)));
}

void ChannelBase::CountTaken(const Block& block) {
  WorkerContext& context = graph_.worker();
  const Topology& topology = context.run().topology();
  if (!topology.IsLocal(block.sender)) {
    context.remote()->ReturnBytes(graph_.id(), id_, block);
    return;
  }
  account_->AddTaken(topology.LocalIndex(block.sender), block.charged_bytes);
}

}  // namespace headway::internal
