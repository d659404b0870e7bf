#include "headway/engine/node.h"

#include "headway/engine/channel.h"
#include "headway/engine/graph.h"

namespace headway::internal {

namespace {

// Batches that a node takes in one activation before the others have their turn.
constexpr int kMaxBatchesPerActivation = 32;

}  // namespace

void InputPortBase::Discard() {
  while (!queue_.empty()) graph_.worker().endpoint.Recycle(TakeBlock());
}

void InputPortBase::Accept(Block* block) {
  queue_.PushBack(block);
  graph_.Activate(node_);
}

Block* InputPortBase::TakeBlock() {
  Block* block = queue_.PopFront();
  channel->CountTaken(*block);
  return block;
}

bool InputPortBase::MayTakeAnother() {
  if (queue_.empty() || node_.taken >= kMaxBatchesPerActivation) return false;
  if (node_.taken++ == 0) return true;
  for (OutputPortBase* output : node_.outputs) {
    if (!graph_.HasCredit(*output)) return false;
  }
  return true;
}

void OutputPortBase::Flush() {
  FlushOwnBuffer();
  for (Flushable* buffer : buffers) buffer->Flush();
}

}  // namespace headway::internal
