// expect: KeyedOperator: the key must have a stable hash and ==
#include "headway.h"

struct Key {
  int* pointer;
};

void Build(const headway::Stream<int>& stream) {
  auto key = [](int) { return Key(); };
  headway::KeyedOperator<int, int, headway::Epoch, decltype(key)> keyed(stream, "bad", key);
}
