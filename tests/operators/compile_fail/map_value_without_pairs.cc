// expect: MapValue: the stream must have (key, value) pairs as records
#include "headway.h"

void Build(const headway::Stream<int>& stream) {
  stream | headway::MapValue("bad", [](int x) { return x; });
}
