#ifndef HEADWAY_COMM_LOCAL_FLOW_CONTROL_H_
#define HEADWAY_COMM_LOCAL_FLOW_CONTROL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace headway::internal {

// Bytes that each (channel, sender) may have in flight although the shared pool is full. Without
// them, two workers of an acyclic graph could wait for each other's credit.
inline constexpr int64_t kExclusiveBytes = 64 * 1024;

// A counter that one thread writes and all may read, without read-modify-writes. Writer and reader
// pair as release and acquire: a thread that sees bytes as taken also sees them as sent.
class SingleWriterCounter {
 public:
  void Add(int64_t amount) {
    value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_release);
  }
  int64_t Get() const { return value_.load(std::memory_order_acquire); }

 private:
  std::atomic<int64_t> value_{0};
};

// The account of all bytes in flight between the workers of one process: sent and not yet taken. It
// bounds the memory of those bytes. The idea is Flink's credit-based flow control, but sender and
// receiver count, and no message is needed.
//
// A worker without credit does not run the node that would send. It sleeps until there is credit,
// and does not miss it, by
//   endpoint.Park(timeout, [&] { flow_control.SetStarving(); return <there is credit now>; });
// A worker that has taken bytes calls TakeStarving() once a round, and TakeStarvingBeforePark()
// before it parks. If that returns true it wakes all others (Endpoint::WakeAll, then Flush).
//
// Thread safety: only the thread of a worker writes its counters; any worker may call everything
// else.
class FlowControl {
 public:
  // REQUIRES: workers >= 1, max_bytes_in_flight >= 0.
  FlowControl(int workers, int64_t max_bytes_in_flight);
  FlowControl(const FlowControl&) = delete;
  FlowControl& operator=(const FlowControl&) = delete;

  // Counts bytes that `worker` has sent. Called on the thread of `worker`, before the message is
  // sent.
  void AddSent(int worker, int64_t bytes) { sent_of(worker).Add(bytes); }

  // Counts bytes that `worker` has taken out of flight, from any sender. Called on the thread of
  // `worker`.
  void AddTaken(int worker, int64_t bytes) { counters_[worker].taken.Add(bytes); }

  // Bytes sent and not yet taken, over all workers. While workers run it may be too high, but never
  // too low for the bytes that the caller knows of.
  int64_t InFlight() const;
  // The same, but it may be too low, and never too high. A caller that is preempted between two
  // counters counts the bytes that circulated meanwhile as taken, not as in flight.
  int64_t InFlightAtLeast() const;
  // Bytes sent plus bytes taken, since the start: it changes whenever some are sent or taken.
  int64_t Moved() const { return Sent() + Taken(); }

  int64_t max_bytes_in_flight() const { return max_bytes_in_flight_; }

  // Announces that the caller lacks credit. Check the credit again afterwards.
  void SetStarving();

  // Returns true if some worker lacks credit, and clears that flag: the caller must wake all
  // workers. Costs a load while none starves. It may miss an announcement of this moment, so call
  // it again.
  bool TakeStarving() {
    return starving_.load(std::memory_order_relaxed) &&
           starving_.exchange(false, std::memory_order_seq_cst);
  }

  // The same with a fence, so that it misses none. For the last call before the caller parks.
  bool TakeStarvingBeforePark();

  // The pool as one worker sees it, which reads all counters only now and then. Belongs to the
  // worker's thread; the FlowControl outlives it.
  class View {
   public:
    View(const FlowControl* flow_control, int worker)
        : flow_control_(flow_control), own_sent_(&flow_control->counters_[worker].sent) {}

    // Returns true if this worker may send from the shared pool. It counts as used the bytes that
    // the others may have sent since the counters were read, so it refuses up to an eighth of the
    // limit early. Only the bytes of one activation may exceed the limit.
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
  const int64_t look_interval_;  // bytes that a worker may send before it reads the counters again
  const std::unique_ptr<Counters[]> counters_;
  alignas(64) std::atomic<bool> starving_{false};
};

// The bytes in flight of one channel, for the exclusive credit of each (channel, sender). The
// workers of the process share it.
//
// Thread safety: a sender's thread writes its counters, a receiver's thread those of the receiver;
// all may read.
class ChannelCredits {
 public:
  // REQUIRES: workers >= 1.
  explicit ChannelCredits(int workers);
  ChannelCredits(const ChannelCredits&) = delete;
  ChannelCredits& operator=(const ChannelCredits&) = delete;

  // Counts bytes that `sender` has sent on the channel. Called on the thread of `sender`, before
  // the message is sent.
  void AddSent(int sender, int64_t bytes) { At(sender, workers_).Add(bytes); }

  // Counts bytes of `sender` that `receiver` has taken. Called on the thread of `receiver`.
  void AddTaken(int receiver, int sender, int64_t bytes) { At(receiver, sender).Add(bytes); }

  // Bytes that `sender` has sent on the channel and no receiver has taken yet.
  int64_t InFlight(int sender) const;

  // Bytes that all workers of the process have sent, and those of them that were taken.
  int64_t Sent() const;
  int64_t Taken() const;

  // Returns true if `sender` may send although the shared pool is full.
  bool HasRoom(int sender) const { return InFlight(sender) < kExclusiveBytes; }

 private:
  static constexpr size_t kCountersPerLine = 64 / sizeof(SingleWriterCounter);
  struct alignas(64) Line {
    SingleWriterCounter counters[kCountersPerLine];
  };

  // The row of a worker: for each sender the bytes that the worker took from it, and then the bytes
  // that the worker sent.
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
