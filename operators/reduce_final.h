#ifndef HEADWAY_OPERATORS_REDUCE_FINAL_H_
#define HEADWAY_OPERATORS_REDUCE_FINAL_H_

#include <string>
#include <string_view>
#include <utility>

#include "engine/step/define_step.h"
#include "operators/fold_final.h"

namespace headway {

// Reduces the values of each key to one: f(V a, V b) combines two values, in the order in which
// they come. Stream<std::pair<K, V>> stays one of the same type: (key, value) is emitted when the
// input has ended. A graceful stop is not the end of the input: the step emits nothing then.
//
//   stream | ReduceFinal("longest", [](int a, int b) { return std::max(a, b); })
//
// The step exchanges its input by key. It keeps a value for each key until the end of the input; a
// run that continues after that starts anew. An exception of `f` ends the run with an error that
// names the step. A record costs a lookup of its key.
template <class F>
auto ReduceFinal(std::string step_id, F f) {
  return DefineStep(
      std::move(step_id), std::move(f),
      []<class D, class T>(const Stream<D, T>& stream, std::string_view id, F reduce) {
        HEADWAY_REQUIRE_PAIRS("ReduceFinal", D);
        using Types = internal::PairTypes<D>;
        static_assert(internal::Reduces<F, typename Types::V, typename Types::TakenValue>,
                      "ReduceFinal: the function must take two values, the second with "
                      "std::string_view for its strings, and return a value of the same type");
        static_assert(Encodable<typename Types::V>,
                      "ReduceFinal: the value must have a Codec, since it is kept as bytes");
        static_assert(TimestampTraits<T>::kTotallyOrdered, "ReduceFinal must be in the root scope");
        return internal::EmitFinal(stream, id, FirstOfPair(),
                                   internal::ReduceValues<typename Types::V, F>(std::move(reduce)));
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_REDUCE_FINAL_H_
