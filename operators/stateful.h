#ifndef HEADWAY_OPERATORS_STATEFUL_H_
#define HEADWAY_OPERATORS_STATEFUL_H_

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <set>
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
#include "engine/step/event_time.h"
#include "engine/step/kept_watermarks.h"
#include "operators/keyed_pairs.h"

namespace headway {

// The answer of each function of a Stateful step.
enum class StatefulAnswer {
  kKeep,     // the state and the timers of the key stay
  kDiscard,  // both go; the next value of the key finds a new state
};

namespace internal {

// The timers of a key of one kind, by nanoseconds since 1970 or by event time. Many of them cost
// O(log n) each. Stored in snapshots: do not change.
class KeyTimers {
 public:
  static constexpr int64_t kNone = std::numeric_limits<int64_t>::max();

  void Set(int64_t time) {
    if (many_ != nullptr) {
      many_->insert(time);
    } else if (!IsSet(time)) {
      few_.push_back(time);
      if (few_.size() > kFew) {
        many_ = std::make_unique<std::set<int64_t>>(few_.begin(), few_.end());
        few_.clear();
      }
    }
  }
  bool Cancel(int64_t time) {
    if (many_ != nullptr) return many_->erase(time) > 0;
    const auto found = std::find(few_.begin(), few_.end(), time);
    if (found == few_.end()) return false;
    few_.erase(found);
    return true;
  }
  void Clear() {
    few_.clear();
    many_.reset();
  }
  bool IsSet(int64_t time) const {
    if (many_ != nullptr) return many_->contains(time);
    return std::find(few_.begin(), few_.end(), time) != few_.end();
  }
  int64_t First() const {
    if (many_ != nullptr) return many_->empty() ? kNone : *many_->begin();
    return few_.empty() ? kNone : *std::min_element(few_.begin(), few_.end());
  }
  std::vector<int64_t> Ascending() const {
    if (many_ != nullptr) return std::vector<int64_t>(many_->begin(), many_->end());
    std::vector<int64_t> times(few_.begin(), few_.end());
    std::sort(times.begin(), times.end());
    return times;
  }

  // The one timer that the engine has for the key, at the first of them or before it: to move a
  // timer to a later time is cheap.
  int64_t armed() const { return armed_; }
  void set_armed(int64_t armed) { armed_ = armed; }

  // The times, of either container, as a sequence; then the armed one.
  void EncodeTo(Encoder& encoder) const {
    if (many_ != nullptr) {
      Codec<std::set<int64_t>>::Encode(*many_, encoder);
    } else {
      Codec<Few>::Encode(few_, encoder);
    }
    Codec<int64_t>::Encode(armed_, encoder);
  }
  bool DecodeFrom(Decoder& decoder) {
    Clear();
    std::vector<int64_t> times;
    if (!Codec<std::vector<int64_t>>::Decode(decoder, &times)) return false;
    for (const int64_t time : times) Set(time);
    return Codec<int64_t>::Decode(decoder, &armed_);
  }

 private:
  using Few = absl::InlinedVector<int64_t, 1>;
  static constexpr size_t kFew = 16;

  Few few_;                                  // in no particular order
  std::unique_ptr<std::set<int64_t>> many_;  // in its place once there were more than a few
  int64_t armed_ = kNone;
};

// In place of the timers that a step has no function for. Has the same format as none.
template <int kind>
struct NoTimers {};

// The state of a key of a Stateful step.
template <class S, bool has_clock_timers, bool has_event_timers>
struct StatefulState {
  S state = S();
  [[no_unique_address]] std::conditional_t<has_clock_timers, KeyTimers, NoTimers<0>> clock_timers;
  [[no_unique_address]] std::conditional_t<has_event_timers, KeyTimers, NoTimers<1>> event_timers;
};

template <class Logic, class D>
class StatefulCalls;

}  // namespace internal

template <>
struct Codec<internal::KeyTimers> {
  static void Encode(const internal::KeyTimers& value, Encoder& encoder) {
    value.EncodeTo(encoder);
  }
  static bool Decode(Decoder& decoder, internal::KeyTimers* value) {
    return value->DecodeFrom(decoder);
  }
};
template <int kind>
struct Codec<internal::NoTimers<kind>> {
  static void Encode(const internal::NoTimers<kind>&, Encoder& encoder) {
    Codec<internal::KeyTimers>::Encode({}, encoder);
  }
  static bool Decode(Decoder& decoder, internal::NoTimers<kind>*) {
    internal::KeyTimers timers;
    return Codec<internal::KeyTimers>::Decode(decoder, &timers);
  }
};
template <class S, bool has_clock_timers, bool has_event_timers>
struct Codec<internal::StatefulState<S, has_clock_timers, has_event_timers>> {
  using State = internal::StatefulState<S, has_clock_timers, has_event_timers>;

