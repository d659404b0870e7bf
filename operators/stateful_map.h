#ifndef HEADWAY_OPERATORS_STATEFUL_MAP_H_
#define HEADWAY_OPERATORS_STATEFUL_MAP_H_

#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "engine/step/epoch_order.h"
#include "engine/step/operator_builder.h"

namespace headway {

// Maps (key, value) records with a state per key: f(std::optional<S>& state, value) returns what is
// emitted as (key, result), and leaves in `state` what is kept for the key; an empty one forgets
// it. A key is always on the same worker. S is named at the call: StatefulMap<int>("sum", f).
template <class S, class F>
auto StatefulMap(std::string step_id, F f) {
  return [step_id = std::move(step_id),
          f = std::move(f)]<class D, class T>(const Stream<D, T>& stream) mutable {
    static_assert(
        requires(D d) {
          d.first;
          d.second;
        }, "StatefulMap: the stream must have (key, value) pairs as records; make them with KeyOn");
    using K = std::remove_cvref_t<decltype(std::declval<D>().first)>;
    using KeySeen = decltype((std::declval<ReadType<D>>().first));
    using V = std::remove_cvref_t<decltype(std::declval<TakeType<D>>().second)>;
    static_assert(std::is_default_constructible_v<S> && Encodable<S>,
                  "StatefulMap: the state must be default-constructible and have a Codec, since it "
                  "is kept as bytes: make it an aggregate of types that have one, write "
                  "HEADWAY_CODEC_FIELDS(Type, members...), or specialize headway::Codec");
    static_assert(std::is_invocable_v<F&, std::optional<S>&, V&&>,
                  "StatefulMap: the function must take (std::optional<State>&, value)");
    using R = RecordOfT<std::invoke_result_t<F&, std::optional<S>&, V&&>>;
    OperatorBuilder<T> builder(stream.scope(), step_id);
    NodeInput<D, T>& input = builder.AddInput(
        stream, pact::Exchange{[](const std::remove_cvref_t<ReadType<D>>& record) -> const auto& {
          return record.first;
        }});
    auto& output = builder.template AddOutput<std::pair<K, R>>();
    auto& states = builder.template AddState<K, S>();
    const bool in_order = builder.graph().worker().run.options().apply_in_epoch_order;
    if (!in_order) builder.IgnoreFrontier(0);
    builder.BuildWithoutCapabilities(
        [&input, &output, &states, f = std::move(f), order = EpochOrder<D, T>(in_order)]() mutable {
          order.ForEach(input, [&](const auto& time, Batch<D>& batch) {
            auto session = output.SessionAt(time);
            auto key = [&](size_t i) -> KeyInBatch<D, KeySeen> {
              return std::as_const(batch)[i].first;
            };
            states.FindEach(batch.size(), key, [&](size_t i, S* kept) {
              auto&& record = batch.Take(i);
              std::optional<S> state;
              if (kept != nullptr) state = std::move(*kept);
              R result(f(state, std::move(record.second)));
              if (!state.has_value()) {
                if (kept != nullptr) states.Erase(record.first);
              } else if (kept != nullptr) {
                *kept = *std::move(state);
              } else {
                states.At(record.first) = *std::move(state);
              }
              session.Give(std::pair<std::remove_cvref_t<KeySeen>, R>(std::move(record.first),
                                                                      std::move(result)));
            });
          });
        });
    return builder.StreamOf(output);
  };
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_STATEFUL_MAP_H_
