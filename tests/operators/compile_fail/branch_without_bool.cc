// expect: Branch: the predicate must take one record of the stream and return a bool
#include "headway.h"

void Build(const headway::Stream<int>& stream) {
  stream | headway::Branch("bad", [](int) {});
}
