#include "comm/memory/block_pool.h"

#include <bit>
#include <new>

#include "absl/strings/str_format.h"
#include "comm/memory/slab.h"

namespace headway::internal {
namespace {

// A block rounded up, header included, has a size of 32 bits.
constexpr size_t kMaxPayloadBytes = (size_t{1} << 31) - 2 * sizeof(Block);

void CheckSize(size_t payload_bytes) {
  if (payload_bytes <= kMaxPayloadBytes) return;
  throw BlockTooLarge(
      absl::StrFormat("a record or a batch of %d bytes exceeds the largest block, of %d bytes: "
                      "split it into several",
                      payload_bytes, kMaxPayloadBytes));
}

}  // namespace

BlockPool::~BlockPool() { FreeChain(free_); }

Block* BlockPool::GetAtLeast(size_t payload_bytes) {
  if (payload_bytes <= kBlockPayloadBytes) return Get();
  CheckSize(payload_bytes);
  return Allocate(std::bit_ceil(payload_bytes + sizeof(Block)) - sizeof(Block));
}

Block* BlockPool::GetTight(size_t payload_bytes) {
  CheckSize(payload_bytes);
  return Allocate((payload_bytes + sizeof(Block) - 1) / sizeof(Block) * sizeof(Block));
}

void BlockPool::Trim() {
  size_t target = free_count_ / 2;
  if (target < kTrimFloor) target = kTrimFloor;
  while (free_count_ > target) FreeBlock(Get());
}

void BlockPool::FreeBlock(Block* block) {
  if (block->destroy_records != nullptr) block->destroy_records(block);
  if (block->in_slab) {
    Slab::Of(block)->Unref();
    return;
  }
  ::operator delete(block, std::align_val_t{alignof(Block)});
}

void BlockPool::FreeChain(Block* chain) {
  while (chain != nullptr) {
    Block* next = chain->next;
    FreeBlock(chain);
    chain = next;
  }
}

Block* BlockPool::Allocate(size_t payload_bytes) {
  void* memory = ::operator new(sizeof(Block) + payload_bytes, std::align_val_t{alignof(Block)});
  Block* block = new (memory) Block;
  block->capacity = static_cast<uint32_t>(payload_bytes);
  ++allocated_;
  return block;
}

}  // namespace headway::internal
