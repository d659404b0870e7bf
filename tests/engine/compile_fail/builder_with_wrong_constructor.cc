// expect: OperatorBuilder::Build: the constructor must take std::vector<Capability<T>>
#include "headway.h"

void Build(const headway::Stream<int>& stream) {
  headway::OperatorBuilder<headway::Epoch> builder(stream.scope(), "bad");
  builder.Build([](headway::Capability<>) { return [] {}; });
}
