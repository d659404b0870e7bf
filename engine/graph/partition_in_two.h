#ifndef HEADWAY_ENGINE_GRAPH_PARTITION_IN_TWO_H_
#define HEADWAY_ENGINE_GRAPH_PARTITION_IN_TWO_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "comm/codec/stable_hash.h"

// Partitions records between two workers, many at once, with the vector instructions of the
// processor that the program runs on.

namespace headway::internal {

// The number of records that are divided together.
inline constexpr size_t kDividedTogether = 32;

// Appends each of kDividedTogether records to the output of its key's worker, in order, and
// advances that pointer. REQUIRES: room for all of them behind both pointers; the room is
// overwritten.
//
// Takes keys, not the key function: compiled with FMA, that function could compute different keys.
template <class D, class Key>
using DivideInTwoFn = void (*)(const Key* keys, const D* records, D** to0, D** to1);

// Stores a record to both outputs, and advances the pointer of its target, without a branch.
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

// Does the work of StoreToOneOfTwo for eight records at once. For records of 8 bytes.
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

// Returns the function for this processor, or null if its vectors are too short for the hash, so
// that a loop over single records is as fast. For integer keys.
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
