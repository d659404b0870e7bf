#ifndef HEADWAY_OPERATORS_COLLECT_H_
#define HEADWAY_OPERATORS_COLLECT_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "engine/step/define_step.h"
#include "operators/stateful.h"

namespace headway {

// When a Collect step emits the values of a key: at the first of these.
struct CollectOptions {
  size_t size_max = std::numeric_limits<size_t>::max();  // there are so many
  absl::Duration idle_max = absl::InfiniteDuration();    // so long after the last value
  absl::Duration age_max = absl::InfiniteDuration();  // so long after the first: bounds the delay
};

namespace internal {

// Also an example of a class for Stateful.
template <class K, class V>
struct CollectValues {
  struct State {
    std::vector<V> values;
    int64_t deadline = 0;                // of the first value, in nanoseconds since 1970
    EventTime watermark = kNoWatermark;  // behind which the first value came
  };
  using Result = std::vector<V>;
  using Context = StatefulContext<K, Result>;

  template <class Value>
  StatefulAnswer OnItem(Context& context, State& state, Value&& value) {
    if (state.values.empty()) {
      state.deadline = absl::ToUnixNanos(context.now() + options.age_max);
      state.watermark = context.watermark();
    }
    state.values.emplace_back(std::forward<Value>(value));
    if (state.values.size() >= options.size_max) return OnEnd(context, state);
    context.CancelTimers();
    context.SetTimer(
        std::min(absl::FromUnixNanos(state.deadline), context.now() + options.idle_max));
    return StatefulAnswer::kKeep;
  }
  StatefulAnswer OnTimer(Context& context, State& state, absl::Time) {
    return OnEnd(context, state);
  }
  StatefulAnswer OnEnd(Context& context, State& state) {
    context.Emit(std::move(state.values));
    return StatefulAnswer::kDiscard;
  }

  EventTime WatermarkLimit(const State& state) const {
    return state.values.empty() ? kNoWatermarkLimit : state.watermark;
  }

  CollectOptions options;
};

}  // namespace internal

// Collects the values of each key in lists: Stream<std::pair<K, V>> becomes
// Stream<std::pair<K, std::vector<V>>>. A list is emitted when one of `options` says so, and at the
// end of the input; the next value of the key begins another one. At a graceful stop the lists
// stay, for a run that continues.
//
//   stream | Collect("batches", {.size_max = 100, .age_max = absl::Seconds(1)})
//
// The values of a key come in the order of their source partition. Times are those of the run's
// clock, so lists that end by time differ from run to run.
//
// The step exchanges its input by key. It keeps the list that is not emitted for each key, and
// writes the whole list in a snapshot. The watermark waits for the lists with values before it, so
// give a stream with event times an age. A record costs a lookup of its key. The build fails with
// InvalidArgument if an option is zero or negative.
inline auto Collect(std::string step_id, CollectOptions options) {
  return DefineStep(
      std::move(step_id), options,
      []<class D, class T>(const Stream<D, T>& stream, std::string id, CollectOptions limits) {
        HEADWAY_REQUIRE_PAIRS("Collect", D);
        using Types = internal::PairTypes<D>;
        static_assert(Encodable<typename Types::V>,
                      "Collect: the value must have a Codec, since it is kept as bytes");
        static_assert(std::is_same_v<T, Epoch>, "Collect must be in the root scope");
        internal::RequireArgument(
            stream.scope(), id,
            limits.size_max > 0 && std::min(limits.idle_max, limits.age_max) > absl::ZeroDuration(),
            "size_max, idle_max and age_max must be positive");
        return stream |
               Stateful(std::move(id),
                        internal::CollectValues<typename Types::K, typename Types::V>{limits});
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_COLLECT_H_
