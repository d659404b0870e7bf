#include "engine/runtime/network.h"

#include <algorithm>
#include <mutex>
#include <new>
#include <utility>

#include "engine/runtime/attempt.h"

// How a Network lives, who pumps it, and how it ends. network_output.cc and network_input.cc have
// what passes through it.

namespace headway::internal {
namespace {

// The watchdog pumps when nobody else did for this long.
constexpr std::chrono::milliseconds kWatchdogPeriod{20};
// What the other processes get to read our last frames. One that hangs takes all of it, and
// everybody is to end within a second after it was given up.
constexpr absl::Duration kCloseTimeout = absl::Milliseconds(500);
// How soon a worker is looked at again which had no room for progress.
constexpr std::chrono::nanoseconds kDelayedRetry = std::chrono::milliseconds(1);

}  // namespace

Network::Network(Attempt& attempt, std::unique_ptr<Transport> transport)
    : run_(attempt.run()),
      attempt_(attempt),
      transport_(std::move(transport)),
      endpoint_(&attempt.fabric(), run_.topology().workers_per_process),
      returned_(static_cast<size_t>(run_.topology().process_count)),
      ended_(static_cast<size_t>(run_.topology().process_count)),
      agreed_(static_cast<size_t>(run_.topology().process_count)),
      graphs_(static_cast<size_t>(run_.topology().process_count)),
      return_bytes_(kExclusiveBytes / 2 / (run_.topology().process_count - 1)) {
  for (int index = 0; index <= endpoint_index(); ++index) {
    attempt_.fabric().parker(index).SetWaker([this] { transport_->Wake(); });
  }
  ended_[static_cast<size_t>(run_.topology().process)] = true;
  watchdog_ = std::thread([this] { Watch(); });  // last, since it may pump at once
}

Network::~Network() {
  {
    std::lock_guard lock(watchdog_mutex_);
    ending_ = true;
  }
  watchdog_ends_.notify_one();
  watchdog_.join();
}

// ---- Who pumps ----

bool Network::Pump(bool urgent) {
  bool received = false;
  if (urgent) pump_again_.store(true);
  do {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock.owns_lock()) {
      // Who pumps looks at pump_again_ after unlocking; who waits is to stop waiting.
      if (urgent) attempt_.fabric().parker(endpoint_index()).Unpark();
      return received;
    }
    pump_again_.store(false);
    received |= PumpLocked();
  } while (pump_again_.load());
  return received;
}

bool Network::TryWait(Endpoint& worker, std::optional<std::chrono::nanoseconds> timeout,
                      absl::FunctionRef<bool()> has_work) {
  std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock()) return false;
  // Nobody may wait for what this process holds back while it sleeps: credit, and progress that had
  // no room until now.
  SendCredit();
  transport_->Flush();
  if (!with_news_.empty()) {
    SendProgress();
    transport_->Flush();
  }
  // Nor for progress that a worker of this process has no room for: it does not say when it has.
  if (!with_delayed_.empty()) timeout = std::min(timeout.value_or(kDelayedRetry), kDelayedRetry);
  // Two doors to watch: the worker's own, and that of the network, where others leave what is to be
  // sent. A wake-up of either ends the wait.
  worker.ParkElsewhere(timeout, has_work, [this](std::optional<std::chrono::nanoseconds> limit) {
    endpoint_.ParkElsewhere(
        limit, [this] { return has_requests_.load(); },
        [this](auto wait_limit) { transport_->Wait(wait_limit); });
  });
  pump_again_.store(false);
  PumpLocked();
  lock.unlock();
  if (pump_again_.load()) Pump(false);
  return true;
}

// User code may keep every worker for a long time, which must not look like the death of the
// process: the connections are looked after from here then.
void Network::Watch() {
  uint64_t seen = 0;
  std::unique_lock lock(watchdog_mutex_);
  while (!watchdog_ends_.wait_for(lock, kWatchdogPeriod, [this] { return ending_; })) {
    const uint64_t pumps = pumps_.load(std::memory_order_relaxed);
    if (std::exchange(seen, pumps) != pumps) continue;
    try {
      std::unique_lock pump(mutex_, std::try_to_lock);
      if (!pump.owns_lock()) continue;
      SendCredit();
      PumpLocked();
      pump.unlock();
      if (pump_again_.load()) Pump(false);
      seen = pumps_.load(std::memory_order_relaxed);
    } catch (const std::bad_alloc&) {
      attempt_.failure().ReportOutOfMemory();
    }
  }
}

bool Network::PumpLocked() {
  pumps_.fetch_add(1, std::memory_order_relaxed);
  received_ = false;
  DeliverDelayed();
  SendAnnouncements();
  TakeFromWorkers();
  transport_->Flush();
  transport_->Poll(*this);
  for (BlockList written = transport_->TakeWritten(); !written.empty();) {
    endpoint_.Recycle(written.PopFront());
  }
  endpoint_.Flush();
  return received_;
}

// ---- The end ----

absl::Status Network::Finish() {
  std::lock_guard lock(mutex_);
  PumpLocked();
  // The last rounds may have to wait for room; what comes behind a goodbye is not sent.
  while (!attempt_.failure().occurred() && !with_news_.empty()) {
    if (ProgressIsBackedUp()) transport_->Wait(std::nullopt);
    PumpLocked();
  }
  if (!attempt_.failure().occurred()) SendToAll(FrameClass::kGoodbye, encoder_.Goodbye());
  while (!attempt_.failure().occurred() &&
         !std::all_of(ended_.begin(), ended_.end(), [](bool ended) { return ended; })) {
    PumpLocked();
    if (!received_) transport_->Wait(std::nullopt);
  }
  PumpLocked();
  transport_->Close(kCloseTimeout);
  return attempt_.failure().marked_status();
}

}  // namespace headway::internal
