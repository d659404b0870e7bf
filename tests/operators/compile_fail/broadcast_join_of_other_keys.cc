// expect: BroadcastJoin: the keys of both streams must have the same type
#include <string>
#include <utility>

#include "headway.h"

void Build(const headway::Stream<std::pair<int, int>>& records,
           const headway::Stream<std::pair<std::string, int>>& table) {
  records | headway::BroadcastJoin("bad", table);
}
