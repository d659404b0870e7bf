// expect: FoldFinal: the function must take (State& state, value)
#include <string>
#include <utility>

#include "headway.h"

void Build(const headway::Stream<std::pair<int, int>>& stream) {
  stream | headway::FoldFinal("bad", 0, [](int, std::string) {});
}
