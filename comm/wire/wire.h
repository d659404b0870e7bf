#ifndef HEADWAY_COMM_WIRE_WIRE_H_
#define HEADWAY_COMM_WIRE_WIRE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Frames between processes as bytes; see wire.fbs and docs/wire-format.md. The code that flatc
// generates is not part of the installed headers: here its types are only declared.

namespace headway::wire {
struct Frame;
struct Returned;
}  // namespace headway::wire

namespace headway::internal {

// The version of the frames. Processes of different versions refuse each other.
inline constexpr uint32_t kWireVersion = 3;

// The size of a frame, its address in memory and the address of its records are multiples of this.
inline constexpr size_t kFrameAlignment = 64;

// Bytes of the size prefix: the number of bytes after it.
inline constexpr size_t kSizePrefixBytes = 4;

// Bytes of a nonce in a Hello, and of a MAC in a Proof.
inline constexpr size_t kNonceBytes = 32;
inline constexpr size_t kMacBytes = 32;

constexpr size_t PadToFrameAlignment(size_t bytes) {
  return (bytes + kFrameAlignment - 1) / kFrameAlignment * kFrameAlignment;
}

// The sender, as a Hello describes it.
struct HelloFields {
  uint32_t version = kWireVersion;
  uint64_t generation = 0;
  uint32_t process = 0;
  uint32_t process_count = 0;
  uint32_t workers_per_process = 0;
  std::string cluster = {};
  bool secret = false;
  std::array<std::byte, kNonceBytes> nonce = {};

  bool operator==(const HelloFields&) const = default;
};

// The records, as a Batch describes them.
struct BatchFields {
  uint32_t dataflow = 0;
  uint32_t channel = 0;
  uint32_t sender = 0;
  uint32_t target = 0;
  uint32_t record_count = 0;
  uint32_t charged_bytes = 0;
  std::array<std::byte, 32> time = {};
};

// Bytes of the head of a batch frame; its records follow.
inline constexpr size_t kBatchHeadBytes = 128;

// The head of a frame that carries a batch whose records take `payload_bytes` after it. REQUIRES:
// payload_bytes is a multiple of 64.
std::array<std::byte, kBatchHeadBytes> EncodeBatchHead(const BatchFields& fields,
                                                       uint32_t payload_bytes);

// Encodes the other frames. A result is valid until the next call.
//
// Thread safety: none.
class FrameEncoder {
 public:
  FrameEncoder();
  ~FrameEncoder();
  FrameEncoder(const FrameEncoder&) = delete;
  FrameEncoder& operator=(const FrameEncoder&) = delete;

  std::span<const std::byte> Progress(std::span<const std::byte> rounds);
  struct ReturnedBytes {
    uint32_t dataflow;
    uint32_t channel;
    uint32_t worker;
    uint64_t bytes;
  };
  std::span<const std::byte> Credit(std::span<const ReturnedBytes> returned);
  std::span<const std::byte> Graph(uint32_t dataflow, std::span<const std::string> steps);
  std::span<const std::byte> Stop();
  std::span<const std::byte> Hello(const HelloFields& fields);
  std::span<const std::byte> Proof(std::span<const std::byte> mac);
  std::span<const std::byte> Heartbeat();
  std::span<const std::byte> Goodbye();
  std::span<const std::byte> Abort(const absl::Status& status);

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

// The size of the whole frame whose prefix is at `prefix`. InvalidArgument: the size is not a
// multiple of 64, or exceeds `max_frame_bytes`.
absl::StatusOr<size_t> FrameSize(const std::byte* prefix, size_t max_frame_bytes);

// Verifies a whole frame from an untrusted source: all fields that readers rely on, and the
// alignment of the parts that are read in place. InvalidArgument: it is malformed. REQUIRES:
// bytes.data() is aligned to 64, and its size is the result of FrameSize.
absl::StatusOr<const wire::Frame*> VerifyFrame(std::span<const std::byte> bytes);

// The fields of a Hello in a verified frame. REQUIRES: its body is one.
HelloFields ReadHello(const wire::Frame& frame);

// The status in an Abort in a verified frame; never OK. Its message is Printable. REQUIRES: its
// body is one.
absl::Status ReadAbort(const wire::Frame& frame);

}  // namespace headway::internal

#endif  // HEADWAY_COMM_WIRE_WIRE_H_
