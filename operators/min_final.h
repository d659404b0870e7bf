#ifndef HEADWAY_OPERATORS_MIN_FINAL_H_
#define HEADWAY_OPERATORS_MIN_FINAL_H_

#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "engine/step/define_step.h"
#include "operators/fold_final.h"

namespace headway {

// Finds the smallest value of each key, and emits (key, value) when the input has ended:
// Stream<std::pair<K, V>> stays one of the same type. Values are compared by by(value) with <; by
// default by themselves. Of equal ones the earlier is kept. A graceful stop is not the end of the
// input: the step emits nothing then.
//
// The step exchanges its input by key. It keeps a value for each key until the end of the input; a
// run that continues after that starts anew. An exception of `by` ends the run with an error that
// names the step. A record costs a lookup of its key.
template <class By = std::identity>
auto MinFinal(std::string step_id, By by = {}) {
  return DefineStep(
      std::move(step_id), std::move(by),
      []<class D, class T>(const Stream<D, T>& stream, std::string_view id, By by_value) {
        HEADWAY_REQUIRE_PAIRS("MinFinal", D);
        using Types = internal::PairTypes<D>;
        using V = typename Types::V;
        static_assert(internal::Orders<By, V> && internal::Orders<By, typename Types::TakenValue>,
                      "MinFinal: the function must take one value, with std::string_view for its "
                      "strings, and return something that < compares");
        static_assert(Encodable<V>,
                      "MinFinal: the value must have a Codec, since it is kept as bytes");
        static_assert(TimestampTraits<T>::kTotallyOrdered, "MinFinal must be in the root scope");
        return internal::EmitFinal(
            stream, id, FirstOfPair(),
            internal::ExtremeValue<V, By, /*smaller=*/true>(std::move(by_value)));
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_MIN_FINAL_H_
