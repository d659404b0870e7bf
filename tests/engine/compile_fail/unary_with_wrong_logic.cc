// expect: Unary and UnaryFrontier: the logic must take (NodeInput<D, T>& in
#include <string>

#include "headway.h"

using headway::Capability;
using headway::Epoch;
using headway::NodeInput;
using headway::NodeOutput;
using headway::pact::Pipeline;

void Build(const headway::Stream<int>& stream) {
  stream | headway::Unary<int>("bad", Pipeline{}, [](Capability<>) {
    return [](NodeInput<std::string>&, NodeOutput<int>&) {};
  });
}
