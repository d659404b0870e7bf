// expect: write HEADWAY_CODEC_FIELDS(Type, members...) with the members of the base class too
#include <string>

#include "comm/codec/codec.h"

struct Base {
  int id = 0;
};
struct Record : Base {
  std::string name;
};

int main() { headway::RequireCodec<Record>(); }
