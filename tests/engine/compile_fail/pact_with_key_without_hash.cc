// expect: pact::Exchange: the key must have a stable hash
#include "headway.h"

struct Key {
  int* pointer;
};

void Build(const headway::Stream<int>& stream) {
  headway::OperatorBuilder<headway::Epoch> builder(stream.scope(), "bad");
  builder.AddInput(stream, headway::pact::Exchange{[](int) { return Key(); }});
}
