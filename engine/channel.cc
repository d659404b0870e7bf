#include "headway/engine/channel.h"

namespace headway::internal {

ChannelBase::ChannelBase(Graph& graph, InputPortBase& target) : graph_(graph), target_(target) {
  target_.channel = this;
}

void ChannelBase::Deliver(int worker, Block* block) {
  WorkerContext& context = graph_.worker();
  const int64_t bytes = ChargedBytes(*block);
  block->sender = static_cast<uint32_t>(context.index);
  context.run.flow_control().AddSent(context.index, bytes);
  credits_->AddSent(context.index, bytes);
  if (worker == context.index) {
    target_.Accept(block);
  } else {
    context.endpoint.Send(
        worker,
        {.kind = kDataMessage, .dataflow = graph_.id(), .channel = id, .extra = 0, .block = block});
  }
}

bool ChannelBase::HasExclusiveCredit() const { return credits_->HasRoom(graph_.worker().index); }

void ChannelBase::CountTaken(const Block& block) {
  WorkerContext& context = graph_.worker();
  const int64_t bytes = ChargedBytes(block);
  context.run.flow_control().AddTaken(context.index, bytes);
  credits_->AddTaken(context.index, static_cast<int>(block.sender), bytes);
  context.took_bytes = true;
  if (context.run.flow_control().TakeStarving()) context.endpoint.WakeAll();
}

}  // namespace headway::internal
