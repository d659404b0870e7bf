// expect: StatefulMap: the function must return the result for the record
#include <optional>
#include <utility>

#include "headway.h"

void Build(const headway::Stream<std::pair<int, int>>& stream) {
  stream | headway::StatefulMap<int>("bad", [](std::optional<int>&, int) {});
}
