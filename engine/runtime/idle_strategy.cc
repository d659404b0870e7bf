#include "engine/runtime/idle_strategy.h"

#include <sched.h>

#include <algorithm>
#include <utility>

#include "comm/local/parker.h"
#include "comm/system/thread_placement.h"

namespace headway::internal {
namespace {

// About the cost of a wake-up.
constexpr int64_t kSpinNanos = 50'000;
// With more workers than cores the other threads need the core.
constexpr int64_t kSpinNanosWhenCrowded = 5'000;
// A worker of the same process that has a core of its own answers within a microsecond or two. That
// is about the time of one sched_yield.
constexpr int kPollsBeforeYield = 64;
// A worker of another process answers within a few microseconds, and a poll is a system call.
constexpr int kPollsBeforeYieldOfProcesses = 16;
// A longer sched_yield has let another thread run, so this worker shares its core.
constexpr int64_t kLongYieldNanos = 1'500;
// The workers of a process have different limits, so that not all workers that share a processor
// leave it at once.
constexpr int kLongYieldsBeforeMove = 8;
constexpr int kMoveLimits = 256;
// A worker that moved in vain, because other threads run there too, moves less and less often.
constexpr int64_t kMinMovePeriodNanos = 5'000'000;
constexpr int64_t kMaxMovePeriodNanos = 1'000'000'000;
// Ends the spin under a clock that stands still.
constexpr int kMaxYields = 100'000;

}  // namespace

void CurrentThread::Yield() { sched_yield(); }

void CurrentThread::MoveOn() { MoveThreadOn(); }

IdleStrategy::Limits IdleStrategy::Limits::Of(const Topology& topology, int index,
                                              bool each_has_a_core) {
  Limits limits;
  if (each_has_a_core) {
    limits.long_yields_before_move = kLongYieldsBeforeMove * (1 + index % kMoveLimits);
  }
  if (topology.worker_count() == 1) return limits;  // nobody answers
  limits.spin_nanos = each_has_a_core ? kSpinNanos : kSpinNanosWhenCrowded;
  if (!each_has_a_core) return limits;
  if (topology.process_count == 1) {
    limits.polls_before_yield = kPollsBeforeYield;
  } else if (topology.workers_per_process == 1) {
    limits.polls_before_yield = kPollsBeforeYieldOfProcesses;
  }
  return limits;
}

IdleStrategy::Decision IdleStrategy::Idle() {
  if (!shares_core_ && polls_ < limits_.polls_before_yield) {
    ++polls_;
    CpuRelax();
    return Decision::kPoll;
  }
  const int64_t now = clock_.NowNanos();
  if (idle_since_nanos_ < 0) {
    idle_since_nanos_ = now;
    yields_ = 0;
  }
  if (now - idle_since_nanos_ >= limits_.spin_nanos || ++yields_ >= kMaxYields) {
    return Decision::kSleep;
  }
  Yield(now);
  return Decision::kPoll;
}

void IdleStrategy::Woke() {
  polls_ = 0;
  long_yields_ = 0;
  idle_since_nanos_ = -1;
}

bool IdleStrategy::TrimIsDue(int64_t now) {
  if (now - trim_checked_nanos_ < absl::ToInt64Nanoseconds(kTrimPeriod)) return false;
  trim_checked_nanos_ = now;
  return !TakeWorked(kForTrim);
}

void IdleStrategy::Yield(int64_t now) {
  thread_.Yield();
  shares_core_ = clock_.NowNanos() - now > kLongYieldNanos;
  if (!shares_core_) {
    long_yields_ = 0;
    if (now - moved_nanos_ > kMaxMovePeriodNanos) move_period_nanos_ = 0;
    return;
  }
  if (++long_yields_ < limits_.long_yields_before_move || now - moved_nanos_ < move_period_nanos_ ||
      limits_.long_yields_before_move == 0) {
    return;
  }
  thread_.MoveOn();
  long_yields_ = 0;
  moved_nanos_ = now;
  move_period_nanos_ = std::clamp(2 * move_period_nanos_, kMinMovePeriodNanos, kMaxMovePeriodNanos);
}

}  // namespace headway::internal
