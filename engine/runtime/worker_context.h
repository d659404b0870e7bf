#ifndef HEADWAY_ENGINE_RUNTIME_WORKER_CONTEXT_H_
#define HEADWAY_ENGINE_RUNTIME_WORKER_CONTEXT_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "comm/local/fabric.h"
#include "engine/runtime/attempt.h"
#include "engine/runtime/timer_queue.h"

namespace headway::internal {

class Graph;
class RemoteSender;

// A worker as its dataflows see it: its place in the run, its connections, the clock, and the lists
// by which dataflows ask to be stepped and woken.
//
// Belongs to the worker and its thread.
class WorkerContext {
 public:
  // All of them outlive the context. `remote` is null if all workers are in this process.
  WorkerContext(Attempt& attempt, int local_index, Endpoint& endpoint, RemoteSender* remote)
      : attempt_(attempt),
        endpoint_(endpoint),
        remote_(remote),
        index_(attempt.run().topology().first_worker() + local_index),
        count_(attempt.run().topology().worker_count()),
        local_index_(local_index),
        credit_(&attempt.flow_control(), local_index) {}
  WorkerContext(const WorkerContext&) = delete;
  WorkerContext& operator=(const WorkerContext&) = delete;

  int index() const { return index_; }              // 0 to count() - 1
  int count() const { return count_; }              // workers of the whole run
  int local_index() const { return local_index_; }  // among the workers of this process

  RunContext& run() const { return attempt_.run(); }
  Attempt& attempt() const { return attempt_; }
  bool failed() const { return attempt_.failure().occurred(); }
  int64_t NowNanos() const { return run().clock().NowNanos(); }

  Endpoint& endpoint() { return endpoint_; }
  // The way to the workers of other processes; null if there are none.
  RemoteSender* remote() { return remote_; }

  // ---- Bytes in flight ----

  // Returns true if the pool that all channels of the process share has room.
  bool PoolHasRoom() { return credit_.PoolHasRoom(); }
  void TakeFromPool(int64_t bytes) { attempt_.flow_control().AddSent(local_index_, bytes); }
  // Also wakes workers that wait for room.
  void ReturnToPool(int64_t bytes) {
    attempt_.flow_control().AddTaken(local_index_, bytes);
    made_room_ = true;
    if (attempt_.flow_control().TakeStarving()) endpoint_.WakeAll();
  }
  // Returns true if the worker has returned bytes since the last call.
  bool TakeMadeRoom() { return std::exchange(made_room_, false); }

  // ---- Steps ----

  // The graphs that ask to be stepped. A graph adds itself at most once.
  std::vector<Graph*>& active_graphs() { return active_graphs_; }
  TimerQueue& timers() { return timers_; }
  // Tells a host that waits for the worker's descriptor (Worker::wake_fd) that it made work itself,
  // by an input or an activator.
  void WakeHost() {
    if (waiting_host_ != nullptr) [[unlikely]]
      waiting_host_->WakeSelf();
  }
  // `parker` is that of the worker while the host waits; otherwise null.
  void set_waiting_host(Parker* parker) { waiting_host_ = parker; }

  // ---- Statistics ----

  void CountSourceRecords(uint64_t count) { source_records_ += count; }
  // The number of records that this worker's sources have emitted.
  uint64_t source_records() const { return source_records_; }

 private:
  Attempt& attempt_;
  Endpoint& endpoint_;
  RemoteSender* const remote_;
  const int index_;
  const int count_;
  const int local_index_;
  FlowControl::View credit_;
  bool made_room_ = false;
  uint64_t source_records_ = 0;
  std::vector<Graph*> active_graphs_;
  TimerQueue timers_;
  Parker* waiting_host_ = nullptr;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_RUNTIME_WORKER_CONTEXT_H_
