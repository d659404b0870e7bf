// expect: Inspect: the function must take one record of the stream
#include "headway.h"

void Build(const headway::Stream<int>& stream) {
  stream | headway::Inspect("bad", [](int, int) {});
}
