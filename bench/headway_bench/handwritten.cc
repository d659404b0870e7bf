// The limit of two threads without an engine, to which `exchange` on two workers is compared. Each
// thread generates numbers and partitions them without a branch. It passes full buffers to the
// other by pointer, and adds up the numbers that it receives. Empty buffers return to their owner.

#include <sched.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <vector>

#include "bench/headway_bench/benchmarks.h"
#include "bench/headway_bench/generate.h"

namespace headway::bench {

namespace {

struct Buffer {
  static constexpr size_t kCapacity = 2048;
  size_t count = 0;
  std::array<uint64_t, kCapacity> values;

  size_t room() const { return kCapacity - count; }
};

// A queue of pointers between two threads. A null slot is empty.
class PointerRing {
 public:
  // Returns false if the ring is full.
  bool TryPush(Buffer* buffer) {
    Slot& slot = slots_[push_position_ % slots_.size()];
    if (slot.buffer.load(std::memory_order_acquire) != nullptr) return false;
    slot.buffer.store(buffer, std::memory_order_release);
    ++push_position_;
    return true;
  }
  // Returns null if the ring is empty.
  Buffer* TryPop() {
    Slot& slot = slots_[pop_position_ % slots_.size()];
    Buffer* buffer = slot.buffer.load(std::memory_order_acquire);
    if (buffer == nullptr) return nullptr;
    slot.buffer.store(nullptr, std::memory_order_release);
    ++pop_position_;
    return buffer;
  }

 private:
  struct alignas(64) Slot {
    std::atomic<Buffer*> buffer{nullptr};
  };
  std::array<Slot, 64> slots_;
  alignas(64) size_t push_position_ = 0;
  alignas(64) size_t pop_position_ = 0;
};

// The connection from one thread to the other.
struct Link {
  PointerRing full;
  PointerRing used;  // empty buffers, on their way back
};

// One of the two threads. The links outlive it.
class Side {
 public:
  Side(Link& out, Link& in) : out_(out), in_(in), to_other_(NewBuffer()) {}

  // Keeps or sends each number of the range, as its hash decides.
  void Send(Range range) {
    for (uint64_t value = range.first; value < range.last;) {
      if (own_.room() == 0) AddUp(own_);
      if (to_other_->room() == 0) HandOver();
      const uint64_t run = std::min({range.last - value, own_.room(), to_other_->room()});
      uint64_t* own = own_.values.data() + own_.count;
      uint64_t* other = to_other_->values.data() + to_other_->count;
      // The number is stored to both buffers. The hash bit decides which buffer keeps it.
      for (const uint64_t end = value + run; value < end; ++value) {
        const auto bit = static_cast<size_t>(RouteHash(StableHash(value), 2));
        *own = value;
        *other = value;
        own += 1 - bit;
        other += bit;
      }
      own_.count = static_cast<size_t>(own - own_.values.data());
      to_other_->count = static_cast<size_t>(other - to_other_->values.data());
    }
  }

  // Sends the rest, waits for the other's end (an empty buffer), and returns the sum of all numbers
  // received.
  uint64_t Finish() {
    AddUp(own_);
    if (to_other_->count > 0) HandOver();
    HandOver();
    while (!other_has_ended_) ReceiveOrYield();
    return sum_;
  }

 private:
  void AddUp(Buffer& buffer) {
    sum_ += Sum({buffer.values.data(), buffer.count});
    buffer.count = 0;
  }

  void HandOver() {
    while (!out_.full.TryPush(to_other_)) ReceiveOrYield();
    Receive();
    to_other_ = out_.used.TryPop();
    if (to_other_ == nullptr) to_other_ = NewBuffer();
  }

  // Receives, or yields, since both threads may share a core.
  void ReceiveOrYield() {
    if (!Receive()) sched_yield();
  }

  // Takes all buffers that have arrived. Returns false if no buffer had arrived.
  bool Receive() {
    bool any = false;
    while (Buffer* buffer = in_.full.TryPop()) {
      if (buffer->count == 0) other_has_ended_ = true;
      AddUp(*buffer);
      in_.used.TryPush(buffer);  // if the ring is full, the owner allocates another one
      any = true;
    }
    return any;
  }

  Buffer* NewBuffer() {
    buffers_.push_back(std::make_unique<Buffer>());
    return buffers_.back().get();
  }

  Link& out_;
  Link& in_;
  std::vector<std::unique_ptr<Buffer>> buffers_;  // allocated by this side
  Buffer own_;
  Buffer* to_other_;
  uint64_t sum_ = 0;
  bool other_has_ended_ = false;
};

absl::StatusOr<Outcome> Run(Worker& worker, Harness& harness, const Options& options) {
  if (options.workers != 2 || options.processes != 1) {
    return absl::InvalidArgumentError("handwritten needs two workers of one process: -w 2");
  }
  static std::array<Link, 2> links;  // by sender
  const uint64_t per_round = options.number("records");
  const uint64_t rounds = options.number("rounds");
  const Range own = Share(per_round, worker.index(), worker.count());
  const auto index = static_cast<size_t>(worker.index());
  auto side = std::make_unique<Side>(links[index], links[1 - index]);

  HEADWAY_RETURN_IF_ERROR(harness.Start(rounds));
  for (uint64_t round = 0; round < rounds; ++round) {
    side->Send({round * per_round + own.first, round * per_round + own.last});
    harness.SetDone(round);
  }
  const uint64_t total = side->Finish();
  Outcome outcome = {.seconds = harness.clock().Seconds(),
                     .rounds = rounds,
                     .records = rounds * own.size(),
                     .checksum = total};
  // The other thread may still hold buffers of this side, so wait for its end.
  HEADWAY_RETURN_IF_ERROR(harness.Barrier());
  return outcome;
}

}  // namespace

Benchmark HandwrittenBenchmark() {
  return {.name = "handwritten",
          .summary = "the work of exchange, by hand on two threads, without waiting for rounds",
          .arguments = {Number("records", 100'000, "records per round, over both threads"),
                        Number("rounds", 1'000, "rounds")},
          .run = Run};
}

}  // namespace headway::bench