  static void Encode(const State& value, Encoder& encoder) {
    Codec<S>::Encode(value.state, encoder);
    Codec<decltype(value.clock_timers)>::Encode(value.clock_timers, encoder);
    Codec<decltype(value.event_timers)>::Encode(value.event_timers, encoder);
  }
  static bool Decode(Decoder& decoder, State* value) {
    return Codec<S>::Decode(decoder, &value->state) &&
           Codec<decltype(value->clock_timers)>::Decode(decoder, &value->clock_timers) &&
           Codec<decltype(value->event_timers)>::Decode(decoder, &value->event_timers);
  }
};

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

  // The watermark of the stream: no earlier record is expected.
  EventTime watermark() const { return watermark_; }

  // Calls OnTimer when the clock has reached `at`. A key may have any number of timers; to set one
  // twice has no effect. Throws std::logic_error if the step has no OnTimer.
  void SetTimer(absl::Time at) {
    if (clock_timers_ == nullptr) {
      throw std::logic_error("SetTimer was called, and the class has no OnTimer; add one");
    }
    clock_timers_->Set(TimerAt(absl::ToUnixNanos(at)));
  }
  // Calls OnEventTimer when the watermark has reached `at`: an absl::Time, a std::chrono::sys_time
  // or a number, as the EventClock of the stream has them. Without effect once the input has ended.
  // Throws std::logic_error if the step has no OnEventTimer.
  template <class Time>
  void SetEventTimer(Time at) {
    if (event_timers_ == nullptr) {
      throw std::logic_error(
          "SetEventTimer was called, and the class has no OnEventTimer; add one");
    }
    event_timers_->Set(TimerAt(ToEventTime(at)));
  }
  // Each returns false if the timer is not set.
  bool CancelTimer(absl::Time at) {
    return clock_timers_ != nullptr && clock_timers_->Cancel(TimerAt(absl::ToUnixNanos(at)));
  }
  template <class Time>
  bool CancelEventTimer(Time at) {
    return event_timers_ != nullptr && event_timers_->Cancel(TimerAt(ToEventTime(at)));
  }
  // Cancels all timers of the key, of both kinds.
  void CancelTimers() {
    if (clock_timers_ != nullptr) clock_timers_->Clear();
    if (event_timers_ != nullptr) event_timers_->Clear();
  }

 private:
  template <class, class>
  friend class internal::StatefulCalls;
  using Session = typename NodeOutput<std::pair<K, R>, Epoch>::Session;

  template <class Kept>
  StatefulContext(KeyView key, absl::Time now, EventTime watermark, Epoch epoch, Kept& kept,
                  Session& session)
      : key_(key),
        now_(now),
        watermark_(watermark),
        epoch_(epoch),
        clock_timers_(Of(kept.clock_timers)),
        event_timers_(Of(kept.event_timers)),
        session_(session) {}

  // The last time of all says that a key has no timer.
  static int64_t TimerAt(int64_t time) { return std::min(time, internal::KeyTimers::kNone - 1); }

  static internal::KeyTimers* Of(internal::KeyTimers& timers) { return &timers; }
  template <int kind>
  static internal::KeyTimers* Of(internal::NoTimers<kind>&) {
    return nullptr;
  }

