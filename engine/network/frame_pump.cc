#include "engine/network/frame_pump.h"

#include <new>
#include <utility>

namespace headway::internal {
namespace {

// The watchdog pumps when nobody else did for this long. The transport needs attention about every
// 20 ms (Transport::Poll).
constexpr std::chrono::milliseconds kWatchdogPeriod{20};

}  // namespace

FramePump::~FramePump() {
  if (!watchdog_.joinable()) return;
  {
    std::lock_guard lock(watchdog_mutex_);
    ending_ = true;
  }
  watchdog_ends_.notify_one();
  watchdog_.join();
}

void FramePump::StartWatchdog() {
  watchdog_ = std::thread([this] { Watch(); });
}

bool FramePump::Run(bool urgent) {
  bool received = false;
  if (urgent) run_again_.store(true);
  do {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock.owns_lock()) {
      // The holder reads run_again_ after it unlocks, unless it waits: that has to end.
      if (urgent) waiting_.Unpark();
      return received;
    }
    run_again_.store(false);
    received |= Exchange();
  } while (run_again_.load());
  return received;
}

bool FramePump::TryWait(Endpoint& worker, std::optional<std::chrono::nanoseconds> timeout,
                        absl::FunctionRef<bool()> has_work) {
  std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock()) return false;
  work_.SendWithheld();
  work_.Wait(worker, timeout, has_work);
  run_again_.store(false);
  Exchange();
  lock.unlock();
  if (run_again_.load()) Run(false);
  return true;
}

bool FramePump::Exchange() {
  exchanges_.fetch_add(1, std::memory_order_relaxed);
  try {
    return work_.ExchangeFrames();
  } catch (const std::bad_alloc&) {
    work_.OutOfMemory();  // while the lock is held, so that nobody continues with half of the work
    throw;
  }
}

void FramePump::Watch() {
  uint64_t seen = 0;
  std::unique_lock lock(watchdog_mutex_);
  while (!watchdog_ends_.wait_for(lock, kWatchdogPeriod, [this] { return ending_; })) {
    const uint64_t exchanges = exchanges_.load(std::memory_order_relaxed);
    if (std::exchange(seen, exchanges) != exchanges) continue;
    try {
      std::unique_lock pump(mutex_, std::try_to_lock);
      if (!pump.owns_lock()) continue;
      work_.SendWithheld();
      Exchange();
      pump.unlock();
      if (run_again_.load()) Run(false);
      seen = exchanges_.load(std::memory_order_relaxed);
    } catch (const std::bad_alloc&) {
      work_.OutOfMemory();
    }
  }
}

}  // namespace headway::internal
