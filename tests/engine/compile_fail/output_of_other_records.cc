// expect: Output: the sink's Writer must have absl::Status Write(record)
#include <string>
#include <utility>
#include <vector>

#include "headway.h"

void Build(const headway::Stream<std::pair<int, int>>& stream,
           std::vector<std::string>* collected) {
  stream | headway::Output("bad", headway::TestingSink(collected));
}
