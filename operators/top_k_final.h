#ifndef HEADWAY_OPERATORS_TOP_K_FINAL_H_
#define HEADWAY_OPERATORS_TOP_K_FINAL_H_

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "engine/step/define_step.h"
#include "operators/fold_final.h"

namespace headway {

// Finds the `k` values of each key with the largest by(value), by default the largest themselves:
// Stream<std::pair<K, V>> becomes Stream<std::pair<K, std::vector<V>>>, in descending order. Of
// equal ones the earlier comes first. (key, values) is emitted when the input has ended. A graceful
// stop is not the end of the input: the step emits nothing then. For the top of the whole stream
// give all records one key; see top_k_per_epoch.h.
//
// The step exchanges its input by key. It keeps up to `k` values for each key until the end of the
// input; a run that continues after that starts anew. An exception of `by` ends the run with an
// error that names the step. A record costs a lookup of its key, and one that enters the list up to
// `k` moves. The build fails with InvalidArgument if `k` is zero.
template <class By = std::identity>
auto TopKFinal(std::string step_id, size_t k, By by = {}) {
  return DefineStep(
      std::move(step_id), k, std::move(by),
      []<class D, class T>(const Stream<D, T>& stream, std::string_view id, size_t size,
                           By by_value) {
        HEADWAY_REQUIRE_PAIRS("TopKFinal", D);
        using Types = internal::PairTypes<D>;
        static_assert(internal::Orders<By, typename Types::V> &&
                          internal::Orders<By, typename Types::TakenValue>,
                      "TopKFinal: the function must take one value, with std::string_view for its "
                      "strings, and return something that < compares");
        static_assert(Encodable<typename Types::V>,
                      "TopKFinal: the value must have a Codec, since it is kept as bytes");
        static_assert(TimestampTraits<T>::kTotallyOrdered, "TopKFinal must be in the root scope");
        internal::RequireArgument(stream.scope(), id, size > 0,
                                  "it keeps the top 0 values; keep one or more");
        return internal::EmitFinal(
            stream, id, FirstOfPair(),
            internal::TopValues<typename Types::V, By>(size, std::move(by_value)));
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_TOP_K_FINAL_H_
