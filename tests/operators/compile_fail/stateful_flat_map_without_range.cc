// expect: StatefulFlatMap: the function must return a range: a container, a view or a generator
#include <optional>
#include <utility>

#include "headway.h"

void Build(const headway::Stream<std::pair<int, int>>& stream) {
  stream | headway::StatefulFlatMap<int>("bad", [](std::optional<int>&, int) { return 1; });
}
