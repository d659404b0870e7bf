#include "comm/memory/slab.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "check.h"

namespace headway::internal {
namespace {

constexpr std::align_val_t kAlignment{64};

// The address of its slab lies before a block.
std::byte* SlabAddressOf(Block* block) {
  return reinterpret_cast<std::byte*>(block) - sizeof(Slab*);
}

}  // namespace

void Slab::Unref() {
  if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) pool_->Put(this);
}

Block* Slab::PlaceBlock(std::byte* payload, uint32_t payload_bytes) {
  HEADWAY_DCHECK(reinterpret_cast<uintptr_t>(payload) % 64 == 0);
  auto* block = new (payload - sizeof(Block)) Block;
  block->capacity = payload_bytes;
  block->in_slab = true;
  Slab* self = this;
  std::memcpy(SlabAddressOf(block), &self, sizeof(self));
  Ref();
  return block;
}

Slab* Slab::Of(Block* block) {
  Slab* slab;
  std::memcpy(&slab, SlabAddressOf(block), sizeof(slab));
  return slab;
}

Slab* SlabPool::Get(size_t capacity) {
  capacity = std::max(capacity, kSlabBytes);
  Slab* slab = nullptr;
  {
    std::lock_guard lock(mutex_);
    ++outstanding_;
    if (capacity == kSlabBytes && free_ != nullptr) {
      slab = free_;
      free_ = slab->next_free_;
      --free_count_;
    }
  }
  if (slab == nullptr) {
    void* memory = ::operator new(sizeof(Slab) + capacity, kAlignment, std::nothrow);
    if (memory == nullptr) {
      std::lock_guard lock(mutex_);
      --outstanding_;
      return nullptr;
    }
    slab = new (memory) Slab;
    slab->capacity_ = capacity;
    slab->pool_ = this;
  }
  slab->references_.store(1, std::memory_order_relaxed);
  return slab;
}

void SlabPool::Put(Slab* slab) {
  bool last;
  {
    std::lock_guard lock(mutex_);
    --outstanding_;
    if (!released_ && slab->capacity_ == kSlabBytes && free_count_ < kMaxFree) {
      slab->next_free_ = free_;
      free_ = slab;
      ++free_count_;
      slab = nullptr;
    }
    last = released_ && outstanding_ == 0;
  }
  if (slab != nullptr) ::operator delete(slab, kAlignment);
  if (last) delete this;
}

void SlabPool::Release() {
  bool last;
  {
    std::lock_guard lock(mutex_);
    released_ = true;
    last = outstanding_ == 0;
  }
  if (last) delete this;
}

SlabPool::~SlabPool() {
  while (free_ != nullptr) {
    Slab* slab = free_;
    free_ = slab->next_free_;
    ::operator delete(slab, kAlignment);
  }
}

size_t SlabPool::outstanding() const {
  std::lock_guard lock(mutex_);
  return outstanding_;
}

}  // namespace headway::internal
