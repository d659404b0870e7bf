#ifndef HEADWAY_OPERATORS_STATEFUL_H_
#define HEADWAY_OPERATORS_STATEFUL_H_

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/time/time.h"
#include "engine/state/flat_table.h"
#include "engine/step/define_step.h"
#include "operators/keyed_pairs.h"

namespace headway {

// The answer of each function of a Stateful step.
enum class StatefulAnswer {
  kKeep,     // the state and the timers of the key stay
  kDiscard,  // both go; the next value of the key finds a new state
};

namespace internal {

// Nanoseconds since 1970, and the value that stands for no timer.
using TimerTimes = absl::InlinedVector<int64_t, 1>;
inline constexpr int64_t kNoTimer = std::numeric_limits<int64_t>::max();

// The state of a key of a Stateful step. Stored in snapshots: do not change.
template <class S>
struct StatefulState {
  S state;
  TimerTimes timers = {};  // in no particular order
  // The one timer that the engine has for the key, at the earliest of `timers` or before it: to
  // move a timer to a later time is cheap.
  int64_t armed = kNoTimer;
};

template <class Logic, class D>
class StatefulCalls;

}  // namespace internal

// The key of a call of a Stateful step's function, and all that the function may do. Valid in the
// call that receives it. K is the type of the keys, R that of the results.
template <class K, class R>
class StatefulContext {
 public:
  // `const K&`, or std::string_view for strings.
  using KeyView = typename KeyedState<K, char>::KeyView;

  StatefulContext(const StatefulContext&) = delete;
  StatefulContext& operator=(const StatefulContext&) = delete;

  KeyView key() const { return key_; }
  // The run's clock. It stands still during a batch.
  absl::Time now() const { return now_; }
  Epoch epoch() const { return epoch_; }

  // Emits (key, result).
  template <class Result = R>
  void Emit(Result&& result) {
    session_.Give(std::pair<KeyView, Result&&>(key_, std::forward<Result>(result)));
  }

  // Calls OnTimer when the clock has reached `at`. A key may have any number of timers; to set one
  // twice has no effect. Throws std::logic_error if the step has no OnTimer.
  void SetTimer(absl::Time at) {
    if (!has_on_timer_) throw std::logic_error("SetTimer was called, but there is no OnTimer");
    const int64_t nanos = absl::ToUnixNanos(at);
    if (std::find(timers_.begin(), timers_.end(), nanos) == timers_.end()) timers_.push_back(nanos);
  }
  // Returns false if the timer is not set.
  bool CancelTimer(absl::Time at) {
    const auto timer = std::find(timers_.begin(), timers_.end(), absl::ToUnixNanos(at));
    if (timer == timers_.end()) return false;
    timers_.erase(timer);
    return true;
  }
  void CancelTimers() { timers_.clear(); }

 private:
  template <class, class>
  friend class internal::StatefulCalls;
  using Session = typename NodeOutput<std::pair<K, R>, Epoch>::Session;

  StatefulContext(KeyView key, absl::Time now, Epoch epoch, bool has_on_timer,
                  internal::TimerTimes& timers, Session& session)
      : key_(key),
        now_(now),
        epoch_(epoch),
        has_on_timer_(has_on_timer),
        timers_(timers),
        session_(session) {}

  const KeyView key_;
  const absl::Time now_;
  const Epoch epoch_;
  const bool has_on_timer_;
  internal::TimerTimes& timers_;
  Session& session_;
};

namespace internal {

// The calls of a Stateful step's logic on a worker.
template <class Logic, class D>
class StatefulCalls {
 public:
  using K = typename PairTypes<D>::K;
  using Value = std::conditional_t<std::is_same_v<typename PairTypes<D>::TakenValue, BatchString>,
                                   std::string_view, typename PairTypes<D>::TakenValue>;
  using State = typename Logic::State;
  using Result = typename Logic::Result;
  using Context = StatefulContext<K, Result>;
  using Kept = StatefulState<State>;
  using Keyed = KeyedOperator<Kept, D, Epoch, FirstOfPair>;
  using Step = typename Keyed::Step;
  using Output = NodeOutput<std::pair<K, Result>, Epoch>;

