// expect: AsyncMap: the function must return the new record
#include "headway.h"

void Build(const headway::Stream<int>& stream) {
  stream | headway::AsyncMap("bad", [](int) {});
}
