// expect: NodeInput::ForEach: the function must take (const CapabilityRef<T>& time
#include "headway.h"

using headway::Capability;
using headway::Epoch;
using headway::NodeInput;
using headway::NodeOutput;
using headway::pact::Pipeline;

void Build(const headway::Stream<int>& stream) {
  stream | headway::Unary<int>("bad", Pipeline{}, [](Capability<>) {
    return [](NodeInput<int>& in, NodeOutput<int>&) { in.ForEach([](headway::Batch<int>&) {}); };
  });
}
