#ifndef HEADWAY_OPERATORS_STATEFUL_MAP_H_
#define HEADWAY_OPERATORS_STATEFUL_MAP_H_

#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "engine/step/define_step.h"
#include "engine/step/keyed_operator.h"

namespace headway {

// Maps (key, value) records with a state per key: f(std::optional<S>& state, value) returns the
// result, which is emitted as (key, result), and leaves the new state of the key in `state`; an
// empty state is forgotten. S is named at the call: StatefulMap<int>("sum", f).
//
// The step exchanges its input by key. An Exchange before it partitions the stream twice.
template <class S, class F>
auto StatefulMap(std::string step_id, F f) {
  return DefineStep(
      std::move(step_id), std::move(f),
      []<class D, class T>(const Stream<D, T>& stream, std::string_view id, F map) {
        static_assert(
            requires(D d) {
              d.first;
              d.second;
            },
            "StatefulMap: the stream must have (key, value) pairs as records; make them with "
            "KeyOn");
        using K = std::remove_cvref_t<decltype(std::declval<D>().first)>;
        using KeyTaken = std::remove_cvref_t<decltype(std::declval<ReadType<D>>().first)>;
        using V = std::remove_cvref_t<decltype(std::declval<TakeType<D>>().second)>;
        static_assert(StableKey<K>,
                      "StatefulMap: the key must have a stable hash and ==: numbers, strings, std "
                      "types and aggregates of them have both, and a type of your own needs "
                      "uint64_t HeadwayStableHash(const Type&) and operator==");
        static_assert(std::is_default_constructible_v<S> && Encodable<S>,
                      "StatefulMap: the state must be default-constructible and have a Codec, "
                      "since it is kept as bytes: make it an aggregate of types that have one, "
                      "write HEADWAY_CODEC_FIELDS(Type, members...), or specialize headway::Codec");
        static_assert(std::is_invocable_v<F&, std::optional<S>&, V&&>,
                      "StatefulMap: the function must take (std::optional<State>&, value)");
        static_assert(!std::is_void_v<std::invoke_result_t<F&, std::optional<S>&, V&&>>,
                      "StatefulMap: the function must return the result for the record");
        using R = RecordOfT<std::invoke_result_t<F&, std::optional<S>&, V&&>>;
        KeyedOperator<S, D, T, FirstOfPair> keyed(stream, id, FirstOfPair());
        auto& output = keyed.template AddOutput<std::pair<K, R>>();
        keyed.OnBatch([&step = keyed.step(), &output, map = std::move(map)](
                          const CapabilityRef<T>& time, Batch<D>& batch) mutable {
          auto session = output.SessionAt(time);
          step.FindEach(batch, [&](size_t i, S* kept) {
            auto&& record = batch.Take(i);
            std::optional<S> state;
            if (kept != nullptr) state = std::move(*kept);
            R result(map(state, std::move(record.second)));
            if (!state.has_value()) {
              if (kept != nullptr) step.states().Erase(record.first);
            } else if (kept != nullptr) {
              *kept = *std::move(state);
            } else {
              step.states().At(record.first) = *std::move(state);
            }
            session.Give(std::pair<KeyTaken, R>(std::move(record.first), std::move(result)));
          });
        });
        return keyed.Build(output);
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_STATEFUL_MAP_H_
