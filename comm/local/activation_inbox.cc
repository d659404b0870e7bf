#include "comm/local/activation_inbox.h"

namespace headway::internal {

void ActivationInbox::Add(uint64_t token) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (waiting_.contains(token)) return;
  tokens_.push_back(token);  // first: if this throws, the token is not marked as waiting
  waiting_.insert(token);
  pending_.store(true, std::memory_order_release);
}

void ActivationInbox::TakeWaiting(std::vector<uint64_t>* tokens) {
  std::lock_guard<std::mutex> lock(mutex_);
  tokens->swap(tokens_);
  waiting_.clear();
  pending_.store(false, std::memory_order_relaxed);
}

}  // namespace headway::internal
