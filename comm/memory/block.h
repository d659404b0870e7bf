#ifndef HEADWAY_COMM_MEMORY_BLOCK_H_
#define HEADWAY_COMM_MEMORY_BLOCK_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "check.h"

namespace headway::internal {

// A Block is the unit of memory in which records travel between nodes: a header of one cache line,
// followed in the same allocation by `capacity` bytes of payload. Every record of a block has the
// same timestamp.
//
// A block has one owner at a time (a pool, an operator, a list, a mailbox) and is plain memory: any
// worker may return it to its own pool. No destructors run on the payload, except through
// destroy_records.
//
// Thread safety: none; a Mailbox hands the ownership over.
struct alignas(64) Block {
  // The next block of a list or chain; null in a block that stands alone.
  Block* next = nullptr;

  // Bytes of payload that were allocated. Fixed for the life of the block.
  uint32_t capacity = 0;

  // Number of records in the payload.
  uint32_t record_count = 0;

  // Bytes that flow control has charged to the sender, and refunds when the block is consumed.
  uint32_t charged_bytes = 0;

  // The worker that sent the block, counted through the cluster. Its credit paid for the bytes.
  uint16_t sender = 0;

  // True if the block lies in a slab of a connection (Slab::PlaceBlock).
  bool in_slab = false;

  // The timestamp of the records, in the representation of its type (see SetTime).
  alignas(8) std::byte time[32] = {};

  // Ends the lifetime of the records, for a block that is dropped unread. Null if the records are
  // trivially destructible.
  void (*destroy_records)(Block*) = nullptr;

  // The payload, aligned to 64 bytes.
  std::byte* payload() { return reinterpret_cast<std::byte*>(this) + sizeof(Block); }
  const std::byte* payload() const {
    return reinterpret_cast<const std::byte*>(this) + sizeof(Block);
  }

  // All the memory that the block takes: header and payload.
  uint32_t memory_bytes() const { return static_cast<uint32_t>(sizeof(Block)) + capacity; }

  // Stores the timestamp of the records. T is the same type for all blocks of a channel.
  template <class T>
  void SetTime(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>, "a timestamp must be trivially copyable");
    static_assert(sizeof(T) <= sizeof(time), "a timestamp has at most 32 bytes");
    std::memcpy(time, &value, sizeof(T));
  }

  // The timestamp that SetTime<T> stored.
  template <class T>
  T Time() const {
    static_assert(std::is_trivially_copyable_v<T>, "a timestamp must be trivially copyable");
    static_assert(sizeof(T) <= sizeof(time), "a timestamp has at most 32 bytes");
    T value;
    std::memcpy(&value, time, sizeof(T));
    return value;
  }
};

static_assert(sizeof(Block) == 64, "the header of a block is one cache line");

// A first-in first-out list of blocks, linked through Block::next: appending and removing never
// allocates.
//
// The list does not own its blocks: its owner returns them to a pool. Not thread-safe. Copies would
// share the links, so it can only be moved; a moved-from list is empty.
class BlockList {
 public:
  BlockList() = default;
  BlockList(const BlockList&) = delete;
  BlockList& operator=(const BlockList&) = delete;
  BlockList(BlockList&& other) noexcept { Append(&other); }
  // REQUIRES: this list is empty (its blocks would leak).
  BlockList& operator=(BlockList&& other) noexcept {
    HEADWAY_DCHECK(empty());
    Append(&other);
    return *this;
  }

  bool empty() const { return head_ == nullptr; }
  size_t count() const { return count_; }
  // The oldest block, which stays in the list; null if the list is empty.
  Block* front() const { return head_; }

  // Appends one block, and overwrites its `next`.
  void PushBack(Block* block) {
    block->next = nullptr;
    if (tail_ == nullptr) {
      head_ = block;
    } else {
      tail_->next = block;
    }
    tail_ = block;
    ++count_;
  }

  // Removes the oldest block and returns it with `next` cleared; null if the list is empty.
  Block* PopFront() {
    Block* block = head_;
    if (block == nullptr) return nullptr;
    head_ = block->next;
    if (head_ == nullptr) tail_ = nullptr;
    block->next = nullptr;
    --count_;
    return block;
  }

  // Moves all blocks of `other` to the end of this list, in order.
  void Append(BlockList* other) {
    if (other->empty()) return;
    if (tail_ == nullptr) {
      head_ = other->head_;
    } else {
      tail_->next = other->head_;
    }
    tail_ = other->tail_;
    count_ += other->count_;
    other->head_ = other->tail_ = nullptr;
    other->count_ = 0;
  }

 private:
  Block* head_ = nullptr;
  Block* tail_ = nullptr;
  size_t count_ = 0;
};

}  // namespace headway::internal

#endif  // HEADWAY_COMM_MEMORY_BLOCK_H_
