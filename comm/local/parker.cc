#include "comm/local/parker.h"

#include <linux/futex.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace headway::internal {

static_assert(std::atomic<uint32_t>::is_always_lock_free && sizeof(std::atomic<uint32_t>) == 4,
              "a futex is a plain 32-bit word");

// The kernel sleeps only while the word is still 1, so a wake-up between has_work() and here is not
// lost. A signal ends the wait early, which is a spurious wake-up.
void Parker::Wait(std::optional<std::chrono::nanoseconds> timeout) {
  timespec limit{};
  if (timeout.has_value()) {
    if (timeout->count() <= 0) return;
    limit.tv_sec = static_cast<time_t>(timeout->count() / 1'000'000'000);
    limit.tv_nsec = static_cast<long>(timeout->count() % 1'000'000'000);
  }
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&parked_), FUTEX_WAIT_PRIVATE, kHere,
          timeout.has_value() ? &limit : nullptr, nullptr, 0);
}

void Parker::ParkOutside() {
  // A waker that has yet to write makes the event readable for nothing.
  if (event_is_set_ || parked_.load(std::memory_order_relaxed) != kOutside) {
    eventfd_t count;
    eventfd_read(event_.get(), &count);
    event_is_set_ = false;
  }
  parked_.exchange(kOutside, std::memory_order_seq_cst);
  Fence();
}

void Parker::WakeSelf() {
  if (event_is_set_) return;
  event_is_set_ = true;
  eventfd_write(event_.get(), 1);
}

void Parker::Wake(uint32_t parked) {
  if (parked == kOutside) {
    eventfd_write(event_.get(), 1);
    return;
  }
  if (parked == kElsewhere) {
    waker_();
    return;
  }
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&parked_), FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr,
          0);
}

}  // namespace headway::internal
