#include "engine/graph/node.h"

#include "engine/graph/channel.h"
#include "engine/graph/graph.h"

namespace headway::internal {

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

bool InputPortBase::OutputsHaveCredit() const {
  for (OutputPortBase* output : node_.outputs) {
    if (!graph_.credit().HasCredit(*output)) return false;
  }
  return true;
}

}  // namespace headway::internal
