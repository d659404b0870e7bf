// expect: AddInput: the pact must be pact::Pipeline{}, pact::Exchange{key}
#include "headway.h"

void Build(const headway::Stream<int>& stream) {
  headway::OperatorBuilder<headway::Epoch> builder(stream.scope(), "bad");
  builder.AddInput(stream, [](int x) { return x; });
}
