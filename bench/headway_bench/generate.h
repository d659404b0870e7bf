#ifndef HEADWAY_BENCH_HEADWAY_BENCH_GENERATE_H_
#define HEADWAY_BENCH_HEADWAY_BENCH_GENERATE_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

// Deterministic inputs, by the formulas of bench/peers/timely/README.md. The peer's programs
// generate the same inputs, so that checksums are comparable.

namespace headway::bench {

// The output of the splitmix64 generator for state `x`. Source: Steele, Lea, Flood, "Fast
// splittable pseudorandom number generators", 2014.
inline uint64_t SplitMix64(uint64_t x) {
  uint64_t z = x + 0x9E3779B97F4A7C15;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

__extension__ using Uint128 = unsigned __int128;

// A number below `bound`.
inline uint64_t Below(uint64_t x, uint64_t bound) {
  return static_cast<uint64_t>((static_cast<Uint128>(SplitMix64(x)) * bound) >> 64);
}

// The numbers from `first` (included) to `last` (excluded).
struct Range {
  uint64_t first;
  uint64_t last;
  uint64_t size() const { return last - first; }
};

// Stores the numbers from `first` on, in several parts whose additions are independent, as the
// peer's compiler does by itself. The parts are not a plain array, because g++ 12 compiles that to
// wrong code.
inline void FillFrom(uint64_t first, std::span<uint64_t> numbers) {
  using Pair [[gnu::vector_size(16)]] = uint64_t;
  constexpr size_t kPairs = 4;
  Pair pairs[kPairs];
#pragma GCC unroll 4
  for (size_t pair = 0; pair < kPairs; ++pair) {
    pairs[pair] = Pair{first + 2 * pair, first + 2 * pair + 1};
  }
  uint64_t* to = numbers.data();
  const size_t whole = numbers.size() - numbers.size() % (2 * kPairs);
  for (size_t i = 0; i < whole; i += 2 * kPairs) {
#pragma GCC unroll 4
    for (size_t pair = 0; pair < kPairs; ++pair) {
      std::memcpy(to + i + 2 * pair, &pairs[pair], sizeof(Pair));
      pairs[pair] += 2 * kPairs;
    }
  }
  for (size_t i = whole; i < numbers.size(); ++i) to[i] = first + i;
}

// Adds up in several parts, so that additions do not wait for each other.
inline uint64_t Sum(std::span<const uint64_t> numbers) {
  constexpr size_t kParts = 8;
  uint64_t parts[kParts] = {};
  const size_t whole = numbers.size() - numbers.size() % kParts;
  for (size_t i = 0; i < whole; i += kParts) {
    for (size_t part = 0; part < kParts; ++part) parts[part] += numbers[i + part];
  }
  uint64_t sum = 0;
  for (uint64_t part : parts) sum += part;
  for (uint64_t number : numbers.subspan(whole)) sum += number;
  return sum;
}

// A worker's part of the range from 0 to `total` (excluded): contiguous, and as even as possible.
inline Range Share(uint64_t total, int worker, int workers) {
  auto bound = [=](int index) {
    return static_cast<uint64_t>(static_cast<Uint128>(total) * static_cast<uint64_t>(index) /
                                 static_cast<uint64_t>(workers));
  };
  return {bound(worker), bound(worker + 1)};
}

struct Edge {
  uint32_t from;
  uint32_t to;
};

// Edge `number` of a random directed graph.
inline Edge RandomEdge(uint64_t number, uint64_t nodes) {
  return {static_cast<uint32_t>(SplitMix64(2 * number) % nodes),
          static_cast<uint32_t>(SplitMix64(2 * number + 1) % nodes)};
}

// The number of lines that make up about `bytes` bytes of text.
uint64_t LineCount(uint64_t bytes);

// The text of some lines, drawn from `words` word numbers.
std::string Text(Range lines, uint64_t words);

// A word's part of the checksum of a word count: its FNV-1a hash, mixed, times its number of
// occurrences.
uint64_t WordContribution(std::string_view word, int64_t count);

}  // namespace headway::bench

#endif  // HEADWAY_BENCH_HEADWAY_BENCH_GENERATE_H_
