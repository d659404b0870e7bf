// expect: CountPerEpoch: the key must have a stable hash and ==
#include "headway.h"

class Name {
 public:
  explicit Name(int x) : x_(x) {}

 private:
  int x_;
};

void Build(const headway::Stream<int>& stream) {
  stream | headway::CountPerEpoch("bad", [](int x) { return Name(x); });
}
