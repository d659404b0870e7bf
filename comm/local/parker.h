#ifndef HEADWAY_COMM_LOCAL_PARKER_H_
#define HEADWAY_COMM_LOCAL_PARKER_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

#include "comm/system/file_descriptor.h"

namespace headway::internal {

// Spin hint: the processor leaves more to the other thread of the core.
inline void CpuRelax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// The place where one thread, the owner, sleeps until another has work for it. An idle worker uses
// no CPU, and waking a worker that is awake costs a load.
//
// A wake-up is never lost. The owner first announces that it is parked, and then checks its
// inboxes. A waker first writes to an inbox, and then checks if the owner is parked. Sequentially
// consistent fences between the two steps of each ensure that at least one of them sees the other.
// Spurious wake-ups are harmless, and Park may return without any.
//
// Thread safety: Park belongs to the owner, everything else is thread-safe.
class alignas(64) Parker {
 public:
  Parker() = default;
  Parker(const Parker&) = delete;
  Parker& operator=(const Parker&) = delete;

  // Sleeps until a wake-up, or for `timeout` (none: without limit; not positive: not at all),
  // unless has_work() is true. `has_work` is called once, on this thread, after the announcement.
  template <class HasWork>
  void Park(std::optional<std::chrono::nanoseconds> timeout, HasWork&& has_work) {
    parked_.exchange(kHere, std::memory_order_seq_cst);
    Fence();
    if (!has_work()) Wait(timeout);
    parked_.store(0, std::memory_order_relaxed);
  }

  // The same for an owner that sleeps elsewhere, in wait(). A wake-up calls the waker.
  template <class HasWork, class WaitElsewhere>
  void ParkElsewhere(HasWork&& has_work, WaitElsewhere&& wait) {
    parked_.exchange(kElsewhere, std::memory_order_seq_cst);
    Fence();
    if (!has_work()) wait();
    parked_.store(0, std::memory_order_relaxed);
  }

  // Announces that the owner leaves its thread to a host until its next call: a wake-up makes the
  // event readable. Forgets earlier wake-ups. The caller then checks its inboxes, and calls
  // WakeSelf if it finds something. REQUIRES: SetEvent was called.
  void ParkOutside();
  // Makes the event readable.
  void WakeSelf();

  // The eventfd of ParkOutside. Non-blocking. It is closed with the parker: a thread that wakes the
  // owner may outlive it.
  void SetEvent(FileDescriptor event) { event_ = std::move(event); }
  int event() const { return event_.get(); }

  // Sets the function that wakes an owner in ParkElsewhere. It must be thread-safe, and may be
  // called when the owner is awake again. REQUIRES: before the first park and the first wake-up.
  void SetWaker(std::function<void()> waker) { waker_ = std::move(waker); }

  // Returns true if the owner has announced that it is parked, and no wake-up came since.
  bool is_parked() const { return parked_.load(std::memory_order_seq_cst) != 0; }

  // Wakes the owner if it is parked, after the caller's earlier writes.
  void Unpark() {
    Fence();
    WakeIfParked();
  }

  // The fence of a waker, apart from the wake-up, so that one serves any number of parkers: write
  // the messages, call Fence(), then WakeIfParked() on each.
  static void Fence();

  // Wakes the owner if it is parked. Returns true if it was. REQUIRES: Fence() was called after the
  // messages were written.
  bool WakeIfParked();

 private:
  static constexpr uint32_t kHere = 1;
  static constexpr uint32_t kElsewhere = 2;
  static constexpr uint32_t kOutside = 3;

  void Wait(std::optional<std::chrono::nanoseconds> timeout);
  void Wake(uint32_t parked);

  std::atomic<uint32_t> parked_{0};
  std::function<void()> waker_;
  FileDescriptor event_;       // not open: the owner never parks outside
  bool event_is_set_ = false;  // by the owner
};

#if defined(__SANITIZE_THREAD__)
#define HEADWAY_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HEADWAY_THREAD_SANITIZER 1
#endif
#endif

#ifdef HEADWAY_THREAD_SANITIZER

// The thread sanitizer does not know fences. Two read-modify-writes of `parked_` give the same
// order. If the waker's comes first, the owner's exchange makes the messages visible. Otherwise the
// waker sees that the owner is parked.
inline void Parker::Fence() {}

inline bool Parker::WakeIfParked() {
  const uint32_t parked = parked_.fetch_and(0, std::memory_order_seq_cst);
  if (parked == 0) return false;
  Wake(parked);
  return true;
}

#else

inline void Parker::Fence() { std::atomic_thread_fence(std::memory_order_seq_cst); }

inline bool Parker::WakeIfParked() {
  if (parked_.load(std::memory_order_relaxed) == 0) return false;
  const uint32_t parked = parked_.exchange(0, std::memory_order_seq_cst);
  if (parked == 0) return false;
  Wake(parked);
  return true;
}

#endif

}  // namespace headway::internal

#endif  // HEADWAY_COMM_LOCAL_PARKER_H_