  const KeyView key_;
  const absl::Time now_;
  const EventTime watermark_;
  const Epoch epoch_;
  internal::KeyTimers* const clock_timers_;  // null: the step has no function for them
  internal::KeyTimers* const event_timers_;
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
  static constexpr bool kHasOnEventTimer =
      requires(Logic logic, Context& context, State& state, EventTime at) {
        { logic.OnEventTimer(context, state, at) } -> std::same_as<StatefulAnswer>;
      };
  static constexpr bool kHasOnEnd = requires(Logic logic, Context& context, State& state) {
    { logic.OnEnd(context, state) } -> std::same_as<StatefulAnswer>;
  };
  static constexpr bool kHasWatermarkLimit = requires(const Logic logic, const State& state) {
    { logic.WatermarkLimit(state) } -> std::same_as<EventTime>;
  };

  using Kept = StatefulState<State, kHasOnTimer, kHasOnEventTimer>;
  using Keyed = KeyedOperator<Kept, D, Epoch, FirstOfPair>;
  using Step = typename Keyed::Step;
  using Output = NodeOutput<std::pair<K, Result>, Epoch>;

  StatefulCalls(Step& step, Output& output, Logic logic)
      : step_(step), output_(output), logic_(std::move(logic)) {}

  void OnBatch(const CapabilityRef<Epoch>& time, Batch<D>& batch) {
    auto session = output_.SessionAt(time);
    const Moment moment = MomentAt(time);
    if constexpr (kHasOnItem) {
      step_.AtEach(batch, [&](size_t i, Kept& kept) {
        auto&& record = batch.Take(i);
        Context context(record.first, moment.now, moment.watermark, moment.epoch, kept, session);
        const EventTime limit = LimitOf(kept);
        Finish(record.first, kept, limit,
               logic_.OnItem(context, kept.state, Value(std::move(record.second))));
      });
    } else {
      Group(batch);
      const auto first_key = [&](size_t g) -> typename Step::KeyInBatch {
        return typename Step::KeyInBatch(FirstOfPair()(std::as_const(batch)[order_[begins_[g]]]));
      };
      step_.states().AtEach(begins_.size() - 1, first_key, [&](size_t g, Kept& kept) {
        const typename Step::KeyInBatch key = first_key(g);
        Context context(key, moment.now, moment.watermark, moment.epoch, kept, session);
        const std::span<Value> values(values_.data() + begins_[g], begins_[g + 1] - begins_[g]);
        const EventTime limit = LimitOf(kept);
        Finish(key, kept, limit, logic_.OnBatch(context, kept.state, values));
      });
      values_.clear();
    }
    LimitWatermark(time);
  }

  // Calls OnTimer for the timers of the key up to `at`, at which it had the engine's.
  void OnTimer(const CapabilityRef<Epoch>& time, const K& key, absl::Time at) {
    Kept* const kept = step_.states().Find(key);
    const int64_t nanos = absl::ToUnixNanos(at);
    if (kept == nullptr || kept->clock_timers.armed() != nanos) return;
    kept->clock_timers.set_armed(KeyTimers::kNone);
    auto session = output_.SessionAt(time);
    const Moment moment = MomentAt(time);
    while (kept->clock_timers.First() <= nanos) {
      const int64_t due = kept->clock_timers.First();
      kept->clock_timers.Cancel(due);
      Context context(key, moment.now, moment.watermark, moment.epoch, *kept, session);
      const EventTime limit = LimitOf(*kept);
      const StatefulAnswer answer = logic_.OnTimer(context, kept->state, absl::FromUnixNanos(due));
      NoteLimit(*kept, limit, answer);
      LimitWatermark(time);
      if (answer == StatefulAnswer::kDiscard) return Discard(key, *kept);
    }
    Arm(key, *kept);
  }

