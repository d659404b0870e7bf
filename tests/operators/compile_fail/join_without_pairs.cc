// expect: Join: the streams must have (key, value) pairs as records; make them with KeyOn
#include <utility>

#include "headway.h"

void Build(const headway::Stream<std::pair<int, int>>& pairs, const headway::Stream<int>& numbers) {
  pairs | headway::Join("bad", numbers);
}
