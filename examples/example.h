#ifndef HEADWAY_EXAMPLES_EXAMPLE_H_
#define HEADWAY_EXAMPLES_EXAMPLE_H_

#include <cstdint>
#include <cstdio>
#include <string>

#include "headway/headway.h"

// Shared by the examples: the end of main, and numbers that look random.

// Returns the exit code of main. Prints the error or the help, if there is one.
inline int Finish(const absl::Status& status) {
  const int code = headway::ExitCode(status);
  if (!status.ok()) {
    std::fprintf(code == 0 ? stdout : stderr, "%s\n", std::string(status.message()).c_str());
  }
  return code;
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
