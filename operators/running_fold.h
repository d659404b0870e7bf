#ifndef HEADWAY_OPERATORS_RUNNING_FOLD_H_
#define HEADWAY_OPERATORS_RUNNING_FOLD_H_

#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "engine/state/flat_table.h"
#include "engine/step/define_step.h"
#include "operators/keyed_folds.h"

namespace headway {

// When a running step emits the result of a key.
enum class UpdateEach {
  kChange,  // after each record that changed it
  kEpoch,   // at the end of each epoch with such records, once
};

namespace internal {

// Emits (key, result) after each record that changed the result.
template <class D, class T, class KeyFn, class Fold>
auto EmitChanges(const Stream<D, T>& stream, std::string_view id, KeyFn key, Fold fold) {
  using S = typename Fold::State;
  using R = decltype(fold.Result(std::declval<const S&>()));
  using Key = KeyInBatch<D, std::invoke_result_t<KeyFn&, ReadType<D>>>;
  KeyedOperator<S, D, T, KeyFn> keyed(stream, id, key);
  auto& output = keyed.template AddOutput<KeyAnd<KeyFn, D, R>>();
  keyed.OnBatch([&states = keyed.step().states(), &output, key = std::move(key),
                 fold = std::move(fold)](const CapabilityRef<T>& time, Batch<D>& batch) mutable {
    auto session = output.SessionAt(time);
    AddEach<D>(states, batch, key, fold, [&](size_t i, const S& state) {
      session.Give(std::pair<Key, R>(key(std::as_const(batch)[i]), fold.Result(state)));
    });
  });
  return keyed.Build(output);
}

// Emits (key, result) at the end of each epoch in which the result changed.
template <class D, class KeyFn, class Fold>
auto EmitEachEpoch(const Stream<D, Epoch>& stream, std::string_view id, KeyFn key, Fold fold) {
  using S = typename Fold::State;
  using R = decltype(fold.Result(std::declval<const S&>()));
  KeyedOperator<S, D, Epoch, KeyFn> keyed(stream, id, key);
  using K = typename decltype(keyed)::Step::K;
  using KeyView = typename decltype(keyed)::Step::KeyView;
  auto& output = keyed.template AddOutput<KeyAnd<KeyFn, D, R>>();
  auto& step = keyed.step();
  // The keys that changed in the present epoch. Epochs come one after the other, so no snapshot is
  // taken while there are some.
  struct Changes {
    FlatTable<K, std::monostate> keys;
    Fold fold;
  };
  auto changes = std::make_shared<Changes>(Changes{{}, std::move(fold)});
  keyed.ApplyInEpochOrder();
  keyed.OnBatch([&step, changes, key = std::move(key)](const CapabilityRef<Epoch>& time,
                                                       Batch<D>& batch) mutable {
    AddEach<D>(step.states(), batch, key, changes->fold, [&](size_t i, const S&) {
      // One timer for all keys: that of the first.
      if (changes->keys.size() == 0) {
        step.LimitWatermark(time, step.input_watermark());
        step.SetTimer(time, K(key(std::as_const(batch)[i])), time.time());
      }
      changes->keys.At(key(std::as_const(batch)[i]));
    });
  });
  keyed.OnEpochTimer([&step, &output, changes](const CapabilityRef<Epoch>& time, const K&, Epoch) {
    auto session = output.SessionAt(time);
    changes->keys.ForEach([&](KeyView k, std::monostate) {
      const S& state = *step.states().Find(k);
      session.Give(std::pair<KeyView, R>(k, changes->fold.Result(state)));
    });
    changes->keys.Clear();
    step.LimitWatermark(time, kNoWatermarkLimit);
  });
  return keyed.Build(output);
}

// Emits (key, result) when it changes.
template <class D, class T, class KeyFn, class Fold>
auto EmitRunning(const Stream<D, T>& stream, std::string_view id, KeyFn key, Fold fold,
                 UpdateEach each) {
  if (each == UpdateEach::kEpoch) {
    if constexpr (std::is_same_v<T, Epoch>) {
      return EmitEachEpoch(stream, id, std::move(key), std::move(fold));
    } else {
      RequireArgument(stream.scope(), id, false,
                      "it emits an update for each epoch, but is in a nested scope, whose times "
                      "are no epochs; emit one for each change");
    }
  }
  return EmitChanges(stream, id, std::move(key), std::move(fold));
}

}  // namespace internal

// Folds the values of each key, and emits the state whenever it changes: Stream<std::pair<K, V>>
// becomes Stream<std::pair<K, S>>. The state of a key begins as a copy of `start`; f(S& state,
// value) adds a value. If it returns a bool, false says that the state is the same, and no update
// is emitted. `each` says whether an update follows each record, or comes once at the end of an
// epoch, with the state as it is then.
//
//   stream | RunningFold("sum", 0, [](int& sum, int value) { sum += value; }, UpdateEach::kEpoch)
//
// The step exchanges its input by key. It keeps the state of each key as long as the run, and after
// the end of the input: a run that continues folds on. The values of a key come in the order of
// their source partition; with updates for each epoch those of an earlier epoch come first, and the
// watermark waits for the update. The end of the input and a graceful stop are the end of an epoch.
// An exception of `f` ends the run with an error that names the step. A record costs a lookup of
// its key, and with updates for each epoch a second one.
template <class S, class F>
auto RunningFold(std::string step_id, S start, F f, UpdateEach each = UpdateEach::kChange) {
  return DefineStep(
      std::move(step_id), std::move(start), std::move(f), each,
      []<class D, class T>(const Stream<D, T>& stream, std::string_view id, S first, F fold,
                           UpdateEach update_each) {
        HEADWAY_REQUIRE_PAIRS("RunningFold", D);
        static_assert(internal::KeptState<S>,
                      "RunningFold: the state must be default-constructible and have a Codec, "
                      "since it is kept as bytes: make it an aggregate of types that have one, "
                      "write HEADWAY_CODEC_FIELDS(Type, members...), or specialize headway::Codec");
        static_assert(std::is_invocable_v<F&, S&, typename internal::PairTypes<D>::TakenValue>,
                      "RunningFold: the function must take (State& state, value), where State is "
                      "the type of the second argument of RunningFold");
        return internal::EmitRunning(stream, id, FirstOfPair(),
                                     internal::FoldValues<S, F>(std::move(first), std::move(fold)),
                                     update_each);
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_RUNNING_FOLD_H_
