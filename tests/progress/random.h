#ifndef HEADWAY_TESTS_PROGRESS_RANDOM_H_
#define HEADWAY_TESTS_PROGRESS_RANDOM_H_

#include <cstdint>
#include <cstdlib>
#include <random>
#include <vector>

#include "tests/sanitizers.h"

namespace headway::progress_test {

// The seeds of a randomized test: 1 to `count`. Under a sanitizer only a tenth of them, since it
// finds no errors of logic. If HEADWAY_TEST_SEED is set, only that one, to replay a failure.
inline std::vector<uint64_t> Seeds(uint64_t count) {
  if (const char* seed = std::getenv("HEADWAY_TEST_SEED")) {
    return {std::strtoull(seed, nullptr, 10)};
  }
  std::vector<uint64_t> seeds;
  for (uint64_t seed = 1; seed <= Repeated(count, count / 10); ++seed) seeds.push_back(seed);
  return seeds;
}

// A generator whose numbers are the same on every platform.
class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  // 0 to `bound` - 1.
  uint64_t Below(uint64_t bound) { return engine_() % bound; }
  bool OneIn(uint64_t n) { return Below(n) == 0; }

 private:
  std::mt19937_64 engine_;
};

}  // namespace headway::progress_test

#endif  // HEADWAY_TESTS_PROGRESS_RANDOM_H_
