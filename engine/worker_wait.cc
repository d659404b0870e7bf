#include <sched.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "comm/system/thread_placement.h"
#include "engine/runtime/network.h"
#include "engine/worker.h"

// How a worker without work waits: it looks again, yields, leaves a processor that it shares, and
// sleeps. worker.cc has the rest.

namespace headway {

using internal::Graph;

namespace {

// Spinning for about the cost of a wake-up costs at most twice what the better choice would have;
// with more workers than cores the others need the core.
constexpr int64_t kSpinNanos = 50'000;
constexpr int64_t kSpinNanosWhenCrowded = 5'000;
// A fellow worker that has a core of its own answers within a microsecond or two, which is about
// what one sched_yield takes: so long a worker looks again at once.
constexpr int kLooksBeforeYield = 64;
// One of another process answers within a few, and a look is a system call.
constexpr int kLooksOfProcesses = 16;
// A sched_yield that takes longer has let another thread run: this worker shares its core.
constexpr int64_t kLongYieldNanos = 1'500;
// A worker that shares its processor for so many yields in a row moves to another one. The workers
// of a process have different limits, so that not all that share a processor leave it. Where it
// moves in vain, because others run there too, it moves seldom.
constexpr int kLongYieldsBeforeMove = 8;
constexpr int kMoveLimits = 256;
constexpr int64_t kMinMovePeriodNanos = 5'000'000;
constexpr int64_t kMaxMovePeriodNanos = 1'000'000'000;
// Ends the spin also under a clock that stands still.
constexpr int kMaxIdleSpins = 100'000;
// A clock that the host moves does not wake a worker that sleeps: it looks this often.
constexpr absl::Duration kForeignClockPoll = absl::Milliseconds(1);
// A worker that had nothing to do for this long gives half of its free blocks back.
constexpr absl::Duration kTrimPeriod = absl::Seconds(1);

}  // namespace

int64_t Worker::SpinNanos(const internal::Topology& topology, bool each_has_a_core) {
  if (topology.worker_count() == 1) return 0;
  return each_has_a_core ? kSpinNanos : kSpinNanosWhenCrowded;
}

int Worker::LooksBeforeYield(const internal::Topology& topology, bool each_has_a_core) {
  if (topology.worker_count() == 1 || !each_has_a_core) return 0;
  if (topology.worker_count() == topology.workers_per_process) return kLooksBeforeYield;
  return topology.workers_per_process == 1 ? kLooksOfProcesses : 0;
}

bool Worker::HasWork() {
  if (context_.attempt.failure().occurred() || context_.run.stop_requested() != stop_seen_)
    return true;
  bool starving = false;
  for (Graph* graph : context_.active_graphs) {
    if (graph->HasWork()) return true;
    starving |= !graph->credit().empty();
  }
  if (!starving) return false;
  context_.attempt.flow_control().SetStarving();
  return context_.credit.PoolHasRoom();
}

void Worker::Wait(absl::Duration timeout) {
  if (!shares_core_ && looks_ < looks_before_yield_) {
    ++looks_;
    internal::CpuRelax();
    return;
  }
  const int64_t now = context_.NowNanos();
  if (idle_since_nanos_ < 0) {
    idle_since_nanos_ = now;
    idle_spins_ = 0;
  }
  if (now - idle_since_nanos_ < spin_nanos_ && ++idle_spins_ < kMaxIdleSpins) {
    Yield(now);
    return;
  }
  if (now - trimmed_nanos_ >= absl::ToInt64Nanoseconds(kTrimPeriod)) {
    if (!worked_since_trim_) context_.endpoint.pool().Trim();
    worked_since_trim_ = false;
    trimmed_nanos_ = now;
  }
  if (context_.endpoint.pool().CanTrim()) timeout = std::min(timeout, kTrimPeriod);
  if (!context_.timers.empty()) {
    timeout = std::min(timeout, absl::Nanoseconds(context_.timers.front().nanos - now));
    if (context_.run.options().clock != nullptr) timeout = std::min(timeout, kForeignClockPoll);
  }
  std::optional<std::chrono::nanoseconds> limit;
  if (timeout != absl::InfiniteDuration()) limit = absl::ToChronoNanoseconds(timeout);
  // Only who has made room has a reason to wake those that wait for it.
  if (std::exchange(context_.took_bytes, false) &&
      context_.attempt.flow_control().TakeStarvingBeforePark()) {
    context_.endpoint.WakeAll();
  }
  internal::Network* network = context_.attempt.network();
  if (network == nullptr ||
      !network->TryWait(context_.endpoint, limit, [this] { return HasWork(); })) {
    context_.endpoint.Park(limit, [this] { return HasWork(); });
  }
  stop_seen_ =
      context_.run.stop_requested();  // the caller looks at its condition before the next wait
  looks_ = 0;
  long_yields_ = 0;
  idle_since_nanos_ = -1;
}

void Worker::Yield(int64_t now) {
  sched_yield();
  shares_core_ = context_.NowNanos() - now > kLongYieldNanos;
  if (!shares_core_) {
    long_yields_ = 0;
    if (now - moved_nanos_ > kMaxMovePeriodNanos) move_period_nanos_ = 0;
    return;
  }
  const int limit = kLongYieldsBeforeMove * (1 + index() % kMoveLimits);
  if (++long_yields_ < limit || now - moved_nanos_ < move_period_nanos_ || !each_has_a_core_) {
    return;
  }
  internal::MoveThreadOn();
  long_yields_ = 0;
  moved_nanos_ = now;
  move_period_nanos_ = std::clamp(2 * move_period_nanos_, kMinMovePeriodNanos, kMaxMovePeriodNanos);
}

}  // namespace headway
