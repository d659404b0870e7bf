#ifndef HEADWAY_OPERATORS_OUTER_JOIN_H_
#define HEADWAY_OPERATORS_OUTER_JOIN_H_

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

namespace internal {

// The sides whose values are emitted without a partner too.
enum class Unmatched { kNone, kLeft, kRight, kBoth };

// Builds a join that pairs all values of a key.
template <Unmatched unmatched, class Expiry, class A, class B, class T>
auto BuildPairJoin(const Stream<A, T>& left, std::string_view id, const Expiry& expiry,
                   const Stream<B, T>& right) {
  constexpr bool kLeftAlone = unmatched == Unmatched::kLeft || unmatched == Unmatched::kBoth;
  constexpr bool kRightAlone = unmatched == Unmatched::kRight || unmatched == Unmatched::kBoth;
  static_assert(KeyValueRecord<A> && KeyValueRecord<B>,
                "InnerJoin, LeftJoin, RightJoin, OuterJoin: the streams must have (key, value) "
                "pairs as records; make them with KeyOn");
  using K = KeyOfPair<A>;
  static_assert(std::is_same_v<K, KeyOfPair<B>>,
                "InnerJoin, LeftJoin, RightJoin, OuterJoin: the keys of both streams must have the "
                "same type");
  static_assert(StableKey<K>,
                "InnerJoin, LeftJoin, RightJoin, OuterJoin: the key must have a stable hash and "
                "==: numbers, strings, std types and aggregates of them have both, and a type of "
                "your own needs uint64_t HeadwayStableHash(const Type&) and operator==");
  static_assert(unmatched == Unmatched::kNone || TimestampTraits<T>::kTotallyOrdered,
                "LeftJoin, RightJoin, OuterJoin must be in the root scope");
  using Left = ValueOfPair<A>;
  using Right = ValueOfPair<B>;
  using Row = std::tuple<std::conditional_t<kRightAlone, std::optional<Left>, Left>,
                         std::conditional_t<kLeftAlone, std::optional<Right>, Right>>;
  using Sides = std::pair<std::vector<Left>, std::vector<Right>>;
  using State = typename Expiry::template State<Sides>;
  KeyedOperator<State, A, T, FirstOfPair> keyed(left, id, FirstOfPair());
  auto& step = keyed.step();
  auto& output = keyed.template AddOutput<std::pair<K, Row>>();
  using KeyView = typename KeyedState<K, State>::KeyView;

  // The function for the batches of a side; row(own value, other value) is a row.
  auto apply = [&step, &output, expiry](auto of_side, auto row) {
    return [&step, &output, expiry, row](const CapabilityRef<T>& time, auto& batch) {
      constexpr size_t kSide = decltype(of_side)::value;
      auto session = output.SessionAt(time);
      const auto now = expiry.Now(step);
      step.AtEach(batch, [&](size_t i, State& state) {
        auto&& record = batch.Take(i);
        Sides& sides = Expiry::Of(state);
        const auto& value = std::get<kSide>(sides).emplace_back(std::move(record.second));
        for (const auto& other : std::get<1 - kSide>(sides)) {
          session.Give(std::pair(record.first, row(value, other)));
        }
        expiry.Touch(step, record.first, state, now);
      });
    };
  };
  keyed.OnBatch(apply(std::integral_constant<size_t, 0>(),
                      [](const Left& own, const Right& other) { return Row(own, other); }));
  keyed.AddInput(right, apply(std::integral_constant<size_t, 1>(),
                              [](const Right& own, const Left& other) { return Row(other, own); }));

  auto give_unmatched = [](auto& session, const auto& key, const State& state) {
    const auto& [lefts, rights] = Expiry::Of(state);
    if constexpr (kLeftAlone) {
      if (rights.empty()) {
        for (const Left& each : lefts) session.Give(std::pair(key, Row(each, std::nullopt)));
      }
    }
    if constexpr (kRightAlone) {
      if (lefts.empty()) {
        for (const Right& each : rights) session.Give(std::pair(key, Row(std::nullopt, each)));
      }
    }
  };
  expiry.OnExpired(keyed, [&output, give_unmatched](const CapabilityRef<T>& time, const K& key,
                                                    const State& state) {
    auto session = output.SessionAt(time);
    give_unmatched(session, key, state);
  });
  if constexpr (unmatched != Unmatched::kNone) {
    keyed.AtEnd([&step, &output, give_unmatched,
                 position = size_t{0}](const CapabilityRef<T>& time) mutable {
      auto session = output.SessionAt(time);
      const bool done = step.states().ForEachFrom(position, [&](KeyView key, const State& state) {
        give_unmatched(session, key, state);
        return step.HasCredit();
      });
      if (done) step.states().Clear();
      return done;
    });
  }
  return keyed.Build(output);
}

template <Unmatched unmatched, class B, class T>
auto PairJoin(std::string step_id, const Stream<B, T>& right) {
  return DefineStep(
      std::move(step_id), right,
      []<class A>(const Stream<A, T>& left, std::string_view id, const Stream<B, T>& other) {
        return BuildPairJoin<unmatched>(left, id, NoExpiry(), other);
      });
}
template <Unmatched unmatched, class B, class T>
auto PairJoin(std::string step_id, JoinExpiry expiry, const Stream<B, T>& right) {
  return DefineStep(std::move(step_id), expiry, right,
                    []<class A>(const Stream<A, T>& left, std::string_view id, JoinExpiry after,
                                const Stream<B, T>& other) {
                      return BuildPairJoin<unmatched>(left, id, ExpiryOf(left, id, after), other);
                    });
}

}  // namespace internal

