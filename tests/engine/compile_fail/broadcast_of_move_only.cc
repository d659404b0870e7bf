// expect: pact::Broadcast gives every worker a copy, so its records must be copyable
#include <memory>

#include "headway.h"

using Record = std::unique_ptr<int>;

template <>
struct headway::Codec<Record> {
  static void Encode(const Record&, Encoder&) {}
  static bool Decode(Decoder&, Record*) { return true; }
};

void Build(headway::Scope<>& scope, headway::InputHandle<Record>& input) {
  headway::OperatorBuilder<headway::Epoch> builder(scope, "step");
  builder.AddInput(scope.Input(input), headway::pact::Broadcast{});
}
