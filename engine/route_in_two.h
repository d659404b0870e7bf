#ifndef HEADWAY_ENGINE_ROUTE_IN_TWO_H_
#define HEADWAY_ENGINE_ROUTE_IN_TWO_H_

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "headway/comm/stable_hash.h"

// Which of two workers gets a record of an exchange, for many records at once.

namespace headway::internal {

// Records that are routed together.
inline constexpr size_t kRoutedTogether = 32;

// Writes to `targets` the worker of each of kRoutedTogether records.
template <class D, class KeyFn>
using RouteInTwoFn = void (*)(KeyFn& key, const D* records, uint64_t* targets);

#if defined(__x86_64__)

template <class D, class KeyFn>
[[gnu::always_inline]] inline void RouteInTwo(KeyFn& key, const D* records, uint64_t* targets) {
  for (size_t i = 0; i < kRoutedTogether; ++i) {
    targets[i] = static_cast<uint64_t>(RouteHash(StableHash(key(records[i])), 2));
  }
}

template <class D, class KeyFn>
[[gnu::target("avx2")]] void RouteInTwoAvx2(KeyFn& key, const D* records, uint64_t* targets) {
  RouteInTwo(key, records, targets);
}

template <class D, class KeyFn>
[[gnu::target("avx512dq,avx512vl")]] void RouteInTwoAvx512(KeyFn& key, const D* records,
                                                           uint64_t* targets) {
  RouteInTwo(key, records, targets);
}

#endif

// The function for this processor; null where one record after the other is as fast, because the
// hash is not that of a number or the vectors of the processor are too short for it.
template <class D, class KeyFn>
RouteInTwoFn<D, KeyFn> SelectRouteInTwo() {
#if defined(__x86_64__)
  using Key = std::remove_cvref_t<std::invoke_result_t<KeyFn&, const D&>>;
  if constexpr (std::is_integral_v<Key>) {
    if (__builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
      return &RouteInTwoAvx512<D, KeyFn>;
    }
    if (__builtin_cpu_supports("avx2")) return &RouteInTwoAvx2<D, KeyFn>;
  }
#endif
  return nullptr;
}

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_ROUTE_IN_TWO_H_
