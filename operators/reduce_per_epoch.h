#ifndef HEADWAY_OPERATORS_REDUCE_PER_EPOCH_H_
#define HEADWAY_OPERATORS_REDUCE_PER_EPOCH_H_

#include <string>
#include <string_view>
#include <utility>

#include "engine/step/define_step.h"
#include "operators/fold_per_epoch.h"

namespace headway {

// Reduces the values of each key and epoch to one: f(V a, V b) combines two values, in the order in
// which they come. Stream<std::pair<K, V>> stays one of the same type: (key, value) is emitted in
// the epoch, when that is complete. In a nested scope the same is done for each time.
//
//   stream | ReducePerEpoch("highest", [](int a, int b) { return std::max(a, b); })
//
// The step exchanges its input by key. For state, ends, exceptions and cost see fold_per_epoch.h.
template <class F>
auto ReducePerEpoch(std::string step_id, F f) {
  return DefineStep(
      std::move(step_id), std::move(f),
      []<class D, class T>(const Stream<D, T>& stream, std::string_view id, F reduce) {
        HEADWAY_REQUIRE_PAIRS("ReducePerEpoch", D);
        using Types = internal::PairTypes<D>;
        static_assert(internal::Reduces<F, typename Types::V, typename Types::TakenValue>,
                      "ReducePerEpoch: the function must take two values, the second with "
                      "std::string_view for its strings, and return a value of the same type");
        return internal::EmitPerEpoch(
            stream, id, FirstOfPair(),
            internal::ReduceValues<typename Types::V, F>(std::move(reduce)));
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_REDUCE_PER_EPOCH_H_
