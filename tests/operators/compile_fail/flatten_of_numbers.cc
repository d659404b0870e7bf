// expect: Flatten: the records of the stream must be ranges
#include "headway.h"

void Build(const headway::Stream<int>& stream) { stream | headway::Flatten("bad"); }
