#ifndef HEADWAY_OPERATORS_JOIN_H_
#define HEADWAY_OPERATORS_JOIN_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/step/define_step.h"
#include "engine/step/keyed_operator.h"
#include "operators/join_parts.h"

namespace headway {

// The value of a side that a Join keeps when a side has several for a key.
enum class JoinInsert {
  kFirst,    // the first
  kLast,     // the last
  kProduct,  // all; each combination with those of the other sides is a row
};

// When a Join emits the rows of a key.
enum class JoinEmit {
  kComplete,  // when every side has a value; the key is forgotten then
  kFinal,     // when the input has ended, or the key expires
  kRunning,   // with each value
};

namespace internal {

// The values of a key: one for each side, or with kProduct all of them.
template <JoinInsert insert, class... Vs>
using JoinSides = std::tuple<
    std::conditional_t<insert == JoinInsert::kProduct, std::vector<Vs>, std::optional<Vs>>...>;

template <JoinEmit emit, class... Vs>
using JoinRow = std::conditional_t<emit == JoinEmit::kComplete, std::tuple<Vs...>,
                                   std::tuple<std::optional<Vs>...>>;

template <JoinInsert insert, class Kept, class V>
void InsertIntoSide(Kept& kept, V&& value) {
  if constexpr (insert == JoinInsert::kProduct) {
    kept.emplace_back(std::forward<V>(value));
  } else {
    if (insert == JoinInsert::kLast || !kept.has_value()) kept.emplace(std::forward<V>(value));
  }
}

template <class V>
bool HasSide(const std::optional<V>& kept) {
  return kept.has_value();
}
template <class V>
bool HasSide(const std::vector<V>& kept) {
  return !kept.empty();
}

// Calls f(const V*) for each value of a side, or f(nullptr) for a side without values.
template <class V, class F>
void ForEachOfSide(const std::optional<V>& kept, F&& f) {
  f(kept.has_value() ? &*kept : nullptr);
}
template <class V, class F>
void ForEachOfSide(const std::vector<V>& kept, F&& f) {
  if (kept.empty()) f(static_cast<const V*>(nullptr));
  for (const V& value : kept) f(&value);
}

// Calls f(const Vs*...) for each combination of the sides' values; `chosen` are those of the first
// sides. The last side varies fastest.
template <class Sides, class F, class... Chosen>
void ForEachCombination(const Sides& sides, F&& f, Chosen... chosen) {
  constexpr size_t kNext = sizeof...(Chosen);
  if constexpr (kNext == std::tuple_size_v<Sides>) {
    f(chosen...);
  } else {
    ForEachOfSide(std::get<kNext>(sides),
                  [&](auto* value) { ForEachCombination(sides, f, chosen..., value); });
  }
}

template <class Row, class Sides, class F>
void ForEachJoinRow(const Sides& sides, F&& f) {
  ForEachCombination(sides, [&]<class... Vs>(const Vs*... values) {
    if constexpr (std::is_same_v<Row, std::tuple<Vs...>>) {
      f(Row(*values...));
    } else {
      f(Row((values != nullptr ? std::optional<Vs>(*values) : std::nullopt)...));
    }
  });
}

// Builds the join of (key, value) streams. Ds are the records of `others`.
template <JoinEmit emit, JoinInsert insert, class Expiry, class D, class T, class... Ds>
auto BuildJoin(const Stream<D, T>& first, std::string_view id, const Expiry& expiry,
               const std::tuple<Stream<Ds, T>...>& others) {
  static_assert((KeyValueRecord<D> && ... && KeyValueRecord<Ds>),
                "Join: the streams must have (key, value) pairs as records; make them with KeyOn");
  using K = KeyOfPair<D>;
  static_assert((std::is_same_v<K, KeyOfPair<Ds>> && ...),
                "Join: the keys of all streams must have the same type");
  static_assert(StableKey<K>,
                "Join: the key must have a stable hash and ==: numbers, strings, std types and "
                "aggregates of them have both, and a type of your own needs uint64_t "
                "HeadwayStableHash(const Type&) and operator==");
  static_assert(emit != JoinEmit::kFinal || TimestampTraits<T>::kTotallyOrdered,
                "Join with JoinEmit::kFinal must be in the root scope");
  using Sides = JoinSides<insert, ValueOfPair<D>, ValueOfPair<Ds>...>;
  using Row = JoinRow<emit, ValueOfPair<D>, ValueOfPair<Ds>...>;
  using State = typename Expiry::template State<Sides>;
  KeyedOperator<State, D, T, FirstOfPair> keyed(first, id, FirstOfPair());
  auto& step = keyed.step();
  auto& output = keyed.template AddOutput<std::pair<K, Row>>();
  using KeyView = typename KeyedState<K, State>::KeyView;

  // The function for the batches of a side.
  auto apply = [&step, &output, expiry](auto side) {
    return [&step, &output, expiry](const CapabilityRef<T>& time, auto& batch) {
      auto session = output.SessionAt(time);
      const auto now = expiry.Now(step);
      step.AtEach(batch, [&](size_t i, State& state) {
        auto&& record = batch.Take(i);
        Sides& sides = Expiry::Of(state);
        InsertIntoSide<insert>(std::get<decltype(side)::value>(sides), std::move(record.second));
        if constexpr (emit == JoinEmit::kComplete) {
          const bool complete =
              std::apply([](const auto&... kept) { return (HasSide(kept) && ...); }, sides);
          if (!complete) return expiry.Touch(step, record.first, state, now);
          if constexpr (insert == JoinInsert::kProduct) {
            ForEachJoinRow<Row>(
                sides, [&](Row row) { session.Give(std::pair(record.first, std::move(row))); });
          } else {
            session.Give(std::pair(
                record.first,
                std::apply([](auto&... kept) { return Row(*std::move(kept)...); }, sides)));
          }
          expiry.Forget(step, record.first, state);
          step.states().Erase(record.first);
        } else {
          if constexpr (emit == JoinEmit::kRunning) {
            ForEachJoinRow<Row>(
                sides, [&](Row row) { session.Give(std::pair(record.first, std::move(row))); });
          }
          expiry.Touch(step, record.first, state, now);
        }
      });
    };
  };
  keyed.OnBatch(apply(std::integral_constant<size_t, 0>()));
  [&]<size_t... i>(std::index_sequence<i...>) {
    (keyed.AddInput(std::get<i>(others), apply(std::integral_constant<size_t, i + 1>())), ...);
  }(std::index_sequence_for<Ds...>());

  auto give_rows = [](auto& session, const auto& key, const State& state) {
    if constexpr (emit == JoinEmit::kFinal) {
      ForEachJoinRow<Row>(Expiry::Of(state),
                          [&](Row row) { session.Give(std::pair(key, std::move(row))); });
    }
  };
  expiry.OnExpired(
      keyed, [&output, give_rows](const CapabilityRef<T>& time, const K& key, const State& state) {
        auto session = output.SessionAt(time);
        give_rows(session, key, state);
      });
  if constexpr (emit == JoinEmit::kFinal) {
    keyed.AtEnd([&step, &output, give_rows,
                 position = size_t{0}](const CapabilityRef<T>& time) mutable {
      auto session = output.SessionAt(time);
      const bool done = step.states().ForEachFrom(position, [&](KeyView key, const State& state) {
        give_rows(session, key, state);
        return step.HasCredit();
      });
      if (done) step.states().Clear();
      return done;
    });
  }
  return keyed.Build(output);
}

}  // namespace internal

// Joins streams of (key, value) pairs by their keys: `a | Join("id", b, c)`. The values of a key
// meet, and become (key, tuple of a value of each stream): Stream<std::pair<K, A>>, with streams of
// (K, B) and (K, C), becomes Stream<std::pair<K, std::tuple<A, B, C>>>. The sides are the streams
// in the order of the arguments; there may be any number of them.
//
// Join<JoinEmit, JoinInsert>("id", ...) selects when rows are emitted, and which values are kept.
// For A1, B10, A2, B20, B30, in this order, kComplete emits (1,10) (2,20), whichever values it
// keeps. The others emit these rows:
//
//  - kFinal, kFirst: (1,10).
//  - kFinal, kLast: (2,30).
//  - kFinal, kProduct: all 6 pairs.
//
//  - kRunning, kFirst: (1,-), then (1,10) four times.
//  - kRunning, kLast: (1,-) (1,10) (2,10) (2,20) (2,30).
//  - kRunning, kProduct: all pairs so far, with each value.
//
// With kFinal and kRunning a side may lack a value, so the row is a tuple of std::optional. With
// kComplete a key begins anew after its row, as in B30 above.
//
// The order in which values of different sides arrive is arbitrary within an epoch. Rows that
// depend on it may differ from run to run: prefer LeftJoin and its kin where each pair counts.
//
// The step exchanges its inputs by key. It keeps the values of each key: until its row with
// kComplete, until the end of the input with kFinal, for ever with kRunning. With
// JoinExpiry{duration} before the streams, a key is forgotten when the run's clock says that its
// last value was longer ago; kFinal emits its rows then. Expiry costs a timer for each key. Keys
// expire at the end of the input. Without expiry, values are kept there for a run that continues
// with more input, except with kFinal. A graceful stop emits nothing, and keeps all.
template <JoinEmit emit = JoinEmit::kComplete, JoinInsert insert = JoinInsert::kLast,
          class T = Epoch, class... Ds>
auto Join(std::string step_id, const Stream<Ds, T>&... others) {
  return DefineStep(std::move(step_id), std::tuple<Stream<Ds, T>...>(others...),
                    []<class D>(const Stream<D, T>& stream, std::string_view id,
                                const std::tuple<Stream<Ds, T>...>& more) {
                      return internal::BuildJoin<emit, insert>(stream, id, internal::NoExpiry(),
                                                               more);
                    });
}
template <JoinEmit emit = JoinEmit::kComplete, JoinInsert insert = JoinInsert::kLast,
          class T = Epoch, class... Ds>
auto Join(std::string step_id, JoinExpiry expiry, const Stream<Ds, T>&... others) {
  return DefineStep(std::move(step_id), expiry, std::tuple<Stream<Ds, T>...>(others...),
                    []<class D>(const Stream<D, T>& stream, std::string_view id, JoinExpiry after,
                                const std::tuple<Stream<Ds, T>...>& more) {
                      return internal::BuildJoin<emit, insert>(
                          stream, id, internal::ExpiryOf(stream, id, after), more);
                    });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_JOIN_H_
