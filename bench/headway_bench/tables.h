#ifndef HEADWAY_BENCH_HEADWAY_BENCH_TABLES_H_
#define HEADWAY_BENCH_HEADWAY_BENCH_TABLES_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "headway/comm/stable_hash.h"

// The hash tables of the benchmarks that count, in one place.

namespace headway::bench {

namespace internal {
struct TableHash {
  using is_transparent = void;
  template <class K>
  size_t operator()(const K& key) const {
    return StableHash(key);
  }
};
}  // namespace internal

// How often each number has occurred.
class NumberCounts {
 public:
  // Counts one occurrence and returns how many there are now.
  uint64_t Add(uint64_t key) { return ++counts_[key]; }
  // Begins to load what Add(key) will need.
  void Prefetch(uint64_t key) const { counts_.prefetch(key); }

 private:
  absl::flat_hash_map<uint64_t, uint64_t, internal::TableHash> counts_;
};

// How often each word has occurred.
class WordCounts {
 public:
  void Add(std::string_view word, int64_t change = 1) {
    auto found = counts_.find(word);
    if (found == counts_.end()) found = counts_.try_emplace(std::string(word)).first;
    found->second += change;
  }
  template <class F>
  void ForEach(F&& f) const {
    for (const auto& [word, count] : counts_) f(std::string_view(word), count);
  }

 private:
  absl::flat_hash_map<std::string, int64_t, internal::TableHash, std::equal_to<>> counts_;
};

}  // namespace headway::bench

#endif  // HEADWAY_BENCH_HEADWAY_BENCH_TABLES_H_
