#ifndef HEADWAY_COMM_LOCAL_BROADCAST_LOG_H_
#define HEADWAY_COMM_LOCAL_BROADCAST_LOG_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>

namespace headway::internal {

// A bounded log with one producer and R readers, each of which sees every entry once and in order.
// Workers share their progress batches through it, without a copy for each peer.
//
// The log is a ring of 64-byte frames. A frame carries its own sequence number, so a small entry
// costs a reader one cache line. Entries of up to 48 bytes (three progress updates of 16 bytes) are
// inline. A larger entry lies in a buffer of the slot, which is reused when the slot is written
// again. That happens only after every reader has passed it, so nothing needs a reference count.
//
// Thread safety: TryPublish belongs to one thread; each Reader belongs to one thread. Readers live
// as long as the log.
class BroadcastLog {
 public:
  static constexpr size_t kDefaultFrames = 1024;
  static constexpr size_t kInlineBytes = 48;

  // The position of one reader in the log.
  class alignas(64) Reader {
   public:
    // Points `bytes` at the next entry, without a copy. Returns false at the end of the log. The
    // bytes are aligned to 8 and valid until Release; until then TryRead returns the same entry
    // again.
    bool TryRead(uint32_t* dataflow, std::span<const std::byte>* bytes) const;

    // Passes the entry that TryRead returned. REQUIRES: TryRead returned true since the last
    // Release.
    void Release() { passed_.store(++position_, std::memory_order_release); }

    // Returns true if there is nothing to read.
    bool empty() const;

    // Stops reading: the producer no longer waits for this reader. No other call may follow.
    void Close() { passed_.store(std::numeric_limits<uint64_t>::max(), std::memory_order_release); }

   private:
    friend class BroadcastLog;
    const BroadcastLog* log_ = nullptr;
    uint64_t position_ = 0;
    std::atomic<uint64_t> passed_{0};  // position_, published for the producer
  };

  // REQUIRES: frames is a power of two, readers >= 0. Without readers publishing always succeeds.
  explicit BroadcastLog(int readers, size_t frames = kDefaultFrames);
  BroadcastLog(const BroadcastLog&) = delete;
  BroadcastLog& operator=(const BroadcastLog&) = delete;

  // Appends one entry, a copy of `bytes`. Returns false, and publishes nothing, while the slowest
  // reader is a whole lap behind. The caller then sums its changes with those of its next round,
  // which bounds the memory of both sides. REQUIRES: bytes.size() < 2^32.
  bool TryPublish(uint32_t dataflow, std::span<const std::byte> bytes);

  // The reader with this index, in [0, readers).
  Reader& reader(int index) { return readers_[index]; }

 private:
  struct alignas(64) Frame {
    std::atomic<uint64_t> sequence{0};  // position + 1 of the entry it holds; 0: none yet
    uint32_t dataflow = 0;
    uint32_t size = 0;
    alignas(8) std::byte data[kInlineBytes];  // the entry, or the address of the slot's buffer
  };
  static_assert(sizeof(Frame) == 64);

  struct Buffer {
    std::unique_ptr<std::byte[]> data;
    size_t capacity = 0;
  };

  bool SlotIsFree();
  std::byte* ResizeBuffer(Buffer* buffer, size_t size);

  const size_t frame_count_;
  const int reader_count_;
  const std::unique_ptr<Frame[]> frames_;
  const std::unique_ptr<Reader[]> readers_;

  // The producer's.
  alignas(64) uint64_t position_ = 0;
  uint64_t slowest_ =
      0;  // a lower bound of the readers' positions, from the last time they were read
  const std::unique_ptr<Buffer[]> buffers_;
};

}  // namespace headway::internal

#endif  // HEADWAY_COMM_LOCAL_BROADCAST_LOG_H_
