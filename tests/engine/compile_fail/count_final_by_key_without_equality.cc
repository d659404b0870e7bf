// expect: CountFinal: the key must have a stable hash and ==
#include <cstdint>

#include "headway.h"

struct Key {
  int x = 0;
  uint64_t HeadwayStableHash() const { return static_cast<uint64_t>(x); }
};

void Build(const headway::Stream<int>& stream) {
  stream | headway::CountFinal("bad", [](int x) { return Key{x}; });
}
