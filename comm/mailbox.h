#ifndef HEADWAY_COMM_MAILBOX_H_
#define HEADWAY_COMM_MAILBOX_H_

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "headway/check.h"
#include "headway/comm/block.h"

namespace headway::internal {

// What one worker hands to another: a few words and, for data, a block or a chain of blocks (linked
// by Block::next), whose ownership goes with the message. Apart from kReturnBlocks the kinds belong
// to the sender and the receiver, not to this folder.
struct Message {
  uint32_t kind = 0;
  uint32_t dataflow = 0;
  uint32_t channel = 0;
  uint32_t extra = 0;
  Block* block = nullptr;
  // For what crosses processes: the parts of the block's payload that are used, and what its sender
  // is charged.
  uint32_t front_bytes = 0;
  uint32_t back_bytes = 0;
  uint32_t charged_bytes = 0;
};

// The mailbox of one ordered pair of workers: a bounded queue with one producer and one consumer.
//
// A hand-over costs one cache line: each 64-byte slot carries its own lap number next to the
// message, so there are no shared head and tail indices that both sides would have to read. At
// position `p` in a ring of N slots the turn is 2 * (p / N) while the slot is the producer's and
// one more while it is the consumer's.
//
// Thread safety: TrySend belongs to one thread, TryReceive and empty to one (other) thread. The
// mailbox does not free the blocks of messages that were never received; its holder drains it.
class Mailbox {
 public:
  static constexpr size_t kDefaultCapacity = 256;

  // REQUIRES: capacity, in messages, is a power of two.
  explicit Mailbox(size_t capacity = kDefaultCapacity)
      : mask_(capacity - 1),
        capacity_log2_(std::countr_zero(capacity)),
        slots_(std::make_unique<Slot[]>(capacity)) {
    HEADWAY_CHECK(std::has_single_bit(capacity));
  }
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  // Puts a message at the end of the queue. Returns false, and keeps nothing, when the consumer is
  // a whole lap behind.
  bool TrySend(const Message& message) {
    Slot& slot = slots_[send_position_ & mask_];
    const uint64_t turn = 2 * (send_position_ >> capacity_log2_);
    if (slot.turn.load(std::memory_order_acquire) != turn) return false;
    slot.message = message;
    slot.turn.store(turn + 1, std::memory_order_release);
    ++send_position_;
    return true;
  }

  // Takes the oldest message, and gives its slot back to the producer. Returns false when there is
  // none.
  bool TryReceive(Message* message) {
    Slot& slot = slots_[receive_position_ & mask_];
    const uint64_t turn = 2 * (receive_position_ >> capacity_log2_) + 1;
    if (slot.turn.load(std::memory_order_acquire) != turn) return false;
    *message = slot.message;
    slot.turn.store(turn + 1, std::memory_order_release);
    ++receive_position_;
    return true;
  }

  // Whether there is nothing to receive. For the consumer.
  bool empty() const {
    const uint64_t turn = 2 * (receive_position_ >> capacity_log2_) + 1;
    return slots_[receive_position_ & mask_].turn.load(std::memory_order_acquire) != turn;
  }

 private:
  struct alignas(64) Slot {
    std::atomic<uint64_t> turn{0};
    Message message;
  };
  static_assert(sizeof(Slot) == 64);

  const size_t mask_;
  const int capacity_log2_;
  const std::unique_ptr<Slot[]> slots_;
  alignas(64) uint64_t send_position_ = 0;     // the producer's
  alignas(64) uint64_t receive_position_ = 0;  // the consumer's
};

}  // namespace headway::internal

#endif  // HEADWAY_COMM_MAILBOX_H_
