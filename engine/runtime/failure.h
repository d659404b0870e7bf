#ifndef HEADWAY_ENGINE_RUNTIME_FAILURE_H_
#define HEADWAY_ENGINE_RUNTIME_FAILURE_H_

#include <atomic>
#include <functional>
#include <mutex>

#include "absl/status/status.h"

namespace headway::internal {

// The failure of an attempt. The first report wins; later ones are dropped, since they are most
// often its consequences.
//
// Thread safe.
class Failure {
 public:
  // `out_of_memory` is the status of ReportOutOfMemory; it is made in advance, because there may be
  // no memory for it later. `on_failure` is called once, on the reporting thread, with the first
  // failure.
  Failure(absl::Status out_of_memory, std::function<void(const absl::Status&)> on_failure);
  Failure(const Failure&) = delete;
  Failure& operator=(const Failure&) = delete;

  // REQUIRES: !status.ok().
  void Report(const absl::Status& status);
  // Reports a lack of memory. Allocates nothing itself.
  void ReportOutOfMemory() { Report(out_of_memory_); }

  bool occurred() const { return occurred_.load(std::memory_order_acquire); }
  // The first failure as users see it; OK before a failure.
  absl::Status status() const;
  // The same with its mark (failure_origin.h), for a supervisor that compares processes.
  absl::Status marked_status() const;

 private:
  const absl::Status out_of_memory_;
  const std::function<void(const absl::Status&)> on_failure_;
  std::atomic<bool> occurred_{false};
  mutable std::mutex mutex_;
  absl::Status status_;  // guarded by mutex_; marked
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_RUNTIME_FAILURE_H_