  // The same for event timers. At the end of the input the later ones are due too.
  void OnEventTimer(const CapabilityRef<Epoch>& time, const K& key, EventTime at) {
    Kept* const kept = step_.states().Find(key);
    if (kept == nullptr || kept->event_timers.armed() != at) return;
    kept->event_timers.set_armed(KeyTimers::kNone);
    auto session = output_.SessionAt(time);
    const Moment moment = MomentAt(time);
    const auto fire = [&](EventTime due) {
      kept->event_timers.Cancel(due);
      Context context(key, moment.now, moment.watermark, moment.epoch, *kept, session);
      const EventTime limit = LimitOf(*kept);
      const StatefulAnswer answer = logic_.OnEventTimer(context, kept->state, due);
      NoteLimit(*kept, limit, answer);
      LimitWatermark(time);
      if (answer == StatefulAnswer::kDiscard) Discard(key, *kept);
      return answer == StatefulAnswer::kKeep;
    };
    while (kept->event_timers.First() <= at) {
      if (!fire(kept->event_timers.First())) return;
    }
    const std::vector<int64_t> later = kept->event_timers.Ascending();
    if (Arm(key, *kept)) return;
    for (const int64_t due : later) {
      if (kept->event_timers.IsSet(due) && !fire(due)) return;
    }
    kept->event_timers.Clear();
  }

  // Returns false if it stopped for lack of credit.
  bool AtEnd(const CapabilityRef<Epoch>& time) {
    if (!ended_.has_value()) {
      ended_.emplace();  // the table changes
      ended_->reserve(step_.states().size());
      step_.states().ForEach(
          [&](typename Step::KeyView key, const Kept&) { ended_->emplace_back(key); });
    }
    auto session = output_.SessionAt(time);
    const Moment moment = MomentAt(time);
    while (!ended_->empty()) {
      const K key = std::move(ended_->back());
      ended_->pop_back();
      Kept* const found = step_.states().Find(key);
      if (found == nullptr) continue;
      Kept& kept = *found;
      Context context(key, moment.now, moment.watermark, moment.epoch, kept, session);
      const EventTime limit = LimitOf(kept);
      Finish(key, kept, limit, logic_.OnEnd(context, kept.state));
      if (!step_.HasCredit()) break;
    }
    LimitWatermark(time);
    return ended_->empty();
  }

  // The states that were restored limit the watermark.
  void OnRestored(const CapabilityRef<Epoch>& first) {
    step_.states().ForEach([&](typename Step::KeyView, const Kept& kept) {
      if (LimitOf(kept) != kNoWatermarkLimit) watermarks_.Add(LimitOf(kept));
    });
    LimitWatermark(first);
  }

 private:
  struct Moment {
    absl::Time now;
    EventTime watermark;
    Epoch epoch;
  };
  Moment MomentAt(const CapabilityRef<Epoch>& time) {
    return {step_.Now(), std::max(step_.watermark(), step_.input_watermark()), time.time()};
  }

  EventTime LimitOf(const Kept& kept) {
    if constexpr (kHasWatermarkLimit) return std::as_const(logic_).WatermarkLimit(kept.state);
    return kNoWatermarkLimit;
  }
  // A call has changed a state whose limit was `before`.
  void NoteLimit(const Kept& kept, EventTime before, StatefulAnswer answer) {
    if constexpr (kHasWatermarkLimit) {
      const EventTime now = answer == StatefulAnswer::kKeep ? LimitOf(kept) : kNoWatermarkLimit;
      if (now == before) return;
      if (now != kNoWatermarkLimit) watermarks_.Add(now);
      if (before != kNoWatermarkLimit) watermarks_.Remove(before);
    }
  }
  void LimitWatermark(const CapabilityRef<Epoch>& time) {
    if constexpr (kHasWatermarkLimit) step_.LimitWatermark(time, watermarks_.Limit());
  }

  template <class Key>
  void Finish(const Key& key, Kept& kept, EventTime limit_before, StatefulAnswer answer) {
    NoteLimit(kept, limit_before, answer);
    if (answer == StatefulAnswer::kDiscard) {
      Discard(key, kept);
    } else if (!Arm(key, kept)) {
      if constexpr (kHasOnEventTimer) kept.event_timers.Clear();
    }
  }

