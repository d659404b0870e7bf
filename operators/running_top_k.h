#ifndef HEADWAY_OPERATORS_RUNNING_TOP_K_H_
#define HEADWAY_OPERATORS_RUNNING_TOP_K_H_

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "engine/step/define_step.h"
#include "operators/running_fold.h"

namespace headway {

// Keeps the `k` values of each key with the largest by(value), by default the largest themselves,
// and emits (key, values) whenever the list changes: Stream<std::pair<K, V>> becomes
// Stream<std::pair<K, std::vector<V>>>, in descending order. Of equal ones the earlier comes first,
// and stays. `each` says whether an update follows each record that changed the list, or comes once
// at the end of an epoch.
//
// The step exchanges its input by key. It keeps up to `k` values for each key as long as the run,
// and after the end of the input. For ends and exceptions see running_fold.h. A record costs a
// lookup of its key, and one that enters the list up to `k` moves; an update copies the list. The
// build fails with InvalidArgument if `k` is zero.
template <class By = std::identity>
auto RunningTopK(std::string step_id, size_t k, By by = {}, UpdateEach each = UpdateEach::kChange) {
  return DefineStep(
      std::move(step_id), k, std::move(by), each,
      []<class D, class T>(const Stream<D, T>& stream, std::string_view id, size_t size,
                           By by_value, UpdateEach update_each) {
        HEADWAY_REQUIRE_PAIRS("RunningTopK", D);
        using Types = internal::PairTypes<D>;
        static_assert(internal::Orders<By, typename Types::V> &&
                          internal::Orders<By, typename Types::TakenValue>,
                      "RunningTopK: the function must take one value, with std::string_view for "
                      "its strings, and return something that < compares");
        static_assert(Encodable<typename Types::V>,
                      "RunningTopK: the value must have a Codec, since it is kept as bytes");
        internal::RequireArgument(stream.scope(), id, size > 0,
                                  "it keeps the top 0 values; keep one or more");
        return internal::EmitRunning(
            stream, id, FirstOfPair(),
            internal::TopValues<typename Types::V, By>(size, std::move(by_value)), update_each);
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_RUNNING_TOP_K_H_
