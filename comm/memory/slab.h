#ifndef HEADWAY_COMM_MEMORY_SLAB_H_
#define HEADWAY_COMM_MEMORY_SLAB_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "comm/memory/block.h"

namespace headway::internal {

class SlabPool;

// Memory into which a connection reads frames, 64-byte aligned. Batches are read where they
// arrived: their blocks lie in the slab, and keep it until the last of them is consumed, on any
// thread.
//
// Thread safety: the references are counted atomically. The bytes of a block belong to its owner,
// all other bytes to the reader of the connection.
class Slab {
 public:
  std::byte* data() { return reinterpret_cast<std::byte*>(this) + sizeof(Slab); }
  size_t capacity() const { return capacity_; }

  // Returns true if the caller's is the only reference, so that all bytes may be overwritten.
  bool Unshared() const { return references_.load(std::memory_order_acquire) == 1; }
  void Ref() { references_.fetch_add(1, std::memory_order_relaxed); }
  // Drops one reference. The last one returns the slab to its pool, or frees it if the pool is
  // gone.
  void Unref();

  // Makes a block of the `payload_bytes` at `payload` in this slab. The block holds one reference
  // to the slab, which BlockPool::FreeBlock drops. Counts are zero. REQUIRES: `payload` is aligned
  // to 64, and kHeadroomBytes before it may be overwritten.
  Block* PlaceBlock(std::byte* payload, uint32_t payload_bytes);
  static constexpr size_t kHeadroomBytes = 128;

  // The slab in which a block made by PlaceBlock lies.
  static Slab* Of(Block* block);

 private:
  friend class SlabPool;
  Slab() = default;

  alignas(64) std::atomic<int32_t> references_{1};
  size_t capacity_ = 0;
  SlabPool* pool_ = nullptr;
  Slab* next_free_ = nullptr;
};
static_assert(sizeof(Slab) == 64);

// The slabs of one process, recycled. Lives until Release, by the owner, and until its last slab
// has come back.
//
// Thread safety: all methods.
class SlabPool {
 public:
  // Bytes of a default slab. A batch that an operator keeps pins one, so it is not large.
  static constexpr size_t kSlabBytes = 256 * 1024;

  static SlabPool* Create() { return new SlabPool; }
  void Release();

  // A slab of kSlabBytes, or of `capacity` if that is more, with one reference. Null if out of
  // memory.
  Slab* Get(size_t capacity = kSlabBytes);

  // Slabs in use.
  size_t outstanding() const;

 private:
  friend class Slab;
  static constexpr size_t kMaxFree = 16;
  SlabPool() = default;
  ~SlabPool();
  void Put(Slab* slab);

  mutable std::mutex mutex_;  // guards the members below
  Slab* free_ = nullptr;
  size_t free_count_ = 0;
  size_t outstanding_ = 0;
  bool released_ = false;
};

}  // namespace headway::internal

#endif  // HEADWAY_COMM_MEMORY_SLAB_H_
