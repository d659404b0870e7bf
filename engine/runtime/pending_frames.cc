#include "engine/runtime/pending_frames.h"

#include <utility>

namespace headway::internal {

void PendingFrames::AddMessage(const Message& message) {
  frames_[message.dataflow()].messages.push_back(message);
}

bool PendingFrames::AddRound(uint32_t dataflow, int from, std::span<const std::byte> bytes) {
  std::vector<Round>& rounds = frames_[dataflow].rounds;
  rounds.push_back({from, {bytes.begin(), bytes.end()}});
  progress_bytes_ += BytesOf(rounds.back());
  return progress_bytes_ <= kMaxProgressBytes;
}

PendingFrames::Frames PendingFrames::Take(uint32_t dataflow) {
  auto node = frames_.extract(dataflow);
  if (node.empty()) return {};
  for (const Round& round : node.mapped().rounds) progress_bytes_ -= BytesOf(round);
  return std::move(node.mapped());
}

void PendingFrames::Clear(absl::FunctionRef<void(const Message&)> drop) {
  for (const auto& [dataflow, frames] : frames_) {
    for (const Message& message : frames.messages) drop(message);
  }
  frames_.clear();
  progress_bytes_ = 0;
}

}  // namespace headway::internal
