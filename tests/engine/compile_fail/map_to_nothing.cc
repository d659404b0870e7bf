// expect: Map: the function must return the new record; use Inspect
#include "headway.h"

void Build(const headway::Stream<int>& stream) {
  stream | headway::Map("bad", [](int) {});
}
