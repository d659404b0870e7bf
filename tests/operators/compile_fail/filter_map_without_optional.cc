// expect: FilterMap: the function must return a std::optional
#include "headway.h"

void Build(const headway::Stream<int>& stream) {
  stream | headway::FilterMap("bad", [](int x) { return x; });
}
