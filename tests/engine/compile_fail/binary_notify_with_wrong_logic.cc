// expect: BinaryNotify: the logic must take (NodeInput<D, T>& in
#include "headway.h"

using headway::Capability;
using headway::Epoch;
using headway::NodeInput;
using headway::NodeOutput;
using headway::pact::Pipeline;

void Build(const headway::Stream<int>& stream) {
  stream | headway::BinaryNotify<int>(
               "bad", stream, Pipeline{}, Pipeline{}, [](Capability<>, headway::Notificator<>&) {
                 return [](NodeInput<int>&, NodeInput<int>&, NodeOutput<int>&) {};
               });
}
