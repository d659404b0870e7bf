// expect: StatefulMap: the stream must have (key, value) pairs as records
#include <optional>

#include "headway.h"

void Build(const headway::Stream<int>& stream) {
  stream | headway::StatefulMap<int>("bad", [](std::optional<int>&, int x) { return x; });
}
