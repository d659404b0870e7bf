// expect: a pointer or a view has none, since the receiver would not own its target
// names: Member<2, std::basic_string_view<char
#include <string_view>

#include "comm/codec/codec.h"

struct Record {
  int id = 0;
  std::string_view name;
};

int main() { headway::RequireCodec<Record>(); }
