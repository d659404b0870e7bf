#ifndef HEADWAY_COMM_LOCAL_ACTIVATION_INBOX_H_
#define HEADWAY_COMM_LOCAL_ACTIVATION_INBOX_H_

#include <atomic>
#include <cstdint>
#include <mutex>
#include <unordered_set>
#include <vector>

namespace headway::internal {

// What other threads want one worker to run: a set of tokens, whose meaning is the worker's. A
// token that is already waiting is not added again, so the inbox is bounded by the number of
// different tokens.
//
// Thread safety: Add may be called by any thread, the rest by the worker's.
class ActivationInbox {
 public:
  // Adds a token, unless it is already waiting. Does not wake the worker.
  void Add(uint64_t token) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (waiting_.contains(token)) return;
    tokens_.push_back(token);  // first: a token that waits without being there would wait for ever
    waiting_.insert(token);
    pending_.store(true, std::memory_order_release);
  }

  // Replaces what is in `tokens` by the waiting tokens, oldest first. Returns whether there are
  // any.
  bool Take(std::vector<uint64_t>* tokens) {
    tokens->clear();
    if (empty()) return false;
    std::lock_guard<std::mutex> lock(mutex_);
    tokens->swap(tokens_);
    waiting_.clear();
    pending_.store(false, std::memory_order_relaxed);
    return true;
  }

  // Whether no token is waiting. A load, without the lock.
  bool empty() const { return !pending_.load(std::memory_order_acquire); }

 private:
  std::mutex mutex_;
  std::vector<uint64_t> tokens_;          // guarded by mutex_
  std::unordered_set<uint64_t> waiting_;  // guarded by mutex_: what is in tokens_
  std::atomic<bool> pending_{false};      // written under mutex_
};

}  // namespace headway::internal

#endif  // HEADWAY_COMM_LOCAL_ACTIVATION_INBOX_H_
