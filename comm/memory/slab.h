#ifndef HEADWAY_COMM_MEMORY_SLAB_H_
#define HEADWAY_COMM_MEMORY_SLAB_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "comm/memory/block.h"

namespace headway::internal {

class SlabPool;

// Memory that a connection reads frames into, 64-byte aligned. Batches are read where they arrived:
// their blocks lie in the slab and keep it until the last of them was consumed, on whatever thread.
//
// Thread safety: the references are counted atomically; the bytes belong to whoever owns the block
// or, where no block lies, to the reader.
class Slab {
 public:
  std::byte* data() { return reinterpret_cast<std::byte*>(this) + sizeof(Slab); }
  size_t capacity() const { return capacity_; }

  // Whether the caller's is the only reference, so that all bytes can be written again.
  bool Unshared() const { return references_.load(std::memory_order_acquire) == 1; }
  void Ref() { references_.fetch_add(1, std::memory_order_relaxed); }
  // Gives one reference up; the last one gives the slab back to its pool, or frees it if that is
  // gone.
  void Unref();

  // Makes a block of `payload_bytes` whose payload is what lies at `payload` in this slab. The
  // block has one reference to the slab, which BlockPool::FreeBlock gives up. Counts are zero.
  // REQUIRES: `payload` is aligned to 64, and kHeadroomBytes before it may be overwritten.
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

// The slabs of one process, recycled. Lives until its last slab has come back: Release gives up the
// owner's part.
//
// Thread safety: all methods.
class SlabPool {
 public:
  // Bytes of a usual slab. A batch that an operator keeps pins one, so it is not large.
  static constexpr size_t kSlabBytes = 256 * 1024;

  static SlabPool* Create() { return new SlabPool; }
  void Release();

  // A slab of kSlabBytes, or of `capacity` if that is more, with one reference. Null if there is no
  // memory.
  Slab* Get(size_t capacity = kSlabBytes);

  // Slabs that were handed out and have not come back.
  size_t outstanding() const;

 private:
  friend class Slab;
  static constexpr size_t kMaxFree = 16;
  SlabPool() = default;
  ~SlabPool();
  void Put(Slab* slab);

  mutable std::mutex mutex_;  // guards what follows
  Slab* free_ = nullptr;
  size_t free_count_ = 0;
  size_t outstanding_ = 0;
  bool released_ = false;
};

}  // namespace headway::internal

#endif  // HEADWAY_COMM_MEMORY_SLAB_H_
