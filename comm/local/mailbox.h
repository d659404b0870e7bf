#ifndef HEADWAY_COMM_LOCAL_MAILBOX_H_
#define HEADWAY_COMM_LOCAL_MAILBOX_H_

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>

#include "check.h"
#include "comm/memory/block.h"

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
  // For a batch that travels in the message itself, without its block: the bytes of its time and of
  // its records. `extra` is then who sent the block, and front_bytes the number of its records.
  uint16_t small_time_bytes = 0;
  uint16_t small_record_bytes = 0;

  bool is_small_batch() const { return small_record_bytes > 0; }
};

// The time of a batch that travels in its message, padded to 8 bytes, and then its records.
struct SmallBatch {
  static constexpr size_t kBytes = 80;

  // REQUIRES: Fits(); the bytes up to the padded sizes may be read.
  void Put(const Message& message, const std::byte* time, const std::byte* records) {
    const size_t words = Words(message.small_time_bytes);
    CopyWords(time, words, bytes);
    CopyWords(records, Words(message.small_record_bytes), bytes + words * 8);
  }
  // The other way round; the bytes up to the padded sizes may be written.
  void Take(const Message& message, std::byte* time, std::byte* records) const {
    const size_t words = Words(message.small_time_bytes);
    CopyWords(bytes, words, time);
    CopyWords(bytes + words * 8, Words(message.small_record_bytes), records);
  }

  static bool Fits(size_t time_bytes, size_t record_bytes) {
    return record_bytes > 0 && Words(time_bytes) + Words(record_bytes) <= kBytes / 8;
  }

  alignas(8) std::byte bytes[kBytes];

 private:
  static size_t Words(size_t size) { return (size + 7) / 8; }
  static void CopyWords(const std::byte* from, size_t words, std::byte* to) {
    while (words-- > 0) {
      std::memcpy(to, from, 8);
      from += 8;
      to += 8;
    }
  }
};

// The mailbox of one ordered pair of workers: a bounded queue with one producer and one consumer.
//
// A hand-over costs one cache line, or two for a batch that travels in its message and is not very
// small, instead of those of a block behind it: each slot carries its own lap number next to the
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
  bool TrySend(const Message& message) { return TrySend(message, nullptr, nullptr); }

  // The same with a batch that travels in the message, for which SmallBatch::Put is called.
  bool TrySend(const Message& message, const std::byte* time, const std::byte* records) {
    Slot& slot = slots_[send_position_ & mask_];
    const uint64_t turn = 2 * (send_position_ >> capacity_log2_);
    if (slot.turn.load(std::memory_order_acquire) != turn) return false;
    slot.message = message;
    if (message.is_small_batch()) slot.small.Put(message, time, records);
    slot.turn.store(turn + 1, std::memory_order_release);
    ++send_position_;
    return true;
  }

  // Takes the oldest message, and gives its slot back to the producer. Calls
  // take_small(const SmallBatch&), before that, if a batch travels in the message. Returns false
  // when there is none.
  template <class TakeSmall>
  bool TryReceive(Message* message, TakeSmall&& take_small) {
    Slot& slot = slots_[receive_position_ & mask_];
    const uint64_t turn = 2 * (receive_position_ >> capacity_log2_) + 1;
    if (slot.turn.load(std::memory_order_acquire) != turn) return false;
    *message = slot.message;
    if (message->is_small_batch()) take_small(std::as_const(slot.small));
    slot.turn.store(turn + 1, std::memory_order_release);
    ++receive_position_;
    return true;
  }

  // The same; drops a batch that travels in the message.
  bool TryReceive(Message* message) {
    return TryReceive(message, [](const SmallBatch&) {});
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
    SmallBatch small;  // a number with an Epoch still lies in the first cache line
  };
  static_assert(sizeof(Slot) == 128);

  const size_t mask_;
  const int capacity_log2_;
  const std::unique_ptr<Slot[]> slots_;
  alignas(64) uint64_t send_position_ = 0;     // the producer's
  alignas(64) uint64_t receive_position_ = 0;  // the consumer's
};

}  // namespace headway::internal

#endif  // HEADWAY_COMM_LOCAL_MAILBOX_H_
