// expect: KeyOn: the function must return the key of the record
#include "headway.h"

void Build(const headway::Stream<int>& stream) {
  stream | headway::KeyOn("bad", [](int) {});
}
