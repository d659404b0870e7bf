#include "engine/graph/channel.h"

#include "absl/strings/str_format.h"
#include "engine/runtime/network.h"

namespace headway::internal {
namespace {

// A worker pumps the network when it has left this much for it.
constexpr int64_t kPumpBytes = 256 * 1024;

}  // namespace

ChannelBase::ChannelBase(Graph& graph, InputPortBase& target) : graph_(graph), target_(target) {
  target_.channel = this;
}

void ChannelBase::Register(uint32_t id, std::shared_ptr<ChannelCredits> credits) {
  id_ = id;
  account_.emplace(graph_.worker(), std::move(credits));
}

void ChannelBase::Deliver(int worker, Block* block, size_t plain_time_bytes) {
  WorkerContext& context = graph_.worker();
  const int64_t bytes = ChargedBytes(*block);
  block->sender = static_cast<uint16_t>(context.index);
  account_->AddSent(bytes);
  if (worker == context.index) {
    target_.Accept(block);
  } else {
    const int to = context.run.topology().LocalIndex(worker);
    const Message message = {
        .kind = kDataMessage, .dataflow = graph_.id(), .channel = id_, .block = block};
    if (plain_time_bytes > 0) {
      context.endpoint.SendPlainBatch(to, message, plain_time_bytes, block->byte_count);
    } else {
      context.endpoint.Send(to, message);
    }
  }
}

void ChannelBase::DeliverRemote(int worker, const PackedBatch& batch) {
  WorkerContext& context = graph_.worker();
  const size_t limit = context.run.options().cluster.max_frame_bytes;
  const size_t size = kBatchHeadBytes +
                      PadToFrameAlignment(size_t{batch.parts.front_bytes} + batch.parts.back_bytes);
  if (size > limit) {
    context.endpoint.Recycle(batch.block);
    graph_.errors().FailAndThrow(
        target_.node().step_id(),
        absl::ResourceExhaustedError(absl::StrFormat(
            "a batch for it takes %d bytes on its way to another process, and max_frame_bytes is "
            "%d; send smaller records, or raise the limit in every process",
            size, limit)));
  }
  const int64_t bytes = ChargedBytes(*batch.block);
  batch.block->sender = static_cast<uint16_t>(context.index);
  account_->AddSent(bytes);
  context.endpoint.Send(context.run.network()->endpoint_index(),
                        {.kind = kRemoteBatch,
                         .dataflow = graph_.id(),
                         .channel = id_,
                         .extra = static_cast<uint32_t>(worker),
                         .block = batch.block,
                         .front_bytes = batch.parts.front_bytes,
                         .back_bytes = batch.parts.back_bytes,
                         .charged_bytes = static_cast<uint32_t>(bytes)});
  context.network_output = true;
  // Long activations send while they go on, so that the other process need not wait for their end.
  context.unpumped_bytes += bytes;
  if (context.unpumped_bytes >= kPumpBytes) {
    context.unpumped_bytes = 0;
    context.endpoint.Flush();
    context.run.network()->Pump(true);
  }
}

void ChannelBase::AcceptRemote(Block* block) {
  const int sender = block->sender;
  graph_.worker().endpoint.Recycle(block);
  RefuseRemote(sender, "a batch of a channel that does not leave its worker");
}

void ChannelBase::RefuseRemote(int sender, std::string_view why) {
  graph_.errors().Fail(target_.node().step_id(),
                       absl::InvalidArgumentError(absl::StrFormat(
                           "%s sent %s; it is not the same program, or its memory is corrupt",
                           graph_.worker().run.Describe(sender), why)));
}

void ChannelBase::CountTaken(const Block& block) {
  WorkerContext& context = graph_.worker();
  const Topology& topology = context.run.topology();
  if (!topology.IsLocal(block.sender)) {
    context.ReturnRemote(graph_.id(), id_, block);
    return;
  }
  account_->AddTaken(topology.LocalIndex(block.sender), ChargedBytes(block));
}

}  // namespace headway::internal
