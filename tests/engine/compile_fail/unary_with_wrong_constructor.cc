// expect: Unary and UnaryFrontier: the constructor must take a Capability<T>
#include "headway.h"

using headway::Capability;
using headway::Epoch;
using headway::NodeInput;
using headway::NodeOutput;
using headway::pact::Pipeline;

void Build(const headway::Stream<int>& stream) {
  stream | headway::Unary<int>("bad", Pipeline{}, [](NodeInput<int>&, NodeOutput<int>&) {});
}
