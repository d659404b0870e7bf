#ifndef HEADWAY_TESTS_SIM_MODEL_H_
#define HEADWAY_TESTS_SIM_MODEL_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "tests/sim/plan.h"

namespace headway::sim {

// The records that one input of an operator received in a run, on all workers and in any order.
struct Receipts {
  uint64_t count = 0;
  uint64_t digest = 0;

  void Add(int worker, const SimTime& time, const Record& record) {
    ++count;
    uint64_t hash = Mix(record.id, record.key);
    hash = Mix(hash, record.hops * 16u + static_cast<unsigned>(worker));
    for (uint32_t coordinate : time.at) hash = Mix(hash, coordinate);
    digest += hash;
  }
  bool operator==(const Receipts&) const = default;
};

using AllReceipts = std::vector<std::vector<Receipts>>;  // [operator][input]

// Runs the plan one record at a time, without frontiers, capabilities or workers' schedules.
// Returns nullopt if operators would receive more than `max_deliveries` records: too slow to
// simulate.
std::optional<AllReceipts> RunModel(const Plan& plan, uint64_t max_deliveries);

}  // namespace headway::sim

#endif  // HEADWAY_TESTS_SIM_MODEL_H_
