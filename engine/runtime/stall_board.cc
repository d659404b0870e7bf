#include "engine/runtime/stall_board.h"

#include <utility>

namespace headway::internal {

StallBoard::StallBoard(Fabric& fabric, int workers)
    : fabric_(fabric), posts_(static_cast<size_t>(workers)) {}

std::optional<std::string> StallBoard::Put(int worker, const Post& post) {
  std::lock_guard lock(mutex_);
  posts_[static_cast<size_t>(worker)] = post;
  if (!post.is_stuck || !AllStuck(worker)) return std::nullopt;
  std::string sentence = SentenceLocked();
  return sentence.empty() ? std::nullopt : std::optional(std::move(sentence));
}

void StallBoard::Withdraw(int worker) {
  std::lock_guard lock(mutex_);
  posts_[static_cast<size_t>(worker)].is_stuck = false;
}

void StallBoard::NoteCancel(uint32_t dataflow, const std::string& worker) {
  std::lock_guard lock(mutex_);
  cancelled_by_.try_emplace(dataflow, worker);
}

std::string StallBoard::CancelledBy(uint32_t dataflow) const {
  std::lock_guard lock(mutex_);
  const auto found = cancelled_by_.find(dataflow);
  return found != cancelled_by_.end() ? found->second : std::string();
}

std::string StallBoard::Sentence() const {
  std::lock_guard lock(mutex_);
  return SentenceLocked();
}

bool StallBoard::AllStuck(int posting) const {
  for (size_t i = 0; i < posts_.size(); ++i) {
    const int worker = static_cast<int>(i);
    if (worker == posting) continue;
    if (!posts_[i].is_stuck || !fabric_.parker(worker).is_parked()) return false;
  }
  return true;
}

std::string StallBoard::SentenceLocked() const {
  const std::string* best = nullptr;
  for (const Post& post : posts_) {
    if (post.sentence.empty()) continue;
    if (post.is_here) return post.sentence;
    if (best == nullptr) best = &post.sentence;
  }
  return best != nullptr ? *best : std::string();
}

}  // namespace headway::internal
