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
#include "comm/local/message.h"

namespace headway::internal {

// The bytes of a batch that travels in its mailbox slot: its time, padded to 8 bytes, and its
// records.
struct SmallBatch {
  static constexpr size_t kBytes = 80;

  // REQUIRES: Fits() the sizes in `header`; the bytes up to the padded sizes are readable.
  void Put(const SmallBatchHeader& header, const std::byte* time, const std::byte* records) {
    const size_t words = Words(header.time_bytes);
    CopyWords(time, words, bytes);
    CopyWords(records, Words(header.record_bytes), bytes + words * 8);
  }
  // The reverse of Put. REQUIRES: the bytes up to the padded sizes are writable.
  void Take(const SmallBatchHeader& header, std::byte* time, std::byte* records) const {
    const size_t words = Words(header.time_bytes);
    CopyWords(bytes, words, time);
    CopyWords(bytes + words * 8, Words(header.record_bytes), records);
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
// Each slot carries its own lap number next to the message, so there are no shared head and tail
// indices that both sides would have to read. A hand-over costs one cache line, or two for a small
// batch that is not very small, instead of the lines of a block. At position `p` in a ring of N
// slots the turn is 2 * (p / N) while the slot is the producer's, and one more while it is the
// consumer's.
//
// Thread safety: TrySend and TrySendSmall belong to one thread, TryReceive and empty to one (other)
// thread. The mailbox does not free the blocks of messages that were never received; its owner
// drains it.
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

  // Appends a message. Returns false, and keeps nothing, if the consumer is a whole lap behind.
  // REQUIRES: its kind is not kSmallBatch.
  bool TrySend(const Message& message) {
    return TrySend(message, [](SmallBatch&) {});
  }

  // The same for a small batch, whose bytes are read from `time` and `records`.
  bool TrySendSmall(const Message& message, const std::byte* time, const std::byte* records) {
    return TrySend(message, [&](SmallBatch& small) { small.Put(message.small(), time, records); });
  }

  // Takes the oldest message, and gives its slot back to the producer. Calls take_small(const
  // SmallBatch&) in between if the message is a kSmallBatch. Returns false if there is none.
  template <class TakeSmall>
  bool TryReceive(Message* message, TakeSmall&& take_small) {
    Slot& slot = slots_[receive_position_ & mask_];
    const uint64_t turn = 2 * (receive_position_ >> capacity_log2_) + 1;
    if (slot.turn.load(std::memory_order_acquire) != turn) return false;
    *message = slot.message;
    if (message->kind() == MessageKind::kSmallBatch) take_small(std::as_const(slot.small));
    slot.turn.store(turn + 1, std::memory_order_release);
    ++receive_position_;
    return true;
  }

  // The same; drops the bytes of a small batch.
  bool TryReceive(Message* message) {
    return TryReceive(message, [](const SmallBatch&) {});
  }

  // Returns true if there is nothing to receive. For the consumer.
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

  template <class PutSmall>
  bool TrySend(const Message& message, PutSmall&& put_small) {
    Slot& slot = slots_[send_position_ & mask_];
    const uint64_t turn = 2 * (send_position_ >> capacity_log2_);
    if (slot.turn.load(std::memory_order_acquire) != turn) return false;
    slot.message = message;
    put_small(slot.small);
    slot.turn.store(turn + 1, std::memory_order_release);
    ++send_position_;
    return true;
  }

  const size_t mask_;
  const int capacity_log2_;
  const std::unique_ptr<Slot[]> slots_;
  alignas(64) uint64_t send_position_ = 0;     // the producer's
  alignas(64) uint64_t receive_position_ = 0;  // the consumer's
};

}  // namespace headway::internal

#endif  // HEADWAY_COMM_LOCAL_MAILBOX_H_
