#ifndef HEADWAY_OPERATORS_WINDOWS_AGGREGATES_H_
#define HEADWAY_OPERATORS_WINDOWS_AGGREGATES_H_

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/step/event_time.h"

// Aggregates: how the values of a key in a window become a result. One of your own, for WindowWith,
// is a copyable class:
//
//   struct Mean {
//     struct State { double sum = 0; int64_t count = 0; };  // default-constructible, with a codec
//     void Add(State& state, EventTime time, double value) const;
//     void Merge(State& state, const State& other) const;   // `other` is of the same key
//     double Result(const State& state) const;
//   };
//
// Values of a key come in the order of their source partition, not in that of their times. Merge
// combines the slices of a window in the order of time, and sessions that grow together.

namespace headway {

template <class A, class V>
concept WindowAggregate = requires(const A& a, typename A::State& state, V value) {
  a.Add(state, EventTime{0}, std::move(value));
  a.Merge(state, std::as_const(state));
  a.Result(std::as_const(state));
};

namespace internal {

// An aggregate whose state depends on the type of the values: For<V>() makes it.
template <class A, class V>
auto AggregateFor(A aggregate) {
  if constexpr (requires { aggregate.template For<V>(); }) {
    return aggregate.template For<V>();
  } else {
    return aggregate;
  }
}

struct CountAggregate {
  using State = int64_t;
  template <class V>
  void Add(State& count, EventTime, V&&) const {
    ++count;
  }
  void Merge(State& count, State other) const { count += other; }
  int64_t Result(State count) const { return count; }
};

template <class S, class Fold, class MergeFn>
struct FoldAggregate {
  using State = S;
  Fold fold;
  MergeFn merge;

  template <class V>
  void Add(State& state, EventTime, V&& value) const {
    std::invoke(fold, state, std::forward<V>(value));
  }
  void Merge(State& state, const State& other) const { std::invoke(merge, state, other); }
  State Result(const State& state) const { return state; }
};

// reduce(V, V) combines two values, the earlier one first.
template <class V, class Reduce>
struct ReduceAggregateOf {
  using State = std::optional<V>;
  Reduce reduce;

  void Add(State& state, EventTime, V value) const {
    if (state.has_value()) {
      state = std::invoke(reduce, *std::move(state), std::move(value));
    } else {
      state = std::move(value);
    }
  }
  void Merge(State& state, const State& other) const {
    if (other.has_value()) Add(state, 0, *other);
  }
  V Result(const State& state) const { return *state; }
};
template <class Reduce>
struct ReduceAggregate {
  Reduce reduce;
  template <class V>
  auto For() const {
    return ReduceAggregateOf<V, Reduce>{reduce};
  }
};

// The values with their times, in the order of times at the end.
template <class V>
struct CollectAggregateOf {
  using State = std::vector<std::pair<EventTime, V>>;

  void Add(State& state, EventTime time, V value) const {
    state.emplace_back(time, std::move(value));
  }
  void Merge(State& state, const State& other) const {
    state.insert(state.end(), other.begin(), other.end());
  }
  std::vector<V> Result(const State& state) const {
    std::vector<const std::pair<EventTime, V>*> sorted;
    for (const auto& each : state) sorted.push_back(&each);
    // The pointers are in the order in which the values came.
    std::ranges::sort(sorted, {}, [](const auto* each) { return std::pair(each->first, each); });
    std::vector<V> values;
    values.reserve(sorted.size());
    for (const auto* each : sorted) values.push_back(each->second);
    return values;
  }
};
struct CollectAggregate {
  template <class V>
  auto For() const {
    return CollectAggregateOf<V>{};
  }
};

// The first `count` values in the order of `before`; of equal ones those that came first.
template <class V, class Before>
struct TopAggregateOf {
  using State = std::vector<V>;  // in that order
  size_t count;
  Before before;

  void Add(State& state, EventTime, V value) const {
    if (state.size() == count && !std::invoke(before, value, state.back())) return;
    const auto place = std::upper_bound(
        state.begin(), state.end(), value,
        [&](const V& a, const V& b) { return static_cast<bool>(std::invoke(before, a, b)); });
    state.insert(place, std::move(value));
    if (state.size() > count) state.pop_back();
  }
  void Merge(State& state, const State& other) const {
    for (const V& value : other) Add(state, 0, value);
  }
  State Result(const State& state) const { return state; }
};
template <class Before>
struct TopAggregate {
  size_t count;
  Before before;
  template <class V>
  auto For() const {
    return TopAggregateOf<V, Before>{count, before};
  }
};

}  // namespace internal
}  // namespace headway

#endif  // HEADWAY_OPERATORS_WINDOWS_AGGREGATES_H_
