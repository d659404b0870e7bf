#ifndef HEADWAY_COMM_LOCAL_FLOW_CONTROL_H_
#define HEADWAY_COMM_LOCAL_FLOW_CONTROL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace headway::internal {

// Bytes that each (channel, sender) may have in flight even when the shared pool is full. Without
// this part two workers could wait for each other's credit in a graph without cycles.
inline constexpr int64_t kExclusiveBytes = 64 * 1024;

// A counter that one thread writes and all may read, without read-modify-writes. It pairs with its
// reader as release and acquire, so who sees bytes as taken also sees them as sent.
class SingleWriterCounter {
 public:
  void Add(int64_t amount) {
    value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_release);
  }
  int64_t Get() const { return value_.load(std::memory_order_acquire); }

 private:
  std::atomic<int64_t> value_{0};
};

// The account of all bytes in flight between the workers of one process, which bounds the memory of
// data that is sent and not yet taken (credits as in Flink, counted at the sender and the receiver,
// with no message for them).
//
// A worker that lacks credit does not run the node that would send. To sleep until there is credit
// without missing it:
//   endpoint.Park(timeout, [&] { flow_control.SetStarving(); return <there is credit now>; });
// A worker that has taken bytes asks TakeStarving() once a round, and TakeStarvingBeforePark()
// before it parks; on true it wakes all others (Endpoint::WakeAll, then Flush).
//
// Thread safety: the counters of a worker are written by its thread only; all else may be called by
// any worker.
class FlowControl {
 public:
  // REQUIRES: workers >= 1, max_bytes_in_flight >= 0.
  FlowControl(int workers, int64_t max_bytes_in_flight);
  FlowControl(const FlowControl&) = delete;
  FlowControl& operator=(const FlowControl&) = delete;

  // Counts bytes that `worker` has sent. On the thread of `worker`, before the bytes are handed
  // over.
  void AddSent(int worker, int64_t bytes) { sent_of(worker).Add(bytes); }

  // Counts bytes that `worker` has taken out of flight, whoever sent them. On the thread of
  // `worker`.
  void AddTaken(int worker, int64_t bytes) { counters_[worker].taken.Add(bytes); }

  // Bytes sent and not yet taken, over all workers. While they run it may be too high, never too
  // low for what the caller knows of.
  int64_t InFlight() const;
  // The same, but it may be too low, and never too high: who is kept from running between two of
  // the counters sees what went round meanwhile as taken, not as in flight.
  int64_t InFlightAtLeast() const;

  int64_t max_bytes_in_flight() const { return max_bytes_in_flight_; }

  // Announces that the caller lacks credit. Check the credit again after it.
  void SetStarving();

  // Whether some worker lacks credit; if so, the caller has to wake everybody, and the flag is
  // cleared. A load as long as nobody starves. It may miss a worker that announces itself in this
  // moment, so ask again.
  bool TakeStarving() {
    return starving_.load(std::memory_order_relaxed) &&
           starving_.exchange(false, std::memory_order_seq_cst);
  }

  // The same with a fence, so that it misses nobody: for the last time before the caller parks.
  bool TakeStarvingBeforePark();

  // How one worker sees the pool, with a look at all counters only now and then. For the worker's
  // thread; the FlowControl outlives it.
  class View {
   public:
    View(const FlowControl* flow_control, int worker)
        : flow_control_(flow_control), own_sent_(&flow_control->counters_[worker].sent) {}

    // Whether this worker may send from the shared pool. It counts as used what the others may have
    // sent since the last look, so it says no up to an eighth of the limit early; the limit is
    // passed only by what one activation sends.
    bool PoolHasRoom() {
      if (has_room_ && own_sent_->Get() - sent_at_look_ < flow_control_->look_interval_) {
        return true;
      }
      return Look();
    }

   private:
    bool Look();

    const FlowControl* flow_control_;
    const SingleWriterCounter* own_sent_;
    int64_t sent_at_look_ = 0;
    bool has_room_ = false;
  };

 private:
  struct alignas(64) Counters {
    SingleWriterCounter sent;
    SingleWriterCounter taken;
  };

  SingleWriterCounter& sent_of(int worker) { return counters_[worker].sent; }

  int64_t Sent() const;
  int64_t Taken() const;

  const int workers_;
  const int64_t max_bytes_in_flight_;
  const int64_t look_interval_;  // bytes that a worker may send between two looks
  const std::unique_ptr<Counters[]> counters_;
  alignas(64) std::atomic<bool> starving_{false};
};

// The bytes in flight of one channel, for the exclusive credit of each (channel, sender). Shared by
// the workers of the process.
//
// Thread safety: the counters of a sender are written by its thread, those of a receiver by the
// receiver's; all may read.
class ChannelCredits {
 public:
  // REQUIRES: workers >= 1.
  explicit ChannelCredits(int workers);
  ChannelCredits(const ChannelCredits&) = delete;
  ChannelCredits& operator=(const ChannelCredits&) = delete;

  // Counts bytes that `sender` has sent on the channel. On the thread of `sender`, before the bytes
  // are handed over.
  void AddSent(int sender, int64_t bytes) { At(sender, workers_).Add(bytes); }

  // Counts bytes from `sender` that `receiver` has taken. On the thread of `receiver`.
  void AddTaken(int receiver, int sender, int64_t bytes) { At(receiver, sender).Add(bytes); }

  // Bytes that `sender` has sent on the channel and nobody has taken yet: the sum over the
  // receivers.
  int64_t InFlight(int sender) const;

  // Whether `sender` may send although the shared pool is full.
  bool HasRoom(int sender) const { return InFlight(sender) < kExclusiveBytes; }

 private:
  static constexpr size_t kCountersPerLine = 64 / sizeof(SingleWriterCounter);
  struct alignas(64) Line {
    SingleWriterCounter counters[kCountersPerLine];
  };

  // The row of a worker has, for each sender, what the worker took from it, and then what the
  // worker itself sent.
  SingleWriterCounter& At(int row, int column) const {
    const size_t index = static_cast<size_t>(column);
    return rows_[static_cast<size_t>(row) * lines_per_row_ + index / kCountersPerLine]
        .counters[index % kCountersPerLine];
  }

  const int workers_;
  const size_t lines_per_row_;
  const std::unique_ptr<Line[]> rows_;
};

}  // namespace headway::internal

#endif  // HEADWAY_COMM_LOCAL_FLOW_CONTROL_H_
