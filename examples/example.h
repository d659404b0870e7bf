#ifndef HEADWAY_EXAMPLES_EXAMPLE_H_
#define HEADWAY_EXAMPLES_EXAMPLE_H_

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

// What the examples share: the flag `-w N`, the end of main, and numbers that look random.

// The number of workers from `-w N`, `workers` if it is not given. Other arguments are appended to
// `rest`, if there is one.
inline int ParseWorkers(int argc, char** argv, std::vector<std::string>* rest = nullptr,
                        int workers = 1) {
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "-w" && i + 1 < argc) {
      workers = std::atoi(argv[++i]);
    } else if (rest != nullptr) {
      rest->push_back(argv[i]);
    }
  }
  return workers;
}

// The exit code of main; prints the error, if there is one.
inline int Finish(const absl::Status& status) {
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return 1;
}

// The i-th number of a fixed sequence that looks random, the same on every machine. Source: Steele,
// Lea, Flood, "Fast splittable pseudorandom number generators", 2014 (SplitMix64).
inline uint64_t SplitMix64(uint64_t i) {
  uint64_t z = (i + 1) * 0x9E3779B97F4A7C15;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

#endif  // HEADWAY_EXAMPLES_EXAMPLE_H_
