#ifndef HEADWAY_ENGINE_RUNTIME_IDLE_STRATEGY_H_
#define HEADWAY_ENGINE_RUNTIME_IDLE_STRATEGY_H_

#include <cstdint>

#include "absl/time/time.h"
#include "comm/system/clock.h"
#include "comm/system/topology.h"

namespace headway::internal {

// The control that an idle worker has over its thread. Tests replace it.
class ThreadControl {
 public:
  virtual ~ThreadControl() = default;
  // Lets another thread of this processor run, if one is ready.
  virtual void Yield() = 0;
  // Leaves the processor for the next one that the thread may use.
  virtual void MoveOn() = 0;
};

// The calling thread.
class CurrentThread final : public ThreadControl {
 public:
  void Yield() override;
  void MoveOn() override;
};

// Decides how a worker spends a step without work. It polls again at once for about as long as a
// sched_yield takes, then yields between polls for about as long as a wake-up takes, then sleeps.
// So waiting costs at most about twice the best choice in hindsight. A worker whose yields show
// that it shares its processor moves to another one.
//
// Belongs to the thread of its worker. design.md ("Waiting", "Cores") has the reasons.
class IdleStrategy {
 public:
  struct Limits {
    int polls_before_yield = 0;
    int64_t spin_nanos = 0;           // of yielding before a sleep
    int long_yields_before_move = 0;  // in a row; 0: the worker never moves

    // For worker `index` of a run. `each_has_a_core`: the process has a core for each worker.
    static Limits Of(const Topology& topology, int index, bool each_has_a_core);
  };

  enum class Decision { kPoll, kSleep };

  // A worker without work for this long trims its pool of free blocks, once in this period.
  static constexpr absl::Duration kTrimPeriod = absl::Seconds(1);

  // `clock` and `thread` outlive the strategy.
  IdleStrategy(const Limits& limits, Clock& clock, ThreadControl& thread)
      : limits_(limits), clock_(clock), thread_(thread) {}

  // A step did work.
  void Worked() {
    polls_ = 0;
    idle_since_nanos_ = -1;
    worked_ = kForTrim | kForStalls;
  }
  // A step did no work. Returns kPoll if the worker is to step again, perhaps after a yield or a
  // move, and kSleep if it is to sleep.
  Decision Idle();
  // The sleep that Idle asked for is over.
  void Woke();

  // The worker is about to sleep at `now`. Returns true if its pool is to be trimmed first.
  bool TrimIsDue(int64_t now);
  // Returns true if a step did work since the last call.
  bool TakeWorked() { return TakeWorked(kForStalls); }

 private:
  // The parties that ask whether the worker did work.
  static constexpr uint8_t kForTrim = 1;
  static constexpr uint8_t kForStalls = 2;

  void Yield(int64_t now);
  bool TakeWorked(uint8_t party) {
    const bool worked = (worked_ & party) != 0;
    worked_ &= static_cast<uint8_t>(~party);
    return worked;
  }

  const Limits limits_;
  Clock& clock_;
  ThreadControl& thread_;
  int polls_ = 0;                  // since the last work, up to the limit
  int64_t idle_since_nanos_ = -1;  // when yielding began; -1: not yet
  int yields_ = 0;                 // since then
  bool shares_core_ = false;       // as the last yield showed
  int long_yields_ = 0;            // in a row
  int64_t moved_nanos_ = 0;        // when it last moved
  int64_t move_period_nanos_ = 0;  // least time between two moves
  int64_t trim_checked_nanos_ = 0;
  uint8_t worked_ = 0;  // since each party last asked
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_RUNTIME_IDLE_STRATEGY_H_
