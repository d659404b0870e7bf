// expect: Binary and BinaryFrontier: the logic must take (NodeInput<D, T>& in
#include <string>

#include "headway.h"

using headway::Capability;
using headway::Epoch;
using headway::NodeInput;
using headway::NodeOutput;
using headway::pact::Pipeline;

void Build(const headway::Stream<int>& stream, const headway::Stream<std::string>& other) {
  stream | headway::Binary<int>("bad", other, Pipeline{}, Pipeline{}, [](Capability<>) {
    return [](NodeInput<int>&, NodeInput<int>&, NodeOutput<int>&) {};
  });
}
