// expect: Map: the function must take one record of the stream
#include <string>

#include "headway.h"

void Build(const headway::Stream<int>& stream) {
  stream | headway::Map("bad", [](const std::string& text) { return text.size(); });
}