  static constexpr bool kHasOnItem =
      requires(Logic logic, Context& context, State& state, Value value) {
        { logic.OnItem(context, state, std::move(value)) } -> std::same_as<StatefulAnswer>;
      };
  static constexpr bool kHasOnBatch =
      requires(Logic logic, Context& context, State& state, std::span<Value> values) {
        { logic.OnBatch(context, state, values) } -> std::same_as<StatefulAnswer>;
      };
  static constexpr bool kHasOnTimer =
      requires(Logic logic, Context& context, State& state, absl::Time at) {
        { logic.OnTimer(context, state, at) } -> std::same_as<StatefulAnswer>;
      };
  static constexpr bool kHasOnEnd = requires(Logic logic, Context& context, State& state) {
    { logic.OnEnd(context, state) } -> std::same_as<StatefulAnswer>;
  };

  StatefulCalls(Step& step, Output& output, Logic logic)
      : step_(step), output_(output), logic_(std::move(logic)) {}

  void OnBatch(const CapabilityRef<Epoch>& time, Batch<D>& batch) {
    auto session = output_.SessionAt(time);
    const absl::Time now = step_.Now();
    if constexpr (kHasOnItem) {
      step_.AtEach(batch, [&](size_t i, Kept& kept) {
        auto&& record = batch.Take(i);
        Context context(record.first, now, time.time(), kHasOnTimer, kept.timers, session);
        Finish(record.first, kept,
               logic_.OnItem(context, kept.state, Value(std::move(record.second))));
      });
    } else {
      Group(batch);
      const auto first_key = [&](size_t g) -> typename Step::KeyInBatch {
        return typename Step::KeyInBatch(FirstOfPair()(std::as_const(batch)[order_[begins_[g]]]));
      };
      step_.states().AtEach(begins_.size() - 1, first_key, [&](size_t g, Kept& kept) {
        const typename Step::KeyInBatch key = first_key(g);
        Context context(key, now, time.time(), kHasOnTimer, kept.timers, session);
        const std::span<Value> values(values_.data() + begins_[g], begins_[g + 1] - begins_[g]);
        Finish(key, kept, logic_.OnBatch(context, kept.state, values));
      });
      values_.clear();
    }
  }

  // Calls OnTimer for the timers up to `at`.
  void OnTimer(const CapabilityRef<Epoch>& time, const K& key, absl::Time at) {
    const int64_t nanos = absl::ToUnixNanos(at);
    Kept* const kept = step_.states().Find(key);
    if (kept == nullptr || kept->armed != nanos) return;
    kept->armed = kNoTimer;
    auto session = output_.SessionAt(time);
    const absl::Time now = step_.Now();
    for (;;) {
      const auto first = std::min_element(kept->timers.begin(), kept->timers.end());
      if (first == kept->timers.end() || *first > nanos) break;
      const absl::Time due = absl::FromUnixNanos(*first);
      kept->timers.erase(first);
      Context context(key, now, time.time(), kHasOnTimer, kept->timers, session);
      if (logic_.OnTimer(context, kept->state, due) == StatefulAnswer::kDiscard) {
        step_.states().Erase(key);
        return;
      }
    }
    Arm(key, *kept);
  }

  void AtEnd(const CapabilityRef<Epoch>& time) {
    std::vector<K> keys;  // the table changes
    keys.reserve(step_.states().size());
    step_.states().ForEach(
        [&](typename Step::KeyView key, const Kept&) { keys.emplace_back(key); });
    auto session = output_.SessionAt(time);
    const absl::Time now = step_.Now();
    for (const K& key : keys) {
      Kept& kept = *step_.states().Find(key);
      Context context(key, now, time.time(), kHasOnTimer, kept.timers, session);
      Finish(key, kept, logic_.OnEnd(context, kept.state));
    }
  }

