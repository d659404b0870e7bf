#ifndef HEADWAY_ENGINE_RECOVERY_HASH_RANGE_H_
#define HEADWAY_ENGINE_RECOVERY_HASH_RANGE_H_

#include <cstdint>
#include <limits>

#include "comm/codec/stable_hash.h"

namespace headway::internal {

// The smallest hash that RouteHash gives to `target` of `targets`.
inline uint64_t FirstHashOf(int target, int targets) {
  const Uint128 low = static_cast<Uint128>(static_cast<uint64_t>(target)) << 64;
  const auto divisor = static_cast<uint64_t>(targets);
  return static_cast<uint64_t>((low + (divisor - 1)) / divisor);
}

// The largest hash that RouteHash gives to `target` of `targets`.
inline uint64_t LastHashOf(int target, int targets) {
  if (target + 1 == targets) return std::numeric_limits<uint64_t>::max();
  return FirstHashOf(target + 1, targets) - 1;
}

// The worker that writes a partition of the store: the one whose records have the first hash of the
// partition.
inline int OwnerOf(int partition, int partitions, int workers) {
  return RouteHash(FirstHashOf(partition, partitions), workers);
}

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_RECOVERY_HASH_RANGE_H_
