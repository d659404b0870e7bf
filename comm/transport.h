#ifndef HEADWAY_COMM_TRANSPORT_H_
#define HEADWAY_COMM_TRANSPORT_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "headway/comm/parker.h"

namespace headway::internal {

// What a frame carries, and so how urgent it is.
enum class FrameClass : uint8_t {
  kControl,   // handshakes, credits, what keeps a link going
  kProgress,  // progress batches; they overtake data
  kData,      // records
  kGoodbye,   // the last frame of a sender that ends well; it overtakes nothing
  kAbort,     // the sender failed; it overtakes everything
};

// The connections of this process to the other processes of its cluster: the border behind which
// sockets (or a simulated network) live.
//
// Frames of one link and one class arrive once, complete and in the order in which they were sent.
// Between classes only what FrameClass says is promised. A link that cannot keep this promise is
// lost, for good, and both ends learn of it.
//
// Thread safety: all methods may be called by every worker of the process. Poll calls its handlers
// on the calling thread, one call at a time for the whole process, in the order of arrival.
class Transport {
 public:
  // Gets a frame. The bytes are valid during the call.
  using FrameHandler =
      absl::FunctionRef<void(int process, FrameClass frame_class, std::span<const std::byte>)>;
  // Gets the loss of the link to a process, at most once for each, and why it happened.
  using LossHandler = absl::FunctionRef<void(int process, const absl::Status& cause)>;

  virtual ~Transport() = default;

  // This process, in [0, process_count).
  virtual int process_id() const = 0;
  // Number of processes of the cluster, this one included.
  virtual int process_count() const = 0;

  // Sends one frame to another process, or queues it; it never waits. The bytes are copied or
  // written before it returns. Unavailable: the link is lost (the message says why).
  // InvalidArgument: no such other process.
  virtual absl::Status Send(int process, FrameClass frame_class,
                            std::span<const std::byte> frame) = 0;

  // Handles what has arrived, without waiting for more. Returns whether there was anything.
  virtual bool Poll(FrameHandler on_frame, LossHandler on_loss) = 0;

  // Waits until Poll has something to do, Wake is called, or `timeout` has passed (none: without
  // limit). It may return early. A Wake that comes before Wait ends that Wait. One thread waits at
  // a time.
  virtual void Wait(std::optional<std::chrono::nanoseconds> timeout) = 0;

  // Ends a Wait.
  virtual void Wake() = 0;
};

// The transport of a process that is a whole cluster by itself: it has no links, so nothing can be
// sent and nothing arrives.
class SingleProcessTransport final : public Transport {
 public:
  int process_id() const override { return 0; }
  int process_count() const override { return 1; }
  absl::Status Send(int, FrameClass, std::span<const std::byte>) override {
    return absl::InvalidArgumentError("cannot send a frame: this process has no peers");
  }
  bool Poll(FrameHandler, LossHandler) override { return false; }
  void Wait(std::optional<std::chrono::nanoseconds> timeout) override {
    parker_.Park(timeout, [this] { return woken_.load(std::memory_order_relaxed); });
    woken_.store(false, std::memory_order_relaxed);
  }
  void Wake() override {
    woken_.store(true, std::memory_order_relaxed);
    parker_.Unpark();
  }

 private:
  Parker parker_;
  std::atomic<bool> woken_{false};
};

}  // namespace headway::internal

#endif  // HEADWAY_COMM_TRANSPORT_H_
