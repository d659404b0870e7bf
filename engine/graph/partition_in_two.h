#ifndef HEADWAY_ENGINE_GRAPH_PARTITION_IN_TWO_H_
#define HEADWAY_ENGINE_GRAPH_PARTITION_IN_TWO_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "comm/codec/stable_hash.h"

// How an exchange between two workers divides records: many at once, with the vectors of the
// processor that the program runs on.

namespace headway::internal {

// Records that are divided together.
inline constexpr size_t kDividedTogether = 32;

// Writes each of kDividedTogether records to where those of its key's worker go, in order, and
// moves that pointer behind them. REQUIRES: there is room for all behind either pointer, which is
// written over.
//
// It gets the keys, not the function that makes them of records: compiled for another processor
// than elsewhere, which may round only once where it multiplies and adds, that could give other
// ones.
template <class D, class Key>
using DivideInTwoFn = void (*)(const Key* keys, const D* records, D** to0, D** to1);

// Stores a record to both, and the target decides which of them keeps it: no branch depends on it.
template <class D>
[[gnu::always_inline]] inline void StoreToOneOfTwo(const D& record, uint64_t target, D** to0,
                                                   D** to1) {
  const D copy = record;
  **to0 = copy;
  **to1 = copy;
  *to1 += target;
  *to0 += 1 - target;
}

#if defined(__x86_64__)

using TargetsInTwo = std::array<uint64_t, kDividedTogether>;

template <class Key>
[[gnu::always_inline]] inline void RouteInTwo(const Key* keys, TargetsInTwo* targets) {
  for (size_t i = 0; i < kDividedTogether; ++i) {
    (*targets)[i] = static_cast<uint64_t>(RouteHash(StableHash(keys[i]), 2));
  }
}

template <class D, class Key>
[[gnu::target("avx2")]] void DivideInTwoAvx2(const Key* keys, const D* records, D** to0, D** to1) {
  TargetsInTwo targets;  // not initialized
  RouteInTwo(keys, &targets);
  D* end0 = *to0;
  D* end1 = *to1;
  for (size_t i = 0; i < kDividedTogether; ++i) {
    StoreToOneOfTwo(records[i], targets[i], &end0, &end1);
  }
  *to0 = end0;
  *to1 = end1;
}

// What StoreToOneOfTwo does for each of the records, eight of them at once. For records of 8 bytes.
void StoreInTwoAvx512(const void* records, const TargetsInTwo& targets, void** to0, void** to1);

template <class D, class Key>
[[gnu::target("avx512dq,avx512vl")]] void DivideInTwoAvx512(const Key* keys, const D* records,
                                                            D** to0, D** to1) {
  TargetsInTwo targets;  // not initialized
  RouteInTwo(keys, &targets);
  if constexpr (sizeof(D) == sizeof(uint64_t)) {
    void* end0 = *to0;
    void* end1 = *to1;
    StoreInTwoAvx512(records, targets, &end0, &end1);
    *to0 = static_cast<D*>(end0);
    *to1 = static_cast<D*>(end1);
  } else {
    D* end0 = *to0;
    D* end1 = *to1;
    for (size_t i = 0; i < kDividedTogether; ++i) {
      StoreToOneOfTwo(records[i], targets[i], &end0, &end1);
    }
    *to0 = end0;
    *to1 = end1;
  }
}

#endif

// The function for this processor; null where one record after the other is as fast, because its
// vectors are too short for the hash. For keys that are integers.
template <class D, class Key>
DivideInTwoFn<D, Key> SelectDivideInTwo() {
  static_assert(std::is_integral_v<Key>);
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
    return &DivideInTwoAvx512<D, Key>;
  }
  if (__builtin_cpu_supports("avx2")) return &DivideInTwoAvx2<D, Key>;
#endif
  return nullptr;
}

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_GRAPH_PARTITION_IN_TWO_H_
