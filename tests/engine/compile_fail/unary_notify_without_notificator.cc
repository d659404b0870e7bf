// expect: UnaryNotify: the constructor must take (Capability<T>, Notificator<T>&)
#include "headway.h"

using headway::Capability;
using headway::Epoch;
using headway::NodeInput;
using headway::NodeOutput;
using headway::pact::Pipeline;

void Build(const headway::Stream<int>& stream) {
  stream | headway::UnaryNotify<int>("bad", Pipeline{}, [](Capability<>) {
    return [](NodeInput<int>&, NodeOutput<int>&) {};
  });
}
