#ifndef HEADWAY_ENGINE_RUNTIME_ACTIVATION_GATE_H_
#define HEADWAY_ENGINE_RUNTIME_ACTIVATION_GATE_H_

#include <cstdint>
#include <mutex>

#include "comm/local/fabric.h"

namespace headway::internal {

// The way into an attempt for threads that are no workers. It is shared with them, so it may
// outlive the attempt; once closed, it does nothing.
//
// Thread safe.
class ActivationGate {
 public:
  explicit ActivationGate(Fabric& fabric) : fabric_(&fabric) {}
  ActivationGate(const ActivationGate&) = delete;
  ActivationGate& operator=(const ActivationGate&) = delete;

  // Activates the node that `token` names, on a worker of this process.
  void Activate(int local_index, uint64_t token) {
    std::lock_guard lock(mutex_);
    if (fabric_ != nullptr) fabric_->Activate(local_index, token);
  }

  // No thread is inside Activate when this returns, and none gets in later.
  void Close() {
    std::lock_guard lock(mutex_);
    fabric_ = nullptr;
  }

 private:
  std::mutex mutex_;
  Fabric* fabric_;  // guarded by mutex_; null: closed
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_RUNTIME_ACTIVATION_GATE_H_
