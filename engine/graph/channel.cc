#include "engine/graph/channel.h"

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
