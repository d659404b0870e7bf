#ifndef HEADWAY_COMM_WIRE_SEND_QUEUE_H_
#define HEADWAY_COMM_WIRE_SEND_QUEUE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "comm/memory/block.h"
#include "comm/wire/transport.h"

namespace headway::internal {

// The frames that wait for one socket, in a queue for each class. A write gathers frames where they
// lie in memory, most urgent class first. A frame that was written in part precedes all others.
//
// Thread safety: none.
class SendQueue {
 public:
  // Blocks of written or dropped frames are added to `written`, which outlives the queue.
  explicit SendQueue(BlockList* written) : written_(written) {}
  ~SendQueue() { Drop(); }
  SendQueue(const SendQueue&) = delete;
  SendQueue& operator=(const SendQueue&) = delete;

  void Push(const OutgoingFrame& frame);

  enum class Result {
    kWritten,  // nothing is left
    kBlocked,  // the socket takes no more now
    kFailed,   // the socket takes no more, ever
  };
  // Writes to a non-blocking socket.
  Result Write(int fd);

  // Forgets all frames.
  void Drop();

  bool empty() const { return bytes_ == 0; }
  size_t bytes(FrameClass frame_class) const {
    return classes_[static_cast<size_t>(frame_class)].bytes;
  }

 private:
  static constexpr size_t kClassCount = 5;
  static constexpr size_t kMaxSegments = 64;
  static constexpr size_t kMaxBytesPerWrite = size_t{1} << 20;

  struct Entry {
    uint32_t head_bytes;
    uint32_t front_bytes;
    uint32_t back_bytes;
    Block* body;

    uint32_t body_padding() const;
    size_t size() const;
  };

  // The frames of one class. Entries before first_entry and bytes before first_head are sent. They
  // are erased now and then, so that a queue in use allocates nothing.
  struct ClassQueue {
    std::vector<Entry> entries;
    std::vector<std::byte> heads;  // of the entries, one after the other
    size_t first_entry = 0;
    size_t first_head = 0;
    size_t bytes = 0;

    bool empty() const { return first_entry == entries.size(); }
    void PopFront();
  };

  struct Gathered;
  void Gather(Gathered* gathered);
  void Took(const Gathered& gathered, size_t byte_count);

  BlockList* const written_;
  std::array<ClassQueue, kClassCount> classes_;
  size_t bytes_ = 0;
  size_t part_class_ = 0;    // whose first frame was written in part
  size_t part_written_ = 0;  // and how many bytes of it; zero: none was
};

}  // namespace headway::internal

#endif  // HEADWAY_COMM_WIRE_SEND_QUEUE_H_
