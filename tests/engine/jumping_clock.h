#ifndef HEADWAY_TESTS_ENGINE_JUMPING_CLOCK_H_
#define HEADWAY_TESTS_ENGINE_JUMPING_CLOCK_H_

#include <atomic>
#include <cstdint>

#include "headway.h"

namespace headway {

// Advances by a millisecond with each reading, so that workers do not spin before they sleep.
class JumpingClock final : public Clock {
 public:
  absl::Time Now() override { return absl::UnixEpoch(); }
  int64_t NowNanos() override { return nanos_ += 1'000'000; }

 private:
  std::atomic<int64_t> nanos_{0};
};

}  // namespace headway

#endif  // HEADWAY_TESTS_ENGINE_JUMPING_CLOCK_H_
