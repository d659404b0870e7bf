// expect: the keys of both streams must have the same type
#include <string>
#include <utility>

#include "headway.h"

void Build(const headway::Stream<std::pair<int, int>>& left,
           const headway::Stream<std::pair<std::string, int>>& right) {
  left | headway::LeftJoin("bad", right);
}
