// expect: InspectTime: the function must take (record, time, int worker)
#include "headway.h"

void Build(const headway::Stream<int>& stream) {
  stream | headway::InspectTime("bad", [](int, headway::Epoch) {});
}
