// expect: StatefulMap: the key must have a stable hash and ==
#include <cstdint>
#include <optional>
#include <utility>

#include "headway.h"

struct Key {
  int x = 0;
  uint64_t HeadwayStableHash() const { return static_cast<uint64_t>(x); }
};

void Build(const headway::Stream<std::pair<Key, int>>& stream) {
  stream | headway::StatefulMap<int>("bad", [](std::optional<int>&, int x) { return x; });
}
