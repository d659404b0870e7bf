#ifndef HEADWAY_OPERATORS_GATHER_H_
#define HEADWAY_OPERATORS_GATHER_H_

#include <string>
#include <string_view>
#include <utility>

#include "engine/step/define_step.h"
#include "engine/step/operator_builder.h"

namespace headway {

// Sends every record to worker 0, for a step that must receive them all: Stream<D> stays Stream<D>.
// The record type needs a Codec. Prefer Exchange for steps with a key: they use all workers.
inline auto Gather(std::string step_id) {
  return DefineStep(std::move(step_id),
                    []<class D, class T>(const Stream<D, T>& stream, std::string_view id) {
                      OperatorBuilder<T> builder(stream.scope(), id);
                      NodeInput<D, T>& input = builder.AddInput(stream, pact::Gather{});
                      NodeOutput<D, T>& output = builder.template AddOutputAt<D>(input);
                      builder.IgnoreFrontier(0);
                      builder.BuildWithoutCapabilities([&input, &output] {
                        input.ForEach([&](const CapabilityRef<T>& time, Batch<D>& batch) {
                          output.SessionAt(time).GiveBatch(std::move(batch));
                        });
                      });
                      return builder.StreamOf(output);
                    });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_GATHER_H_
