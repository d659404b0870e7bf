#ifndef HEADWAY_BENCH_HEADWAY_BENCH_STEPS_H_
#define HEADWAY_BENCH_HEADWAY_BENCH_STEPS_H_

#include <algorithm>
#include <bit>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "headway/bench/headway_bench/generate.h"
#include "headway/headway.h"

// What several benchmarks use in their dataflows.

namespace headway::bench {

// The record type of an output that nothing is sent through.
using Nothing = uint8_t;

// Ends a stream of numbers: an operator that adds them up.
template <class Pact>
auto SumInto(uint64_t& total, Pact pact) {
  return Unary<Nothing>("sum", pact, [&total](Capability<>) {
    return [&total](NodeInput<uint64_t>& in, NodeOutput<Nothing>&) {
      in.ForEach([&](const CapabilityRef<Epoch>&, Batch<uint64_t>& batch) {
        uint64_t part = 0;
        for (uint64_t value : batch) part += value;
        total += part;
      });
    };
  });
}

// Sends the numbers of a range, in whole batches.
inline void SendRange(InputHandle<uint64_t>& input, Range range) {
  const auto& state = input.state();
  while (range.first < range.last && state->graph != nullptr) {
    Batch<uint64_t> batch;
    batch.AllocateRoom(state->graph->worker().endpoint);
    const uint64_t count = std::min<uint64_t>(range.size(), batch.room());
    std::iota(batch.end(), batch.end() + count, range.first);
    batch.Grow(count);
    range.first += count;
    input.SendBatch(std::move(batch));
  }
}

// A routing key that brings a number to the worker `number % workers`, where an application would
// take the number itself as the key: for benchmarks whose definition says on which worker a record
// must arrive.
class ModuloKey {
 public:
  explicit ModuloKey(int workers)
      : workers_(static_cast<uint64_t>(workers)),
        mask_(std::has_single_bit(workers_) ? workers_ - 1 : 0) {
    for (int worker = 0; worker < workers; ++worker) {
      uint64_t key = 0;
      while (RouteHash(StableHash(key), workers) != worker) ++key;
      keys_.push_back(key);
    }
  }

  uint64_t operator()(uint64_t number) const {
    return keys_[mask_ != 0 ? number & mask_ : number % workers_];
  }

 private:
  uint64_t workers_;
  uint64_t mask_;               // 0 unless the number of workers is a power of two
  std::vector<uint64_t> keys_;  // by worker
};

}  // namespace headway::bench

#endif  // HEADWAY_BENCH_HEADWAY_BENCH_STEPS_H_
