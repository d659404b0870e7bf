#ifndef HEADWAY_COMM_MEMORY_BLOCK_POOL_H_
#define HEADWAY_COMM_MEMORY_BLOCK_POOL_H_

#include <cstddef>
#include <cstdint>
#include <stdexcept>

#include "comm/memory/block.h"

namespace headway::internal {

// Bytes of a default block, header included. Measured: 8 to 32 KiB are equal; 1 KiB and 128 KiB are
// a quarter slower.
inline constexpr size_t kBlockBytes = 16 * 1024;

// Bytes of payload of a default block.
inline constexpr size_t kBlockPayloadBytes = kBlockBytes - sizeof(Block);

// Returns true if a block has the size that pools keep, and memory of its own.
inline bool IsDefault(const Block& block) {
  return block.capacity == kBlockPayloadBytes && !block.in_slab;
}

// Thrown for a block of nearly 2 GiB or more: a user's record is as large.
struct BlockTooLarge : std::length_error {
  using std::length_error::length_error;
};

// The free list of one worker's blocks, most recently used first, so that a block is reused while
// the cache still holds it.
//
// In steady state nothing is allocated: Put brings back the blocks that Get takes. A block may be
// returned to another pool than the one that allocated it. The pool owns the blocks on its free
// list and frees them with itself. A block from Get belongs to the caller until some pool's Put or
// FreeBlock.
//
// Thread safety: none; each worker has its own.
class BlockPool {
 public:
  static constexpr size_t kTrimFloor = 16;

  BlockPool() = default;
  ~BlockPool();
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  // An empty block (counts zero, no next, time unspecified) with kBlockPayloadBytes of payload,
  // which is not initialized.
  Block* Get() {
    Block* block = free_;
    if (block == nullptr) return Allocate(kBlockPayloadBytes);
    free_ = block->next;
    --free_count_;
    block->next = nullptr;
    block->record_count = 0;
    block->charged_bytes = 0;
    return block;
  }

  // An empty block with at least `payload_bytes` of payload: a default one if that suffices.
  // Otherwise one of the next power of two (header included), which Put frees. Throws
  // BlockTooLarge.
  Block* GetAtLeast(size_t payload_bytes);

  // An empty block with just enough payload, in whole cache lines, which Put frees. Throws
  // BlockTooLarge.
  Block* GetTight(size_t payload_bytes);

  // Takes one block, and ends the lifetime of the records in it. Its `next` is ignored.
  void Put(Block* block) {
    if (block->destroy_records != nullptr) [[unlikely]] {
      block->destroy_records(block);
      block->destroy_records = nullptr;
    }
    if (!IsDefault(*block)) {
      FreeBlock(block);
      return;
    }
    block->next = free_;
    free_ = block;
    ++free_count_;
  }

  // Returns true if Trim would free anything.
  bool CanTrim() const { return free_count_ > kTrimFloor; }

  // Frees half of the free list, down to kTrimFloor blocks. Call it when the worker is idle, so
  // that a burst does not keep its memory.
  void Trim();

  // Frees one block to the heap. Thread-safe.
  static void FreeBlock(Block* block);

  // Frees a chain of blocks, linked by `next`; null is an empty one. Thread-safe.
  static void FreeChain(Block* chain);

  // Number of blocks that this pool has allocated from the heap.
  uint64_t allocated() const { return allocated_; }

  // Number of blocks on the free list.
  size_t free_count() const { return free_count_; }

 private:
  Block* Allocate(size_t payload_bytes);

  Block* free_ = nullptr;
  size_t free_count_ = 0;
  uint64_t allocated_ = 0;
};

}  // namespace headway::internal

#endif  // HEADWAY_COMM_MEMORY_BLOCK_POOL_H_
