#ifndef HEADWAY_TESTS_COMM_TEST_SEED_H_
#define HEADWAY_TESTS_COMM_TEST_SEED_H_

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>

namespace headway::internal {

// The seed of a randomized test: HEADWAY_TEST_SEED if it is set, else a new one. Prints it, so that
// a failure can be replayed.
inline uint64_t TestSeed(const char* test) {
  const char* given = std::getenv("HEADWAY_TEST_SEED");
  const uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::printf("%s: HEADWAY_TEST_SEED=%llu\n", test, static_cast<unsigned long long>(seed));
  return seed;
}

}  // namespace headway::internal

#endif  // HEADWAY_TESTS_COMM_TEST_SEED_H_
