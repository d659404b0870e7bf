#ifndef HEADWAY_TESTS_ENGINE_WORKER_PAIR_H_
#define HEADWAY_TESTS_ENGINE_WORKER_PAIR_H_

#include <cstdint>

#include "comm/codec/stable_hash.h"
#include "headway.h"

namespace headway {

// Two workers that the test steps itself, in one thread.
struct WorkerPair {
  explicit WorkerPair(RunOptions options) : run(2, std::move(options)), attempt(run) {}

  internal::RunContext run;
  internal::Attempt attempt;
  Worker first{attempt, 0};
  Worker second{attempt, 1};
};

// A key that an exchange routes to worker `worker` of `workers`.
inline uint64_t KeyOf(int worker, int workers) {
  uint64_t key = 0;
  while (RouteHash(StableHash(key), workers) != worker) ++key;
  return key;
}

// Takes the records that worker `worker` of two gets all of, and counts them.
inline auto TakeOn(int worker, uint64_t& count) {
  const uint64_t key = KeyOf(worker, 2);
  return Unary<uint64_t>(
      "take", pact::Exchange{[key](uint64_t) { return key; }}, [&count](Capability<>) {
        return [&count](NodeInput<uint64_t>& in, NodeOutput<uint64_t>&) {
          in.ForEach(
              [&](const CapabilityRef<Epoch>&, Batch<uint64_t>& batch) { count += batch.size(); });
        };
      });
}

// Sends until there is no credit. Returns the number of records.
inline uint64_t UseUpCredit(InputHandle<uint64_t>& input) {
  uint64_t sent = 0;
  for (; input.HasCredit(); ++sent) input.Send(sent);
  return sent;
}

}  // namespace headway

#endif  // HEADWAY_TESTS_ENGINE_WORKER_PAIR_H_
