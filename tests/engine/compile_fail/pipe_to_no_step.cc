// expect: the right side of | must be a step
#include "headway.h"

void Build(const headway::Stream<int>& stream) { stream | 42; }
