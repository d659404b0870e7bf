#ifndef HEADWAY_ENGINE_STALL_WATCH_H_
#define HEADWAY_ENGINE_STALL_WATCH_H_

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "engine/graph/graph.h"
#include "engine/runtime/worker_context.h"

namespace headway::internal {

// Notices that the dataflows of a worker stand still: a source waits for seconds for an epoch, or
// the worker sleeps for seconds without a timer although a dataflow is not complete. Says why in
// the log, and to the other workers by the StallBoard. If that proves that nothing can wake the
// run, the run fails with the same sentence. It also fails if the host waits for a probe without a
// stream.
//
// It looks only before a sleep, and then once a second or less often: a worker with work pays
// nothing. Belongs to the worker's thread.
class StallWatch {
 public:
  using Graphs = std::map<uint32_t, std::unique_ptr<Graph>>;

  explicit StallWatch(WorkerContext& worker) : worker_(worker) {}

  // The worker is about to sleep, and has found no work. `worked`: a step did work since
  // the last call. `needs_message`: the sleep has no limit, and no timer ends it. Returns the time
  // after which the worker is to step again, so that the watch can look.
  absl::Duration BeforeSleep(bool worked, bool needs_message, const Graphs& graphs);
  void AfterSleep();
  // The host's function has returned: nothing more is built, cancelled or fed by hand.
  void NoteHostReturned() { host_has_returned_ = true; }
  bool host_has_returned() const { return host_has_returned_; }

 private:
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

  bool WaitsForUnattachedProbe(bool worked, bool needs_message);
  void Look(int64_t now, bool needs_message, const Graphs& graphs);
  bool IsSuspect(int64_t now, bool needs_message, Graph& graph);
  bool IsStuck(bool needs_message, const Graphs& graphs);
  void LogOnce(int64_t now);

  // A source that waits, for the same epoch since then.
  struct Wait {
    Epoch epoch;
    int64_t since_nanos;
  };

  WorkerContext& worker_;
  int64_t idle_since_nanos_ = kNever;
  int64_t next_look_nanos_ = 0;
  int64_t period_nanos_ = 0;        // between two looks
  std::map<uint32_t, Wait> waits_;  // by dataflow
  std::string sentence_;            // of the last look; empty: the dataflows do not stand still
  int64_t stalled_since_nanos_ = 0;
  bool is_here_ = false;       // this worker holds them back
  bool is_explained_ = false;  // the last look was after the last work, and found every reason
  bool posted_ = false;
  bool host_has_returned_ = false;
  bool asked_unattached_ = false;  // before the last sleep
  std::string logged_;
  int64_t logged_nanos_ = 0;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STALL_WATCH_H_
