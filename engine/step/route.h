#ifndef HEADWAY_ENGINE_STEP_ROUTE_H_
#define HEADWAY_ENGINE_STEP_ROUTE_H_

#include <string_view>
#include <utility>

#include "engine/step/operator_builder.h"

namespace headway {

// Moves the records of `stream` to the workers that `pact` selects, at their times, in an operator
// named `step_id` that does nothing else. Exchange and Gather are such steps.
template <class D, class T, class Pact>
Stream<D, T> Route(const Stream<D, T>& stream, std::string_view step_id, Pact pact) {
  OperatorBuilder<T> builder(stream.scope(), step_id);
  NodeInput<D, T>& input = builder.AddInput(stream, std::move(pact));
  NodeOutput<D, T>& output = builder.template AddOutputAt<D>(input);
  builder.IgnoreFrontier(0);
  builder.BuildWithoutCapabilities([&input, &output] {
    input.ForEach([&](const CapabilityRef<T>& time, Batch<D>& batch) {
      output.SessionAt(time).GiveBatch(std::move(batch));
    });
  });
  return builder.StreamOf(output);
}

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_ROUTE_H_
