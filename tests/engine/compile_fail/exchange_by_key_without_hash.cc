// expect: Exchange: the key must have a stable hash
#include "headway.h"

struct Key {
  int* pointer;
};

void Build(const headway::Stream<int>& stream) {
  stream | headway::Exchange("bad", [](int) { return Key(); });
}
