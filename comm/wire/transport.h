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

// The class of a frame decides its urgency.
enum class FrameClass : uint8_t {
  kControl,   // credit, graphs, stop requests
  kProgress,  // progress rounds; they overtake data
  kData,      // batches
  kGoodbye,   // the last frame of a sender that ends well; it overtakes nothing
  kAbort,     // the sender failed; it overtakes everything
};

// A frame to send: a head, and for a batch the block with its records, which are written to the
// socket without another copy.
struct OutgoingFrame {
  FrameClass frame_class = FrameClass::kControl;
  std::span<const std::byte> head;  // copied; its size is a multiple of 64
  // The head is followed by the first `front_bytes` of the block's payload, zeros up to a multiple
  // of 64 of front and back, and the last `back_bytes` of the payload. The transport owns the block
  // until TakeWritten.
  Block* body = nullptr;
  uint32_t front_bytes = 0;
  uint32_t back_bytes = 0;
};

// A frame that has arrived and passed VerifyFrame. It is valid during the call. To keep the
// records, call slab->PlaceBlock last: its header overwrites the rest of the frame.
struct IncomingFrame {
  const wire::Frame* frame;
  std::span<std::byte> bytes;  // all of it, 64-byte aligned
  Slab* slab;                  // in which they lie
};

// The connections of this process to the other processes of its cluster, over sockets or a
// simulated network.
//
// Frames of one link and one class arrive once, complete and in order. Between classes only
// FrameClass promises an order. A link that cannot keep this promise is lost for good, and both
// ends learn of it. Frames to a process whose link is lost are dropped.
//
// Thread safety: one thread at a time calls the methods, and the workers take turns. Any thread may
// call Wake, descriptor, process_id, process_count and Describe at any time.
class Transport {
 public:
  // Receives frames in the order of arrival. Heartbeats are internal to the transport.
  class Handler {
   public:
    virtual ~Handler() = default;
    virtual void OnFrame(int process, const IncomingFrame& frame) = 0;
    // The link to a process is lost; called at most once for each. The message names the process
    // and the cause. A link that ends after both Goodbyes is not lost.
    virtual void OnLoss(int process, const absl::Status& cause) = 0;
  };

  virtual ~Transport() = default;

  // This process, in [0, process_count).
  virtual int process_id() const = 0;
  // Number of processes of the cluster, this one included.
  virtual int process_count() const = 0;
  // The name of a process in messages: "process 2 (host:2103)".
  virtual std::string Describe(int process) const = 0;

  // Queues a frame; it never waits and never fails. REQUIRES: another process.
  virtual void Send(int process, const OutgoingFrame& frame) = 0;
  // Writes as much as the connections accept now, in order of class. Returns true if nothing is
  // left.
  virtual bool Flush() = 0;
  // Queued bytes of one class for a process.
  virtual size_t QueuedBytes(int process, FrameClass frame_class) const = 0;
  // Blocks of written or dropped frames; the caller owns them.
  virtual BlockList TakeWritten() = 0;

  // Handles arrived frames, without waiting. Returns true if there were any. It also keeps the
  // connections alive (heartbeats, timeouts): call it, or Wait, about every 20 milliseconds.
  virtual bool Poll(Handler& handler) = 0;

  // Waits until Poll or Flush has work, Wake is called, or `timeout` has passed (none: without
  // limit). Spurious returns are possible. A Wake before Wait ends that Wait.
  virtual void Wait(std::optional<std::chrono::nanoseconds> timeout) = 0;

  // Ends a Wait. Thread safe.
  virtual void Wake() = 0;

  // A descriptor that is readable when Wait would end, for hosts that wait by themselves. The
  // transport owns it. Returns -1 if the transport has no descriptor. Thread safe.
  virtual int descriptor() const { return -1; }

  // Writes the queued frames, ends the connections and waits for the peers to end them too, at most
  // for `timeout`. Only TakeWritten may be called afterwards.
  virtual void Close(absl::Duration timeout) = 0;
};

}  // namespace headway::internal

#endif  // HEADWAY_COMM_WIRE_TRANSPORT_H_
