// expect: a pointer or a view has none, since the receiver would not own its target
// names: Member<2, const char
#include <string>
#include <utility>
#include <vector>

#include "comm/codec/codec.h"

struct Record {
  std::string text;
  std::vector<std::pair<int, const char*>> names;
};

int main() { headway::RequireCodec<Record>(); }
