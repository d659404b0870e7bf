#ifndef HEADWAY_OPERATORS_EXCHANGE_H_
#define HEADWAY_OPERATORS_EXCHANGE_H_

#include <functional>
#include <string>
#include <utility>

#include "engine/step/operator_builder.h"

namespace headway {

// Sends each record to the worker that the hash of key(record) selects. The step before which it
// stands gets records with equal keys on one worker.
template <class KeyFn = std::identity>
auto Exchange(std::string step_id, KeyFn key = {}) {
  return [step_id = std::move(step_id),
          key = std::move(key)]<class D, class T>(const Stream<D, T>& stream) mutable {
    OperatorBuilder<T> builder(stream.scope(), step_id);
    NodeInput<D, T>& input = builder.AddInput(stream, pact::Exchange{std::move(key)});
    NodeOutput<D, T>& output = builder.template AddOutputAt<D>(input);
    builder.IgnoreFrontier(0);
    builder.BuildWithoutCapabilities([&input, &output] {
      input.ForEach([&](const CapabilityRef<T>& time, Batch<D>& batch) {
        output.SessionAt(time).GiveBatch(std::move(batch));
      });
    });
    return builder.StreamOf(output);
  };
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_EXCHANGE_H_