 private:
  template <class Key>
  void Finish(const Key& key, Kept& kept, StatefulAnswer answer) {
    if (answer == StatefulAnswer::kKeep) {
      if constexpr (kHasOnTimer) Arm(key, kept);
      return;
    }
    if constexpr (kHasOnTimer) {
      if (kept.armed != kNoTimer) step_.CancelTimer(K(key), absl::FromUnixNanos(kept.armed));
    }
    step_.states().Erase(key);
  }

  // Sets the engine's timer if a timer of the key precedes it.
  template <class Key>
  void Arm(const Key& key, Kept& kept) {
    if (kept.timers.empty()) return;
    const int64_t first = *std::min_element(kept.timers.begin(), kept.timers.end());
    if (first >= kept.armed) return;
    const K k(key);
    if (kept.armed != kNoTimer) step_.CancelTimer(k, absl::FromUnixNanos(kept.armed));
    step_.SetTimer(k, absl::FromUnixNanos(first));
    kept.armed = first;
  }

  // Orders the records of the batch by keys, and takes their values in this order. Keys come in the
  // order of their first records, the records of a key in theirs.
  void Group(Batch<D>& batch) {
    FlatTable<K, size_t> groups;  // of a key: its number, and one
    std::vector<size_t> group_of(batch.size());
    begins_.assign(1, 0);
    const auto key_at = [&](size_t i) -> typename Step::KeyInBatch {
      return typename Step::KeyInBatch(FirstOfPair()(std::as_const(batch)[i]));
    };
    groups.AtEach(batch.size(), key_at, [&](size_t i, size_t& group) {
      if (group == 0) {
        group = begins_.size();
        begins_.push_back(0);
      }
      group_of[i] = group;
      ++begins_[group];
    });
    for (size_t g = 1; g < begins_.size(); ++g) begins_[g] += begins_[g - 1];
    order_.resize(batch.size());
    std::vector<size_t> next(begins_);
    for (size_t i = 0; i < batch.size(); ++i) order_[next[group_of[i] - 1]++] = i;
    values_.reserve(batch.size());
    for (size_t i : order_) values_.push_back(Value(std::move(batch.Take(i).second)));
  }

