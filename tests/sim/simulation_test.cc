#include "tests/sim/simulation.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "tests/sanitizers.h"

namespace headway::sim {
namespace {

#ifdef NDEBUG
constexpr uint64_t kSeedCount = Repeated(1000, 40);
#else
constexpr uint64_t kSeedCount = Repeated(150, 40);
#endif

// HEADWAY_TEST_SEED replays one seed. HEADWAY_SIM_SEEDS is the number of seeds to run.
std::vector<uint64_t> Seeds() {
  if (const char* seed = std::getenv("HEADWAY_TEST_SEED")) {
    return {std::strtoull(seed, nullptr, 10)};
  }
  uint64_t count = kSeedCount;
  if (const char* seeds = std::getenv("HEADWAY_SIM_SEEDS")) {
    count = std::strtoull(seeds, nullptr, 10);
  }
  std::vector<uint64_t> all;
  for (uint64_t seed = 1; seed <= count; ++seed) all.push_back(seed);
  return all;
}

TEST_CASE(
    "in every schedule no frontier passes a time that may still appear, and all records arrive "
    "once") {
  Simulation::Counts counts;
  int failures = 0;
  const std::vector<uint64_t> seeds = Seeds();
  for (uint64_t seed : seeds) {
    Simulation simulation(seed);
    const std::string violation = simulation.Run();
    counts.Add(simulation.counts());
    CHECK_MESSAGE(violation.empty(), "seed ", seed, ": ", simulation.Describe(), "\n", violation,
                  "\nto replay: HEADWAY_TEST_SEED=", seed,
                  " ctest --preset release -R sim/simulation");
    if (!violation.empty() && ++failures == 5) break;
  }
  std::printf(
      "%zu seeds (%llu with a cycle): %llu actions, %llu records received, %llu frontier changes, "
      "%llu times at rest, %llu waits for credit, %llu cycles ended by a small limit\n",
      seeds.size(), static_cast<unsigned long long>(counts.cycles),
      static_cast<unsigned long long>(counts.actions),
      static_cast<unsigned long long>(counts.records),
      static_cast<unsigned long long>(counts.frontier_changes),
      static_cast<unsigned long long>(counts.rests),
      static_cast<unsigned long long>(counts.waits_for_credit),
      static_cast<unsigned long long>(counts.exhausted));
}

}  // namespace
}  // namespace headway::sim
