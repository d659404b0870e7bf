#ifndef HEADWAY_COMM_WIRE_FRAME_READER_H_
#define HEADWAY_COMM_WIRE_FRAME_READER_H_

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "comm/memory/slab.h"
#include "comm/wire/transport.h"

namespace headway::internal {

// Reads a socket into slabs and cuts the stream into frames. A frame that is incomplete when its
// slab is full moves to the start of the next slab. So every frame is contiguous and aligned.
//
// Thread safety: none.
class FrameReader {
 public:
  // `slabs` outlives the reader.
  explicit FrameReader(SlabPool* slabs) : slabs_(slabs) {}
  ~FrameReader();
  FrameReader(const FrameReader&) = delete;
  FrameReader& operator=(const FrameReader&) = delete;

  enum class Result {
    kMore,      // bytes were received, and there may be more
    kDrained,   // all available bytes were received
    kEnd,       // end of file; a reset is the same
    kNoMemory,  // no memory for a slab
  };
  // Receives once from a non-blocking socket. REQUIRES: Next has no frame.
  Result Receive(int fd);
  // The same while frames are left: receives as much as fits after them.
  Result ReceiveMore(int fd);

  // The next frame, or none if it is incomplete. The frame is valid until the next call of any
  // method. InvalidArgument: it is malformed, and the reader is of no further use.
  absl::StatusOr<std::optional<IncomingFrame>> Next(size_t max_frame_bytes);

  // The status of an Abort among the frames that Next would return; OK if there is none.
  absl::Status FindAbort(size_t max_frame_bytes) const;

  // Skips the Heartbeats that Next would return first.
  void SkipHeartbeats(size_t max_frame_bytes);
  // Returns true if Next would return a frame or an error.
  bool HasNext(size_t max_frame_bytes) const;

  // Received bytes that belong to no frame that Next has returned.
  size_t unread_bytes() const { return end_ - begin_; }
  // Returns true if ReceiveMore has no room.
  bool full() const { return slab_ != nullptr && end_ == slab_->capacity(); }

 private:
  // Less room than this at the end of a slab is not worth a system call.
  static constexpr size_t kMinRoomBytes = 32 * 1024;

  bool MakeRoom();
  Result ReceiveIntoRoom(int fd);

  SlabPool* const slabs_;
  Slab* slab_ = nullptr;
  size_t begin_ = 0;  // of the next frame in the slab, a multiple of kFrameAlignment
  size_t end_ = 0;    // of the received bytes
  size_t next_frame_bytes_ = kFrameAlignment;  // of the next frame, as far as known
};

}  // namespace headway::internal

#endif  // HEADWAY_COMM_WIRE_FRAME_READER_H_
