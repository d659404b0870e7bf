#include "engine/runtime/wake_descriptor.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include <cstring>
#include <utility>

#include "absl/strings/str_format.h"

namespace headway::internal {
namespace {

absl::Status OutOfDescriptors() {
  return absl::ResourceExhaustedError(
      absl::StrFormat("cannot make the descriptor that tells a host of work: %s; allow more open "
                      "files (ulimit -n)",
                      std::strerror(errno)));
}

bool Add(const FileDescriptor& epoll, int descriptor) {
  epoll_event event = {.events = EPOLLIN, .data = {.fd = descriptor}};
  return epoll_ctl(epoll.get(), EPOLL_CTL_ADD, descriptor, &event) == 0;
}

}  // namespace

absl::StatusOr<std::unique_ptr<WakeDescriptor>> WakeDescriptor::Create(Endpoint& endpoint,
                                                                       int connections) {
  FileDescriptor epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.is_open()) return OutOfDescriptors();
  FileDescriptor timer(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!timer.is_open()) return OutOfDescriptors();
  FileDescriptor event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event.is_open() || !Add(epoll, timer.get()) || !Add(epoll, event.get()) ||
      (connections >= 0 && !Add(epoll, connections))) {
    return OutOfDescriptors();
  }
  endpoint.parker().SetEvent(std::move(event));
  auto made = std::unique_ptr<WakeDescriptor>(
      new WakeDescriptor(endpoint, std::move(epoll), std::move(timer)));
  made->LeaveForStep();
  return made;
}

void WakeDescriptor::Leave(std::optional<std::chrono::nanoseconds> timeout,
                           absl::FunctionRef<bool()> has_work) {
  timeout = endpoint_.ParkOutside(timeout, has_work);
  if (timeout.has_value() && timeout->count() <= 0) {
    endpoint_.parker().WakeSelf();
  } else {
    SetTimer(timeout);
  }
}

void WakeDescriptor::SetTimer(std::optional<std::chrono::nanoseconds> timeout) {
  if (!timeout.has_value() && !timer_is_set_) return;
  timer_is_set_ = timeout.has_value();
  constexpr int64_t kNanosPerSecond = 1'000'000'000;
  const int64_t nanos = timeout.has_value() ? timeout->count() : 0;  // 0: never
  const itimerspec setting = {.it_interval = {},
                              .it_value = {.tv_sec = static_cast<time_t>(nanos / kNanosPerSecond),
                                           .tv_nsec = static_cast<long>(nanos % kNanosPerSecond)}};
  timerfd_settime(timer_.get(), 0, &setting, nullptr);
}

}  // namespace headway::internal
