// expect: the right side of | must be a step
#include "headway.h"

using Round = headway::Product<headway::Epoch, uint64_t>;

// A stream has to Enter the nested scope first.
void Build(const headway::Stream<int>& outer, const headway::Stream<int, Round>& inner) {
  inner | headway::Merge("bad", outer);
}
