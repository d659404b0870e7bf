#ifndef HEADWAY_OPERATORS_FOLD_FINAL_H_
#define HEADWAY_OPERATORS_FOLD_FINAL_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "engine/step/define_step.h"
#include "operators/keyed_folds.h"

namespace headway {

namespace internal {

// Combines the records of each key with `fold`, and emits (key, result) when the input has ended.
template <class D, class T, class KeyFn, class Fold>
auto EmitFinal(const Stream<D, T>& stream, std::string_view id, KeyFn key, Fold fold) {
  using S = typename Fold::State;
  using R = decltype(fold.Result(std::declval<const S&>()));
  KeyedOperator<S, D, T, KeyFn> keyed(stream, id, key);
  using KeyView = typename decltype(keyed)::Step::KeyView;
  auto& output = keyed.template AddOutput<KeyAnd<KeyFn, D, R>>();
  auto& states = keyed.step().states();
  // The results come last: no watermark may precede them.
  keyed.OnRestored([&step = keyed.step()](const CapabilityRef<T>& first) {
    step.LimitWatermark(first, kNoWatermark);
  });
  keyed.OnBatch(
      [&states, key = std::move(key), fold](const CapabilityRef<T>&, Batch<D>& batch) mutable {
        AddEach<D>(states, batch, key, fold, [](size_t, const S&) {});
      });
  keyed.AtEnd([&step = keyed.step(), &output, fold,
               position = size_t{0}](const CapabilityRef<T>& time) mutable {
    auto session = output.SessionAt(time);
    const bool done = step.states().ForEachFrom(position, [&](KeyView k, const S& state) {
      session.Give(std::pair<KeyView, R>(k, fold.Result(state)));
      return step.HasCredit();
    });
    if (done) step.states().Clear();
    return done;
  });
  return keyed.Build(output);
}

}  // namespace internal

// Folds the values of each key: Stream<std::pair<K, V>> becomes Stream<std::pair<K, S>>. The state
// of a key begins as a copy of `start`; f(S& state, value) adds a value. (key, state) is emitted
// when the input has ended. A graceful stop is not the end of the input: the step emits nothing
// then.
//
//   stream | FoldFinal("total", 0.0, [](double& total, double price) { total += price; })
//
// The step exchanges its input by key. It keeps a state for each key until the end of the input; a
// run that continues after that starts anew. The values of a key come in the order of their source
// partition. The watermark ends at this step: the results come after all of it. An exception of `f`
// ends the run with an error that names the step. A record costs a lookup of its key.
template <class S, class F>
auto FoldFinal(std::string step_id, S start, F f) {
  return DefineStep(
      std::move(step_id), std::move(start), std::move(f),
      []<class D, class T>(const Stream<D, T>& stream, std::string_view id, S first, F fold) {
        HEADWAY_REQUIRE_PAIRS("FoldFinal", D);
        static_assert(internal::KeptState<S>,
                      "FoldFinal: the state must be default-constructible and have a Codec, since "
                      "it is kept as bytes: make it an aggregate of types that have one, write "
                      "HEADWAY_CODEC_FIELDS(Type, members...), or specialize headway::Codec");
        static_assert(std::is_invocable_v<F&, S&, typename internal::PairTypes<D>::TakenValue>,
                      "FoldFinal: the function must take (State& state, value), where State is the "
                      "type of the second argument of FoldFinal");
        static_assert(TimestampTraits<T>::kTotallyOrdered, "FoldFinal must be in the root scope");
        return internal::EmitFinal(stream, id, FirstOfPair(),
                                   internal::FoldValues<S, F>(std::move(first), std::move(fold)));
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_FOLD_FINAL_H_
