#ifndef HEADWAY_COMM_SYSTEM_CLOCK_H_
#define HEADWAY_COMM_SYSTEM_CLOCK_H_

#include <atomic>
#include <cstdint>

#include "absl/time/time.h"

namespace headway {

// The source of time of a run. Workers never ask the system themselves, so a test can run hours in
// an instant.
//
// Thread safety: all methods are thread-safe. A clock outlives the runs that use it.
class Clock {
 public:
  virtual ~Clock() = default;

  // Wall-clock time, for users. It may jump.
  virtual absl::Time Now() = 0;

  // Nanoseconds since some fixed moment, monotonic: for timers and time limits.
  virtual int64_t NowNanos() = 0;
};

// The clocks of the system.
class RealClock final : public Clock {
 public:
  absl::Time Now() override;
  int64_t NowNanos() override;
};

// A clock that stands still until Advance, for tests and simulation.
class ManualClock final : public Clock {
 public:
  // Wall-clock time begins at `start`, the nanoseconds at zero.
  explicit ManualClock(absl::Time start = absl::UnixEpoch());

  absl::Time Now() override;
  int64_t NowNanos() override;

  // Moves both times forward.
  // REQUIRES: duration is finite and not negative.
  void Advance(absl::Duration duration);

 private:
  const absl::Time start_;
  std::atomic<int64_t> elapsed_nanos_{0};
};

}  // namespace headway

#endif  // HEADWAY_COMM_SYSTEM_CLOCK_H_
