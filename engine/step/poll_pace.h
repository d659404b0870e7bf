#ifndef HEADWAY_ENGINE_STEP_POLL_PACE_H_
#define HEADWAY_ENGINE_STEP_POLL_PACE_H_

#include <algorithm>
#include <cstdint>

#include "engine/runtime/worker_context.h"

namespace headway::internal {

// Ends a poll of a reader that takes long, so that its records move on and other steps run, and at
// once if the run is to stop. A reader that waits for its records is slow: the clock is read after
// each of its records. It is read less often while records come fast.
class PollPace {
 public:
  explicit PollPace(WorkerContext& worker) : worker_(worker) {}

  void BeginPoll() {
    begin_nanos_ = last_look_nanos_ = worker_.NowNanos();
    until_look_ = interval_ + 1;  // the first question precedes the first record
  }
  // Asked before each record. Returns false if the poll should end.
  bool MayContinue() { return --until_look_ > 0 || Look(); }

 private:
  static constexpr int64_t kMaxPollNanos = 1'000'000;
  static constexpr int64_t kFastNanos = 50'000;  // between two looks
  static constexpr int kMaxInterval = 16;

  bool Look() {
    const int64_t now = worker_.NowNanos();
    interval_ = now - last_look_nanos_ < kFastNanos ? std::min(2 * interval_, kMaxInterval) : 1;
    last_look_nanos_ = now;
    until_look_ = interval_;
    return now - begin_nanos_ < kMaxPollNanos && !worker_.run().stop_requested();
  }

  WorkerContext& worker_;
  int interval_ = 1;  // records between two looks at the clock
  int until_look_ = 0;
  int64_t begin_nanos_ = 0;
  int64_t last_look_nanos_ = 0;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STEP_POLL_PACE_H_
