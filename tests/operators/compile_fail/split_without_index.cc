// expect: Split: the function must return the index of a stream
#include <string>

#include "headway.h"

void Build(const headway::Stream<int>& stream) {
  stream | headway::Split<2>("bad", [](int x) { return std::to_string(x); });
}