  template <class Key>
  void Discard(const Key& key, Kept& kept) {
    if constexpr (kHasOnTimer) {
      const int64_t armed = kept.clock_timers.armed();
      if (armed != KeyTimers::kNone) step_.CancelTimer(K(key), absl::FromUnixNanos(armed));
    }
    if constexpr (kHasOnEventTimer) {
      const EventTime armed = kept.event_timers.armed();
      if (armed != KeyTimers::kNone) step_.CancelEventTimer(K(key), armed);
    }
    step_.states().Erase(key);
  }

  // Sets the engine's timers if those of the key precede them. Returns false if event timers can
  // not be set any more, since the input has ended.
  template <class Key>
  bool Arm(const Key& key, Kept& kept) {
    if constexpr (kHasOnTimer) {
      const int64_t first = kept.clock_timers.First();
      const int64_t armed = kept.clock_timers.armed();
      if (first < armed) {
        const K k(key);
        if (armed != KeyTimers::kNone) step_.CancelTimer(k, absl::FromUnixNanos(armed));
        step_.SetTimer(k, absl::FromUnixNanos(first));
        kept.clock_timers.set_armed(first);
      }
    }
    if constexpr (kHasOnEventTimer) {
      const EventTime first = kept.event_timers.First();
      const EventTime armed = kept.event_timers.armed();
      if (first < armed) {
        const K k(key);
        if (armed != KeyTimers::kNone) step_.CancelEventTimer(k, armed);
        if (!step_.SetEventTimer(k, first)) return false;
        kept.event_timers.set_armed(first);
      }
    }
    return true;
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
  KeptWatermarks watermarks_;            // the limits of the states that have one
  std::optional<std::vector<K>> ended_;  // at the end of the input: the keys that did not end yet
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
concept NamesOnEventTimer = requires { &Logic::OnEventTimer; };
template <class Logic>
concept NamesOnEnd = requires { &Logic::OnEnd; };
template <class Logic>
concept NamesWatermarkLimit = requires { &Logic::WatermarkLimit; };

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
//   OnEventTimer(context, State&, EventTime at): the same for timers in event time.
//   OnEnd(context, State&): called when the input has ended. Optional.
//   EventTime WatermarkLimit(const State&) const: for states that keep values and emit them later,
//     so that they are not late downstream: the watermark that must not pass, which is that of the
//     context when the first of them came, or kNoWatermarkLimit if the state keeps none. Optional.
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
        static_assert(Calls::kHasOnEventTimer || !internal::NamesOnEventTimer<Logic>,
                      "Stateful: OnEventTimer must take (StatefulContext<K, Result>& context, "
                      "State& state, EventTime at) and return a StatefulAnswer");
        static_assert(Calls::kHasOnEnd || !internal::NamesOnEnd<Logic>,
                      "Stateful: OnEnd must take (StatefulContext<K, Result>& context, State& "
                      "state) and return a StatefulAnswer");
        static_assert(Calls::kHasWatermarkLimit || !internal::NamesWatermarkLimit<Logic>,
                      "Stateful: WatermarkLimit must be const, take (const State& state) and "
                      "return an EventTime");
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
        if constexpr (Calls::kHasOnEventTimer) {
          keyed.OnEventTimer([calls](const CapabilityRef<T>& time, const typename Calls::K& key,
                                     EventTime at) { calls->OnEventTimer(time, key, at); });
        }
        if constexpr (Calls::kHasOnEnd) {
          keyed.AtEnd([calls](const CapabilityRef<T>& time) { return calls->AtEnd(time); });
        }
        if constexpr (Calls::kHasWatermarkLimit) {
          keyed.OnRestored([calls](const CapabilityRef<T>& first) { calls->OnRestored(first); });
        }
        return keyed.Build(output);
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_STATEFUL_H_
