#include "engine/graph/node.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "engine/graph/channel.h"
#include "engine/graph/graph.h"

namespace headway::internal {

Watermark Node::InputWatermark() const {
  Watermark least{.time = std::numeric_limits<EventTime>::max(), .active = false};
  Watermark greatest{.active = false};
  for (const InputPortBase* input : inputs) {
    if (input->channel == nullptr) continue;
    const SenderWatermarks& of_input = input->watermarks();
    greatest.time = std::max(greatest.time, of_input.time());
    if (!of_input.active()) continue;
    least.active = true;
    least.time = std::min(least.time, of_input.time());
  }
  return least.active ? least : greatest;
}

Watermark Node::OutputWatermark() const {
  Watermark result = InputWatermark();
  if (watermark.limit != kNoWatermarkLimit) {
    result.active = true;
    result.time = std::min(result.time, watermark.limit);
  }
  return result;
}

void InputPortBase::Discard() {
  while (!queue_.empty()) graph_.worker().endpoint().Recycle(TakeBlock());
}

int64_t InputPortBase::QueuedBytes(absl::FunctionRef<bool(const Block&)> counts) const {
  int64_t bytes = 0;
  for (const Block* block = queue_.front(); block != nullptr; block = block->next) {
    if (counts(*block)) bytes += block->charged_bytes;
  }
  return bytes;
}

void InputPortBase::Accept(Block* block) {
  queue_.PushBack(block);
  graph_.queue().Activate(node_);
}

Block* InputPortBase::TakeBlock() {
  Block* block = queue_.PopFront();
  channel->CountTaken(*block);
  return block;
}

ArrivedWatermark InputPortBase::TakeWatermark(Block* block) {
  WatermarkPayload payload;
  std::memcpy(&payload, block->payload(), sizeof(payload));
  const size_t sender = channel->SenderOf(block->sender, payload.port);
  if (watermarks_.sender_count() == 0) watermarks_.SetSenderCount(channel->sender_count());
  graph_.worker().endpoint().Recycle(block);
  return {.sender = sender, .time = payload.time, .active = payload.active != 0};
}

bool InputPortBase::OutputsHaveCredit() const {
  for (OutputPortBase* output : node_.outputs) {
    if (!graph_.credit().HasCredit(*output)) return false;
  }
  return true;
}

}  // namespace headway::internal
