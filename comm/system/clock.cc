#include "comm/system/clock.h"

#include <chrono>

#include "absl/time/clock.h"
#include "check.h"

namespace headway {

absl::Time RealClock::Now() { return absl::Now(); }

int64_t RealClock::NowNanos() {
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

ManualClock::ManualClock(absl::Time start) : start_(start) {}

absl::Time ManualClock::Now() { return start_ + absl::Nanoseconds(NowNanos()); }

int64_t ManualClock::NowNanos() { return elapsed_nanos_.load(std::memory_order_acquire); }

void ManualClock::Advance(absl::Duration duration) {
  HEADWAY_CHECK(duration >= absl::ZeroDuration() && duration != absl::InfiniteDuration());
  elapsed_nanos_.fetch_add(absl::ToInt64Nanoseconds(duration), std::memory_order_acq_rel);
}

}  // namespace headway
