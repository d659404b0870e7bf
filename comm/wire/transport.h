#ifndef HEADWAY_COMM_WIRE_TRANSPORT_H_
#define HEADWAY_COMM_WIRE_TRANSPORT_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "comm/memory/block.h"
#include "comm/memory/slab.h"
#include "comm/wire/wire.h"

namespace headway::internal {

// What a frame carries, and so how urgent it is.
enum class FrameClass : uint8_t {
  kControl,   // credits and what keeps a cluster together
  kProgress,  // progress rounds; they overtake data
  kData,      // batches
  kGoodbye,   // the last frame of a sender that ends well; it overtakes nothing
  kAbort,     // the sender failed; it overtakes everything
};

// A frame to send: a head, and for a batch the block with its records, from which they are written
// to the socket without another copy.
struct OutgoingFrame {
  FrameClass frame_class = FrameClass::kControl;
  std::span<const std::byte> head;  // copied; its size is a multiple of 64
  // After the head go the first `front_bytes` of the block's payload, zeros up to a multiple of 64
  // of front and back, and the last `back_bytes` of the payload. The transport owns the block until
  // TakeWritten.
  Block* body = nullptr;
  uint32_t front_bytes = 0;
  uint32_t back_bytes = 0;
};

// A frame that has arrived and passed VerifyFrame. It is valid during the call; a block that
// slab->PlaceBlock makes of its records, when nothing else of the frame is needed any more, keeps
// the memory.
struct IncomingFrame {
  const wire::Frame* frame;
  std::span<std::byte> bytes;  // all of it, 64-byte aligned
  Slab* slab;                  // in which they lie
};

// The connections of this process to the other processes of its cluster: the border behind which
// sockets (or a simulated network) live.
//
// Frames of one link and one class arrive once, complete and in the order in which they were sent.
// Between classes only what FrameClass says is promised. A link that cannot keep this promise is
// lost, for good, and both ends learn of it. Frames to a process whose link is lost are dropped.
//
// Thread safety: one thread at a time calls the methods, which may be another one each time (the
// workers pass the transport from hand to hand); only Wake, and what says who is who (process_id,
// process_count, Describe), is for any thread at any time.
class Transport {
 public:
  // What arrives, in the order of arrival. Heartbeats are the transport's own.
  class Handler {
   public:
    virtual ~Handler() = default;
    virtual void OnFrame(int process, const IncomingFrame& frame) = 0;
    // The link to a process is lost; at most once for each. The message names the process and says
    // what happened. A link that ends after both have said Goodbye is not lost.
    virtual void OnLoss(int process, const absl::Status& cause) = 0;
  };

  virtual ~Transport() = default;

  // This process, in [0, process_count).
  virtual int process_id() const = 0;
  // Number of processes of the cluster, this one included.
  virtual int process_count() const = 0;
  // How messages name a process: "process 2 (host:2103)".
  virtual std::string Describe(int process) const = 0;

  // Queues a frame; it never waits and never fails. REQUIRES: another process.
  virtual void Send(int process, const OutgoingFrame& frame) = 0;
  // Writes what the connections take now, in order of class. Returns whether nothing is left.
  virtual bool Flush() = 0;
  // Bytes that wait for a process, of one class.
  virtual size_t QueuedBytes(int process, FrameClass frame_class) const = 0;
  // Blocks of frames that were written, or dropped; the caller owns them.
  virtual BlockList TakeWritten() = 0;

  // Handles what has arrived, without waiting for more. Returns whether there was anything. Keeps
  // the connections alive (heartbeats, timeouts), so somebody has to call it or Wait about every 20
  // milliseconds.
  virtual bool Poll(Handler& handler) = 0;

  // Waits until Poll or Flush has something to do, Wake is called, or `timeout` has passed (none:
  // without limit). It may return early. A Wake that comes before Wait ends that Wait.
  virtual void Wait(std::optional<std::chrono::nanoseconds> timeout) = 0;

  // Ends a Wait. Thread safe.
  virtual void Wake() = 0;

  // Writes what is queued, ends the connections and waits for the others to end them too, at most
  // for `timeout`. Nothing but TakeWritten may be called after it.
  virtual void Close(absl::Duration timeout) = 0;
};

}  // namespace headway::internal

#endif  // HEADWAY_COMM_WIRE_TRANSPORT_H_
