#ifndef HEADWAY_ENGINE_BATCH_BLOCK_OWNER_H_
#define HEADWAY_ENGINE_BATCH_BLOCK_OWNER_H_

#include <cstddef>
#include <cstdint>
#include <utility>

#include "comm/local/fabric.h"
#include "comm/memory/block.h"
#include "comm/memory/block_pool.h"

namespace headway::internal {

// The parts of a block's payload that hold a batch: bytes at its front, and bytes up to its end.
// The gap between them is not sent to another process.
struct WireParts {
  uint32_t front_bytes = 0;
  uint32_t back_bytes = 0;
};

// Returns true if `bytes` bytes of records leave more than half of the block unused, and a block of
// their size would be smaller (BlockPool::GetTight rounds up to a cache line).
inline bool IsMostlyEmpty(const Block& block, size_t bytes) {
  return bytes < block.capacity / 2 && block.capacity > sizeof(Block);
}

// Owns the block of a batch of any kind, and returns it to the worker's endpoint.
class BlockOwner {
 public:
  BlockOwner() = default;
  BlockOwner(Endpoint* endpoint, Block* block) : endpoint_(endpoint), block_(block) {}
  BlockOwner(BlockOwner&& other) noexcept
      : endpoint_(other.endpoint_), block_(std::exchange(other.block_, nullptr)) {}
  BlockOwner& operator=(BlockOwner&& other) noexcept {
    std::swap(endpoint_, other.endpoint_);
    std::swap(block_, other.block_);
    return *this;
  }
  ~BlockOwner() {
    if (block_ != nullptr) endpoint_->Recycle(block_);
  }

  void Reset(Endpoint* endpoint, Block* block) {
    if (block_ != nullptr) endpoint_->Recycle(block_);
    endpoint_ = endpoint;
    block_ = block;
  }
  Block* get() const { return block_; }
  // Returns true if the block has the default size and is not part of a received slab. REQUIRES:
  // there is a block.
  bool has_default_block() const { return IsDefault(*block_); }
  Block* Release() { return std::exchange(block_, nullptr); }
  Endpoint* endpoint() const { return endpoint_; }

 private:
  Endpoint* endpoint_ = nullptr;
  Block* block_ = nullptr;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_BATCH_BLOCK_OWNER_H_
