// A bare round trip of a word between two threads, without an engine. It is the lower bound of a
// barrier between two workers, in which both words are in flight at once.

#include <sched.h>

#include <atomic>
#include <cstdint>

#include "bench/headway_bench/benchmarks.h"

namespace headway::bench {

namespace {

// The count of turns taken. Worker 0 takes the even turns, worker 1 the odd ones.
alignas(64) std::atomic<uint64_t> turns{0};

void AwaitTurn(uint64_t turn) {
  constexpr int kLooksBeforeYield = 10'000;  // both threads may share a core
  for (int looks = 1; turns.load(std::memory_order_acquire) != turn; ++looks) {
    if (looks % kLooksBeforeYield == 0) sched_yield();
  }
}

absl::StatusOr<Outcome> Run(Worker& worker, Harness& harness, const Options& options) {
  if (options.workers != 2 || options.processes != 1) {
    return absl::InvalidArgumentError("cache_line needs two workers of one process: -w 2");
  }
  const uint64_t rounds = options.number("rounds");
  const auto index = static_cast<uint64_t>(worker.index());

  HEADWAY_RETURN_IF_ERROR(harness.Start(rounds));
  for (uint64_t round = 0; round < rounds; ++round) {
    const uint64_t turn = 2 * round + index;
    AwaitTurn(turn);
    turns.store(turn + 1, std::memory_order_release);
  }
  AwaitTurn(2 * rounds);
  return Outcome{.seconds = harness.clock().Seconds(), .rounds = rounds, .checksum = rounds};
}

}  // namespace

Benchmark CacheLineBenchmark() {
  return {.name = "cache_line",
          .summary = "a word goes to another thread and back, without an engine",
          .arguments = {Number("rounds", 100'000, "round trips")},
          .run = Run};
}

}  // namespace headway::bench
