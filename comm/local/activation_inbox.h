#ifndef HEADWAY_COMM_LOCAL_ACTIVATION_INBOX_H_
#define HEADWAY_COMM_LOCAL_ACTIVATION_INBOX_H_

#include <atomic>
#include <cstdint>
#include <mutex>
#include <unordered_set>
#include <vector>

namespace headway::internal {

// The requests of other threads to one worker: a set of tokens, whose meaning is the worker's. A
// token that already waits is not added again, so the number of different tokens bounds the inbox.
//
// Thread safety: any thread may call Add; the other methods belong to the worker's.
class ActivationInbox {
 public:
  // Adds a token, unless it already waits. Does not wake the worker.
  void Add(uint64_t token);

  // Replaces the content of `tokens` by the waiting tokens, oldest first. Returns true if there are
  // any.
  bool Take(std::vector<uint64_t>* tokens) {
    tokens->clear();
    if (empty()) return false;
    TakeWaiting(tokens);
    return true;
  }

  // Returns true if no token waits. A load, without the lock.
  bool empty() const { return !pending_.load(std::memory_order_acquire); }

 private:
  void TakeWaiting(std::vector<uint64_t>* tokens);

  std::mutex mutex_;
  std::vector<uint64_t> tokens_;          // guarded by mutex_
  std::unordered_set<uint64_t> waiting_;  // guarded by mutex_: the same tokens
  std::atomic<bool> pending_{false};      // written under mutex_
};

}  // namespace headway::internal

#endif  // HEADWAY_COMM_LOCAL_ACTIVATION_INBOX_H_
