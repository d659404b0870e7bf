// expect: MapInPlace: the function must change the record and return nothing
#include "headway.h"

void Build(const headway::Stream<int>& stream) {
  stream | headway::MapInPlace("bad", [](int x) { return x + 1; });
}