// The joins of SQL over two streams of (key, value) pairs: `left | LeftJoin("id", right)`. Each
// value of the left stream meets each value of the right stream with the same key, in one row. The
// row is emitted as soon as both values have come, whatever their order. A value that meets none is
// dropped, or emitted once with std::nullopt in the place of the other side:
//
//   InnerJoin: (K, std::tuple<A, B>); unmatched values are dropped.
//   LeftJoin: (K, std::tuple<A, std::optional<B>>); unmatched values of the left are emitted.
//   RightJoin: (K, std::tuple<std::optional<A>, B>); those of the right are.
//   OuterJoin: (K, std::tuple<std::optional<A>, std::optional<B>>); those of both are.
//
// A row without a partner is emitted at the end of the input, since a partner may come until then.
// For a result at once, with the partner that is known at that time, see BroadcastJoin.
//
// The step exchanges its inputs by key, and keeps all values of each key. An expiry bounds that:
// LeftJoin("id", JoinExpiry{duration}, right) forgets a key when the run's clock says that its last
// value was longer ago. It emits the key's unmatched rows then. Values that come later meet only
// each other. Expiry costs a timer for each key. All keys expire at the end of the input. Without
// expiry, InnerJoin keeps its values there for a run that continues with more input; the others
// forget them. A graceful stop emits nothing, and keeps all. The state of a key that has changed is
// written to snapshots as a whole.
template <class B, class T>
auto InnerJoin(std::string step_id, const Stream<B, T>& right) {
  return internal::PairJoin<internal::Unmatched::kNone>(std::move(step_id), right);
}
template <class B, class T>
auto InnerJoin(std::string step_id, JoinExpiry expiry, const Stream<B, T>& right) {
  return internal::PairJoin<internal::Unmatched::kNone>(std::move(step_id), expiry, right);
}
template <class B, class T>
auto LeftJoin(std::string step_id, const Stream<B, T>& right) {
  return internal::PairJoin<internal::Unmatched::kLeft>(std::move(step_id), right);
}
template <class B, class T>
auto LeftJoin(std::string step_id, JoinExpiry expiry, const Stream<B, T>& right) {
  return internal::PairJoin<internal::Unmatched::kLeft>(std::move(step_id), expiry, right);
}
template <class B, class T>
auto RightJoin(std::string step_id, const Stream<B, T>& right) {
  return internal::PairJoin<internal::Unmatched::kRight>(std::move(step_id), right);
}
template <class B, class T>
auto RightJoin(std::string step_id, JoinExpiry expiry, const Stream<B, T>& right) {
  return internal::PairJoin<internal::Unmatched::kRight>(std::move(step_id), expiry, right);
}
template <class B, class T>
auto OuterJoin(std::string step_id, const Stream<B, T>& right) {
  return internal::PairJoin<internal::Unmatched::kBoth>(std::move(step_id), right);
}
template <class B, class T>
auto OuterJoin(std::string step_id, JoinExpiry expiry, const Stream<B, T>& right) {
  return internal::PairJoin<internal::Unmatched::kBoth>(std::move(step_id), expiry, right);
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_OUTER_JOIN_H_
