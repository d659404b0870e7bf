#ifndef HEADWAY_ENGINE_RUNTIME_PENDING_FRAMES_H_
#define HEADWAY_ENGINE_RUNTIME_PENDING_FRAMES_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "absl/functional/function_ref.h"
#include "comm/local/message.h"

namespace headway::internal {

// Messages and progress for dataflows that a worker has not built yet. Messages are bounded by the
// credit of their senders, rounds of progress by kMaxProgressBytes.
//
// Belongs to the thread of its worker.
class PendingFrames {
 public:
  // Of all dataflows together.
  static constexpr size_t kMaxProgressBytes = size_t{64} << 20;

  struct Round {
    int from;  // index of the sender's endpoint
    std::vector<std::byte> bytes;
  };
  struct Frames {
    std::vector<Message> messages;
    std::vector<Round> rounds;
  };

  void AddMessage(const Message& message);

  // Copies the round. Returns false if all rounds together now exceed kMaxProgressBytes.
  [[nodiscard]] bool AddRound(uint32_t dataflow, int from, std::span<const std::byte> bytes);

  // Removes and returns the frames of a dataflow, each kind in the order of arrival.
  Frames Take(uint32_t dataflow);

  // Removes all frames. Calls `drop` for each message: the caller owns its block.
  void Clear(absl::FunctionRef<void(const Message&)> drop);

 private:
  static size_t BytesOf(const Round& round) { return sizeof(round) + round.bytes.size(); }

  std::map<uint32_t, Frames> frames_;  // by dataflow
  size_t progress_bytes_ = 0;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_RUNTIME_PENDING_FRAMES_H_
