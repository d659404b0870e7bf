#ifndef HEADWAY_OPERATORS_RUNNING_REDUCE_H_
#define HEADWAY_OPERATORS_RUNNING_REDUCE_H_

#include <string>
#include <string_view>
#include <utility>

#include "engine/step/define_step.h"
#include "operators/running_fold.h"

namespace headway {

// Reduces the values of each key to one, and emits it whenever a value comes: f(V a, V b) combines
// the value so far with the next. Stream<std::pair<K, V>> stays one of the same type. `each` says
// whether an update follows each record, the first included, or comes once at the end of an epoch.
//
//   stream | RunningReduce("highest", [](int a, int b) { return std::max(a, b); })
//
// The step exchanges its input by key. It keeps the value of each key as long as the run, and after
// the end of the input. For the order of values, ends, exceptions and cost see running_fold.h.
template <class F>
auto RunningReduce(std::string step_id, F f, UpdateEach each = UpdateEach::kChange) {
  return DefineStep(
      std::move(step_id), std::move(f), each,
      []<class D, class T>(const Stream<D, T>& stream, std::string_view id, F reduce,
                           UpdateEach update_each) {
        HEADWAY_REQUIRE_PAIRS("RunningReduce", D);
        using Types = internal::PairTypes<D>;
        static_assert(internal::Reduces<F, typename Types::V, typename Types::TakenValue>,
                      "RunningReduce: the function must take two values, the second with "
                      "std::string_view for its strings, and return a value of the same type");
        static_assert(Encodable<typename Types::V>,
                      "RunningReduce: the value must have a Codec, since it is kept as bytes");
        return internal::EmitRunning(
            stream, id, FirstOfPair(),
            internal::ReduceValues<typename Types::V, F>(std::move(reduce)), update_each);
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_RUNNING_REDUCE_H_
