#ifndef HEADWAY_OPERATORS_KEYED_FOLDS_H_
#define HEADWAY_OPERATORS_KEYED_FOLDS_H_

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "operators/keyed_pairs.h"

// The ways in which steps combine the records of a key. Each is a class with a State, and these
// functions:
//
//   State start()                     the state of a key without records
//   bool Add(State& state, record)    adds a record of a batch; false: the state is the same, and
//                                     had a record before if kStartsDefault
//   R Result(const State& state)      the result for the records that were added
//
// When the result is due, is up to the step: at the end of the input (fold_final.h), at each change
// (running_fold.h), or at the end of each epoch (fold_per_epoch.h).

namespace headway::internal {

// f(S& state, value). A result of type bool says whether the state changed.
template <class S, class F>
class FoldValues {
 public:
  using State = S;
  static constexpr bool kStartsDefault = false;  // whether start() is State()
  FoldValues(S start, F f) : start_(std::move(start)), f_(std::move(f)) {}

  const S& start() const { return start_; }
  template <class Record>
  bool Add(S& state, Record&& record) {
    using R = decltype(f_(state, std::forward<Record>(record).second));
    if constexpr (std::is_same_v<R, bool>) {
      return f_(state, std::forward<Record>(record).second);
    } else {
      f_(state, std::forward<Record>(record).second);
      return true;
    }
  }
  const S& Result(const S& state) const { return state; }
  S Result(S&& state) const { return std::move(state); }

 private:
  S start_;
  F f_;
};

// V f(V, value), from the first value on.
template <class V, class F>
class ReduceValues {
 public:
  using State = std::optional<V>;
  static constexpr bool kStartsDefault = true;
  explicit ReduceValues(F f) : f_(std::move(f)) {}

  State start() const { return std::nullopt; }
  template <class Record>
  bool Add(State& state, Record&& record) {
    if (state.has_value()) {
      V reduced(f_(std::move(*state), std::forward<Record>(record).second));
      *state = std::move(reduced);
    } else {
      state.emplace(std::forward<Record>(record).second);
    }
    return true;
  }
  const V& Result(const State& state) const { return *state; }
  V Result(State&& state) const { return *std::move(state); }

 private:
  F f_;
};

struct CountRecords {
  using State = int64_t;
  static constexpr bool kStartsDefault = true;

  State start() const { return 0; }
  template <class Record>
  bool Add(int64_t& count, const Record&) {
    ++count;
    return true;
  }
  int64_t Result(int64_t count) const { return count; }
};

// Changes with the first record only. The state says whether there was one.
struct FirstRecord {
  using State = bool;
  static constexpr bool kStartsDefault = true;

  bool start() const { return false; }
  template <class Record>
  bool Add(bool& seen, const Record&) {
    return !std::exchange(seen, true);
  }
};

// Keeps the `size` values with the largest by(value), in descending order. Of equal ones the
// earlier comes first.
template <class V, class By>
class TopValues {
 public:
  using State = std::vector<V>;
  static constexpr bool kStartsDefault = true;
  TopValues(size_t size, By by) : size_(size), by_(std::move(by)) {}

  State start() const { return {}; }
  template <class Record>
  bool Add(State& top, Record&& record) {
    auto&& value = std::forward<Record>(record).second;
    const auto precedes = [this](const auto& a, const V& b) {
      return std::invoke(by_, b) < std::invoke(by_, a);
    };
    if (top.size() == size_ && !precedes(value, top.back())) return false;
    const auto place = std::upper_bound(top.begin(), top.end(), value, precedes);
    if (top.size() < size_) {
      top.insert(place, V(std::forward<decltype(value)>(value)));
    } else {
      std::move_backward(place, top.end() - 1, top.end());
      *place = V(std::forward<decltype(value)>(value));
    }
    return true;
  }
  const State& Result(const State& top) const { return top; }
  State Result(State&& top) const { return std::move(top); }

 private:
  size_t size_;
  By by_;
};

// Keeps the value with the largest by(value), or with `smaller` the smallest; of equal ones the
// earlier.
template <class V, class By, bool smaller>
class ExtremeValue {
 public:
  using State = std::optional<V>;
  static constexpr bool kStartsDefault = true;
  explicit ExtremeValue(By by) : by_(std::move(by)) {}

  State start() const { return std::nullopt; }
  template <class Record>
  bool Add(State& state, Record&& record) {
    if (state.has_value() && !Exceeds(record.second, *state)) return false;
    state.emplace(std::forward<Record>(record).second);
    return true;
  }
  const V& Result(const State& state) const { return *state; }
  V Result(State&& state) const { return *std::move(state); }

 private:
  template <class Value>
  bool Exceeds(const Value& value, const V& kept) {
    if constexpr (smaller) return std::invoke(by_, value) < std::invoke(by_, kept);
    return std::invoke(by_, kept) < std::invoke(by_, value);
  }

  By by_;
};

// Adds the records of a batch to the states of their keys, and calls changed(i, State& state) for
// each record that changed the result. `states` is a KeyedState or a FlatTable. A key that is new
// gets a state.
template <class D, class States, class KeyFn, class Fold, class F>
void AddEach(States& states, Batch<D>& batch, KeyFn& key, Fold& fold, F&& changed) {
  const auto key_at = KeysOf<D>(batch, key);
  if constexpr (Fold::kStartsDefault) {
    states.AtEach(batch.size(), key_at, [&](size_t i, typename Fold::State& state) {
      if (!fold.Add(state, batch.Take(i))) return false;
      changed(i, state);
      return true;
    });
  } else {
    states.FindEach(batch.size(), key_at, [&](size_t i, typename Fold::State* state) {
      if (state == nullptr) {
        state = &states.At(key_at(i));
        *state = fold.start();
      }
      if (!fold.Add(*state, batch.Take(i))) return false;
      changed(i, *state);
      return true;
    });
  }
}

// True if `By` gives values of type V something that < orders.
template <class By, class V>
concept Orders = requires(By& by, const V& v) {
  { std::invoke(by, v) < std::invoke(by, v) } -> std::convertible_to<bool>;
};

// True if `F` reduces values of type V that are taken from a batch as TakenValue.
template <class F, class V, class TakenValue>
concept Reduces =
    std::is_invocable_r_v<V, F&, V, TakenValue> && std::is_constructible_v<V, TakenValue>;

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_KEYED_FOLDS_H_
