#ifndef HEADWAY_ENGINE_RUNTIME_WAKE_DESCRIPTOR_H_
#define HEADWAY_ENGINE_RUNTIME_WAKE_DESCRIPTOR_H_

#include <chrono>
#include <memory>
#include <optional>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "comm/local/endpoint.h"
#include "comm/system/file_descriptor.h"

namespace headway::internal {

// The descriptor of Worker::wake_fd: readable when a step of the worker has something to do. It is
// an epoll instance with three members: the event that other threads write to when they wake the
// worker, a timer, and the connections to the other processes.
//
// Belongs to the worker and its thread.
class WakeDescriptor {
 public:
  // `connections` is the descriptor of the other processes, or -1. It is not owned.
  // `endpoint` outlives the result. ResourceExhausted: the system is out of descriptors.
  static absl::StatusOr<std::unique_ptr<WakeDescriptor>> Create(Endpoint& endpoint,
                                                                int connections);

  int descriptor() const { return epoll_.get(); }

  // The worker returns to its host. The descriptor is readable at once if `has_work()` is true, and
  // otherwise when the worker is woken or after `timeout` (none: without limit).
  void Leave(std::optional<std::chrono::nanoseconds> timeout, absl::FunctionRef<bool()> has_work);
  // The worker returns to its host from a call in which it may have slept: the host takes a step.
  void LeaveForStep() { endpoint_.parker().WakeSelf(); }

 private:
  WakeDescriptor(Endpoint& endpoint, FileDescriptor epoll, FileDescriptor timer)
      : endpoint_(endpoint), epoll_(std::move(epoll)), timer_(std::move(timer)) {}

  void SetTimer(std::optional<std::chrono::nanoseconds> timeout);

  Endpoint& endpoint_;
  const FileDescriptor epoll_;
  const FileDescriptor timer_;
  bool timer_is_set_ = false;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_RUNTIME_WAKE_DESCRIPTOR_H_
