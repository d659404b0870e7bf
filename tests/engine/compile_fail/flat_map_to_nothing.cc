// expect: FlatMap: the function must return a range
#include "headway.h"

void Build(const headway::Stream<int>& stream) {
  stream | headway::FlatMap("bad", [](int) {});
}