  Step& step_;
  Output& output_;
  Logic logic_;
  // Of the present batch, for OnBatch: the numbers of its records ordered by keys, their values,
  // and the begin of each key in both, with the end of the last.
  std::vector<size_t> order_;
  std::vector<Value> values_;
  std::vector<size_t> begins_;
};

template <class Logic>
concept HasStatefulTypes = requires {
  typename Logic::State;
  typename Logic::Result;
};
template <class Logic>
concept NamesOnTimer = requires { &Logic::OnTimer; };
template <class Logic>
concept NamesOnEnd = requires { &Logic::OnEnd; };

}  // namespace internal

// A step with the whole life cycle of state under keys, as a class of the user's:
// Stream<std::pair<K, V>> becomes Stream<std::pair<K, Result>>.
//
//   // Emits the number of requests of a user when he has made none for a minute.
//   struct CountVisit {
//     using State = int64_t;   // of a key; begins as State()
//     using Result = int64_t;  // is emitted with the key
//     using Context = StatefulContext<std::string, Result>;
//
//     StatefulAnswer OnItem(Context& context, State& requests, const Request&) {
//       ++requests;
//       context.CancelTimers();
//       context.SetTimer(context.now() + absl::Minutes(1));
//       return StatefulAnswer::kKeep;
//     }
//     StatefulAnswer OnTimer(Context& context, State& requests, absl::Time at) {
//       context.Emit(requests);
//       return StatefulAnswer::kDiscard;
//     }
//   };
//   stream | Stateful("visits", CountVisit())
//
// The functions of the class. Each may emit, and set and cancel timers.
//
//   OnItem(context, State&, value): called for each value.
//   OnBatch(context, State&, std::span<V> values): in place of OnItem, for the values at hand.
//   OnTimer(context, State&, absl::Time at): called when a timer is due. Needed if one is set.
//   OnEnd(context, State&): called when the input has ended. Optional.
//
// Strings are seen as std::string_view. The results must not depend on how many values are at hand.
// Each worker has a copy of the class; it may have members for its settings, but no state.
//
// An answer of kDiscard frees the state and the timers of the key; if a value of the key follows,
// in the same batch even, it finds a new state. A timer that was cancelled does not fire. When
// values have come and timers are due, the values are first. The timers of a key fire in order,
// once each, at the run's clock; those that came due while a run was down fire when it is resumed.
// A timer that OnTimer sets for a time that has passed fires at once, so one that always does never
// ends.
//
// At the end of the input the timers that are due fire, then OnEnd is called for each key. State
// and timers that are kept are those of a run that continues with more input. A graceful stop is
// not the end of the input: state and timers are kept.
//
// The step exchanges its input by key. An exception of the class ends the run with an error that
// names the step. A record costs a lookup of its key; to move a timer to a later time costs little
// more. A key with timers has one timer of the engine.
template <class Logic>
auto Stateful(std::string step_id, Logic logic) {
  return DefineStep(
      std::move(step_id), std::move(logic),
      []<class D, class T>(const Stream<D, T>& stream, std::string_view id, Logic logic_of_keys) {
        HEADWAY_REQUIRE_PAIRS("Stateful", D);
        static_assert(internal::HasStatefulTypes<Logic>,
                      "Stateful: the class must name its types State, for the state of a key, and "
                      "Result, for the values that it emits");
        static_assert(internal::KeptState<typename Logic::State>,
                      "Stateful: the State must be default-constructible and have a Codec, since "
                      "it is kept as bytes: make it an aggregate of types that have one, write "
                      "HEADWAY_CODEC_FIELDS(Type, members...), or specialize headway::Codec");
        static_assert(std::is_same_v<T, Epoch>, "Stateful must be in the root scope");
        using Calls = internal::StatefulCalls<Logic, D>;
        static_assert(Calls::kHasOnItem != Calls::kHasOnBatch,
                      "Stateful: the class must have one of StatefulAnswer "
                      "OnItem(StatefulContext<K, Result>& context, State& state, V value) and "
                      "OnBatch(context, state, std::span<V> values), with std::string_view for "
                      "strings");
        static_assert(Calls::kHasOnTimer || !internal::NamesOnTimer<Logic>,
                      "Stateful: OnTimer must take (StatefulContext<K, Result>& context, State& "
                      "state, absl::Time at) and return a StatefulAnswer");
        static_assert(Calls::kHasOnEnd || !internal::NamesOnEnd<Logic>,
                      "Stateful: OnEnd must take (StatefulContext<K, Result>& context, State& "
                      "state) and return a StatefulAnswer");
        typename Calls::Keyed keyed(stream, id, FirstOfPair());
        auto& output =
            keyed.template AddOutput<std::pair<typename Calls::K, typename Logic::Result>>();
        auto calls = std::make_shared<Calls>(keyed.step(), output, std::move(logic_of_keys));
        keyed.OnBatch([calls](const CapabilityRef<T>& time, Batch<D>& batch) {
          calls->OnBatch(time, batch);
        });
        if constexpr (Calls::kHasOnTimer) {
          keyed.OnClockTimer([calls](const CapabilityRef<T>& time, const typename Calls::K& key,
                                     absl::Time at) { calls->OnTimer(time, key, at); });
          keyed.KeepClockTimersAtEnd();
        }
        if constexpr (Calls::kHasOnEnd) {
          keyed.AtEnd([calls](const CapabilityRef<T>& time) { calls->AtEnd(time); });
        }
        return keyed.Build(output);
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_STATEFUL_H_
