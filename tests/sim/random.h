#ifndef HEADWAY_TESTS_SIM_RANDOM_H_
#define HEADWAY_TESTS_SIM_RANDOM_H_

#include <cstddef>
#include <cstdint>

namespace headway::sim {

// A good 64-bit mix (the finalizer of SplitMix64). The mix of a record's contents decides the
// records that follow from it, so these are equal in every schedule.
inline uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}
inline uint64_t Mix(uint64_t a, uint64_t b) { return Mix(a ^ Mix(b)); }

// The only source of chance in a simulation: equal seeds give equal runs, on every platform.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(Mix(seed)) {}

  uint64_t Next() { return Mix(state_++); }
  // In [0, n).
  uint32_t Below(uint32_t n) { return static_cast<uint32_t>(Next() % n); }
  int Int(int n) { return static_cast<int>(Below(static_cast<uint32_t>(n))); }
  size_t Index(size_t n) { return static_cast<size_t>(Next() % n); }
  bool OneIn(uint32_t n) { return Below(n) == 0; }

 private:
  uint64_t state_;
};

}  // namespace headway::sim

#endif  // HEADWAY_TESTS_SIM_RANDOM_H_
