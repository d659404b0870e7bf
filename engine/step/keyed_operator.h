#ifndef HEADWAY_ENGINE_STEP_KEYED_OPERATOR_H_
#define HEADWAY_ENGINE_STEP_KEYED_OPERATOR_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "engine/runtime/concat.h"
#include "engine/step/alarm.h"
#include "engine/step/epoch_input.h"
#include "engine/step/operator_builder.h"
#include "engine/step/output_credit.h"
#include "engine/step/step_state.h"
#include "engine/step/watermark_state.h"

namespace headway {

namespace internal {
// The type of the keys that a function reads from records of a stream, as state keeps them.
template <class KeyFn, class D>
using KeyOf = RecordOfT<KeyInBatch<D, std::invoke_result_t<KeyFn&, ReadType<D>>>>;
}  // namespace internal

// The first element of a pair, as a key.
struct FirstOfPair {
  template <class Pair>
  const auto& operator()(const Pair& pair) const {
    return pair.first;
  }
};

// A keyed step on a worker, as its functions see it: the state S and the timers of its keys. Made
// by KeyedOperator; lives as long as the dataflow. Belongs to the worker's thread.
//
// A timer is a pair of a key and a time. A key may have any number of timers; setting one twice has
// no effect. A clock timer fires when the run's clock reaches its time, or when the input ends, if
// that is earlier. An event timer fires when the watermark of the step reaches its time, or when
// the input ends. An epoch timer fires when its epoch is complete at the step. A graceful stop
// completes all epochs, so epoch timers fire; the others remain state. Timers are state:
// snapshots contain them. Timers exist in the root scope only, and none can be set once the input
// has ended, unless they outlive it (KeyedOperator::KeepClockTimersAtEnd, KeepEventTimersAtEnd).
// All timers that are due fire in one activation, while the outputs have credit, and then in later
// ones. This holds for timers that their functions set for a time that is due, too. Event timers
// that wait for credit hold back later batches, and the watermark of the outputs.
template <class S, class D, class T, class KeyFn>
class KeyedStep {
 public:
  // A key as it is read from a batch, and as it is kept.
  using KeyInBatch = headway::KeyInBatch<D, std::invoke_result_t<KeyFn&, ReadType<D>>>;
  using K = RecordOfT<KeyInBatch>;
  using KeyView = typename KeyedState<K, S>::KeyView;

  // f(const CapabilityRef<T>& time, Batch<D>& batch)
  using OnBatch = absl::AnyInvocable<void(const CapabilityRef<T>&, Batch<D>&)>;
  // f(const CapabilityRef<T>& time, const K& key, time of the timer)
  using OnClockTimer = absl::AnyInvocable<void(const CapabilityRef<T>&, const K&, absl::Time)>;
  using OnEpochTimer = absl::AnyInvocable<void(const CapabilityRef<T>&, const K&, Epoch)>;
  using OnEventTimer = absl::AnyInvocable<void(const CapabilityRef<T>&, const K&, EventTime)>;
  // f(const CapabilityRef<T>& time)
  using OnWakeUp = absl::AnyInvocable<void(const CapabilityRef<T>&)>;
  // bool f(const CapabilityRef<T>& time); false: it waits for credit
  using OnWatermark = absl::AnyInvocable<bool(const CapabilityRef<T>&)>;
  // f(const CapabilityRef<T>& time)
  using OnInactive = absl::AnyInvocable<void(const CapabilityRef<T>&)>;
  using AtEnd = absl::AnyInvocable<bool(const CapabilityRef<T>&)>;
  // f(const CapabilityRef<T>& time)
  using OnRestored = absl::AnyInvocable<void(const CapabilityRef<T>&)>;

  KeyedStep(internal::Graph& graph, internal::Node& node, NodeInput<D, T>& input, KeyFn key)
      : graph_(graph),
        key_(std::move(key)),
        input_(input),
        state_(node.step_id()),
        watermark_(node.step_id(), graph.worker().index()),
        alarm_(graph, node) {}

  KeyedState<K, S>& states() { return state_.states(); }

  // The watermark of the inputs: no earlier record is expected. It never falls, from run to run
  // either. Of steps with event timers or OnWatermark, whose snapshots contain it.
  EventTime watermark() const { return watermark_.watermark(); }
  // For the end of the input, when a step has emitted its last results: a run that continues it
  // with more input starts from there.
  void RaiseWatermark(EventTime to) { watermark_.RaiseTo(to); }

  // The watermark of the inputs in this run, of any step.
  EventTime input_watermark() const { return input_.node().InputWatermark().time; }
  // For steps that keep records and send them later: see NodeInput::LimitWatermark. `time` is that
  // of the present batch or timer.
  void LimitWatermark(const CapabilityRef<T>& time, EventTime limit) {
    outgoing_.limit = limit;
    LimitOutgoing(time.time());
  }

  // Returns false if the outputs have no credit for more batches. For functions that emit many
  // results: see KeyedOperator::AtEnd. Cheap enough for each result.
  bool HasCredit() { return credit_.Has(graph_, input_.node()); }

  // Calls the function for wake-ups at a time of the run's clock, or earlier. A later call takes
  // the place of this one. It is not part of snapshots: a step that is restored sets it again.
  // InfinitePast: the next time that the step runs, before batches and watermarks.
  void WakeUpAt(absl::Time at) {
    wake_up_at_ = absl::ToUnixNanos(at);
    graph_.queue().Activate(input_.node());
  }
  // The wall-clock time of the run, for clock timers.
  absl::Time Now() { return graph_.worker().run().clock().Now(); }

  // f(i, S& state) for each record `i` of a batch of any input, with the state of its key, which is
  // made if it is absent. Faster than single lookups when the state is larger than the cache. `f`
  // may add and erase keys.
  template <class AnyBatch, class F>
  void AtEach(const AnyBatch& batch, F&& f) {
    states().AtEach(batch.size(), KeyOf(batch), f);
  }
  // The same with f(i, S* state), null if it is absent. `f` may take the records.
  template <class AnyBatch, class F>
  void FindEach(const AnyBatch& batch, F&& f) {
    states().FindEach(batch.size(), KeyOf(batch), f);
  }

  // Each returns false if there is nothing to do: the timer is set already, or is not set. SetTimer
  // outside of the step's functions is a FailedPrecondition failure of the run.
  bool SetTimer(const K& key, absl::Time at) {
    RequireRunning();
    RequireFunction(f_.on_clock_timer, "OnClockTimer");
    return (ending_ == Ending::kNot || f_.keeps_clock_timers) &&
           state_.clock_timers().Set(key, absl::ToUnixNanos(at));
  }
  bool CancelTimer(const K& key, absl::Time at) {
    return state_.clock_timers().Cancel(key, absl::ToUnixNanos(at));
  }
  // `time` is the time of the present batch or timer. An earlier epoch is a FailedPrecondition
  // failure of the run.
  bool SetTimer(const CapabilityRef<T>& time, const K& key, Epoch epoch) {
    RequireRunning();
    RequireFunction(f_.on_epoch_timer, "OnEpochTimer");
    if (epoch < time.time()) {
      graph_.errors().FailAndThrow(
          state_.step_id(), absl::FailedPreconditionError(internal::Concat(
                                {"it sets a timer for epoch ", std::to_string(epoch), " at time ",
                                 TimestampTraits<T>::Format(time.time()),
                                 "; set it for that epoch or a later one"})));
    }
    if (ending_ != Ending::kNot || !state_.epoch_timers().Set(key, epoch)) return false;
    HoldEpoch(time, epoch, epoch);
    return true;
  }
  // A time that the watermark has passed is due at once.
  bool SetEventTimer(const K& key, EventTime at) {
    RequireRunning();
    RequireFunction(f_.on_event_timer, "OnEventTimer");
    return (ending_ == Ending::kNot || f_.keeps_event_timers) && state_.event_timers().Set(key, at);
  }
  bool CancelEventTimer(const K& key, EventTime at) {
    return state_.event_timers().Cancel(key, at);
  }
  bool CancelTimer(const K& key, Epoch epoch) {
    if (!state_.epoch_timers().Cancel(key, epoch)) return false;
    ReleaseEpoch(epoch);
    return true;
  }

 private:
  template <class, class, class, class>
  friend class KeyedOperator;

  // An epoch with timers, and the right to send in it.
  struct HeldEpoch {
    std::vector<Capability<T>> capabilities;
    T time;
    size_t timer_count = 0;
  };
  // A time at which the watermark rose, while its results wait for credit.
  struct Paused {
    T time;
    std::vector<Capability<T>> capabilities;
    EventTime watermark;  // before it rose
    bool is_told;         // OnWatermark needs no further call
  };
  enum class Ending : uint8_t { kNot, kTimers, kStates };
  static constexpr int64_t kAtOnce = std::numeric_limits<int64_t>::min();  // of WakeUpAt
  // The bounds of the watermark of the outputs, besides that of the inputs.
  struct Outgoing {
    EventTime limit = kNoWatermarkLimit;  // of the step's functions
    std::optional<Paused> paused;
  };

  template <class AnyBatch>
  auto KeyOf(const AnyBatch& batch) {
    using Record = typename AnyBatch::Record;
    using Key = headway::KeyInBatch<Record, std::invoke_result_t<KeyFn&, ReadType<Record>>>;
    return [this, &batch](size_t i) -> Key { return Key(key_(batch[i])); };
  }

  template <class F>
  void RequireFunction(const F& f, std::string_view name) {
    if (f) return;
    graph_.errors().FailAndThrow(
        state_.step_id(),
        absl::FailedPreconditionError(internal::Concat(
            {"it has a timer and no function for it; give its KeyedOperator one with ", name})));
  }

  void RequireRunning() {
    if (input_.node().running) return;
    graph_.errors().FailAndThrow(
        state_.step_id(),
        absl::FailedPreconditionError("SetTimer was called outside of the step's functions; set a "
                                      "timer within one of them"));
  }

  struct Functions {
    OnBatch on_batch;
    OnClockTimer on_clock_timer;
    OnEpochTimer on_epoch_timer;
    OnEventTimer on_event_timer;
    OnWatermark on_watermark;
    OnInactive on_inactive;
    OnWakeUp on_wake_up;
    AtEnd at_end;
    absl::AnyInvocable<bool()> may_close;  // whether an epoch may close now; empty: always
    OnRestored on_restored;
    bool has_own_watermark = false;
    bool keeps_clock_timers = false;  // at the end of the input
    bool keeps_event_timers = false;  // likewise
  };

  bool needs_capabilities() const {
    return f_.on_clock_timer || f_.on_epoch_timer || f_.on_event_timer || f_.on_wake_up ||
           f_.at_end || f_.on_restored;
  }
  bool keeps_watermark() const { return f_.on_event_timer || f_.on_watermark; }

  void Start(std::optional<size_t> ends, internal::FurtherInputs<T> further,
             std::vector<Capability<T>> held) {
    ends_input_.emplace(input_, graph_.worker().run().options(), ends, ends.has_value(),
                        std::move(further));
    held_ = std::move(held);
  }

  // Called when the dataflow has been built: the timers are those that were restored.
  void Resume() {
    if (!state_.clock_timers().empty()) RequireFunction(f_.on_clock_timer, "OnClockTimer");
    if (!state_.epoch_timers().empty()) RequireFunction(f_.on_epoch_timer, "OnEpochTimer");
    if (!state_.event_timers().empty()) RequireFunction(f_.on_event_timer, "OnEventTimer");
    if constexpr (std::is_same_v<T, Epoch>) {
      if (held_.empty()) return;
      input_.WithRightAt(held_[0].time(), [&](const CapabilityRef<T>& first) {
        if (f_.on_restored) f_.on_restored(first);
        state_.epoch_timers().ForEach(
            [&](const K&, Epoch epoch) { HoldEpoch(first, epoch, std::max(epoch, first.time())); });
      });
    }
  }

  void Run() {
    if (outgoing_.paused.has_value() && !Continue()) return;
    if constexpr (std::is_same_v<T, Epoch>) {
      if (wake_up_at_ == kAtOnce && MayFire()) WakeUpIfDue();
    }
    auto close = [this](Epoch epoch) {
      if (outgoing_.paused.has_value() || (f_.may_close && !f_.may_close()) ||
          !FireEpochTimers(epoch)) {
        RunAgain();
        return false;
      }
      if (keeps_watermark()) watermark_.TellClosed(epoch);
      state_.TellClosed(epoch);
      return true;
    };
    const bool applied = ends_input_->Apply(
        [this](const CapabilityRef<T>& time, Batch<D>& batch) { f_.on_batch(time, batch); }, close,
        [this](const CapabilityRef<T>& time) {
          if (keeps_watermark() && !f_.has_own_watermark) PassWatermark(time);
          if (f_.on_inactive && !input_.node().InputWatermark().active) {
            ends_input_->KeepOpen(time);
            f_.on_inactive(time);
          }
        });
    if (held_.empty()) {
      ends_input_->CloseEnded(close);
    } else if constexpr (std::is_same_v<T, Epoch>) {
      // An epoch that waits for its end gets no changes of a later one, and batches may wait for
      // it.
      if (!applied) return;
      const FrontierView<T> frontier = ends_input_->frontier();
      if (frontier.empty() && !outgoing_.paused.has_value() && !End(close)) return RunAgain();
      if (!ends_input_->CloseEnded(close)) return;
      const std::optional<Epoch> last = internal::LastEndedEpoch(frontier);
      if (!ends_input_->closes_epochs() && last.has_value() && !FireEpochTimers(*last)) RunAgain();
      for (Capability<T>& capability : held_) capability.Follow(frontier);
      if (!outgoing_.paused.has_value() && MayFire()) {
        if (!state_.event_timers().empty()) FireDueEventTimers();
        FireDueClockTimers();
        WakeUpIfDue();
      }
    }
  }

  // A stop waits for no more records.
  bool MayFire() const { return !held_.empty() && held_[0].time() < kStopEpoch; }

  // For an activation that lacks credit, as a rule. The rest of the inputs waits, too.
  void RunAgain() {
    input_.node().taken = std::numeric_limits<int>::max();
    graph_.queue().Activate(input_.node());
  }

  void LimitOutgoing(const T& time) {
    input_.LimitWatermark(time, outgoing_.paused.has_value()
                                    ? std::min(outgoing_.limit, outgoing_.paused->watermark)
                                    : outgoing_.limit);
  }

  void PassWatermark(const CapabilityRef<T>& time) {
    const EventTime before = watermark();
    const EventTime raised = input_watermark();
    if (raised <= before) return;
    ends_input_->KeepOpen(time);
    watermark_.RaiseTo(raised);
    if (outgoing_.paused.has_value()) {
      outgoing_.paused->is_told = false;
      return;
    }
    bool is_told = false;
    if (!SendDue(time, is_told)) Pause(time, before, is_told);
  }

  // Sends the results that are due at the watermark. Returns false if they wait for credit.
  bool SendDue(const CapabilityRef<T>& time, bool& is_told) {
    if (!is_told && f_.on_watermark && !f_.on_watermark(time)) return false;
    is_told = true;
    return FireEventTimers(time, watermark());
  }

  void Pause(const CapabilityRef<T>& time, EventTime before, bool is_told) {
    outgoing_.paused.emplace(Paused{time.time(), input_.RetainAll(time), before, is_told});
    LimitOutgoing(time.time());
    RunAgain();
  }

  // Sends the results that waited. Returns false if there are more.
  bool Continue() {
    bool done = false;
    input_.WithRightAt(outgoing_.paused->time, [&](const CapabilityRef<T>& time) {
      done = SendDue(time, outgoing_.paused->is_told);
    });
    if (done) {
      const Paused paused = *std::exchange(outgoing_.paused, std::nullopt);
      LimitOutgoing(paused.time);
    } else {
      RunAgain();
    }
    return done;
  }

  // The last results, in the last epoch that the step knows of. Returns false if they wait for
  // credit.
  template <class Close>
  bool End(Close& close) {
    const std::optional<Epoch> last = ends_input_->last_open();
    if (ending_ == Ending::kNot && last > held_[0].time()) {
      for (Capability<T>& capability : held_) capability.Downgrade(*last);
    }
    ending_ = std::max(ending_, Ending::kTimers);
    bool done = false;
    input_.WithRightAt(held_[0].time(), [&](const CapabilityRef<T>& time) {
      if (!ends_input_->CloseBefore(time.time(), close)) return;
      ends_input_->KeepOpen(time);
      // Timers precede the states: none fires for a key whose end was told.
      done =
          ending_ == Ending::kStates ||
          (FireEventTimers(
               time, f_.keeps_event_timers ? watermark() : std::numeric_limits<EventTime>::max()) &&
           FireClockTimers(time, f_.keeps_clock_timers ? absl::ToUnixNanos(Now())
                                                       : std::numeric_limits<int64_t>::max()) &&
           FireEpochTimers(std::numeric_limits<Epoch>::max()));
      if (!done) return;
      ending_ = Ending::kStates;
      done = !f_.at_end || f_.at_end(time);
    });
    // Open epochs have capabilities of their own.
    if (done) held_.clear();
    return done;
  }

  void FireDueClockTimers() {
    if (state_.clock_timers().empty()) return;
    Clock& clock = graph_.worker().run().clock();
    const int64_t now = absl::ToUnixNanos(clock.Now());
    input_.WithRightAt(held_[0].time(), [&](const CapabilityRef<T>& time) {
      if (!FireClockTimers(time, now)) RunAgain();
    });
    if (const std::optional<int64_t> first = state_.clock_timers().First()) {
      SetAlarm(clock.NowNanos(), *first, now);
    }
  }

  void WakeUpIfDue() {
    if (wake_up_at_ == internal::Alarm::kNever) return;
    Clock& clock = graph_.worker().run().clock();
    const int64_t now = absl::ToUnixNanos(clock.Now());
    if (wake_up_at_ <= now) {
      wake_up_at_ = internal::Alarm::kNever;
      input_.WithRightAt(held_[0].time(), [&](const CapabilityRef<T>& time) {
        ends_input_->KeepOpen(time);
        f_.on_wake_up(time);
      });
    }
    if (wake_up_at_ != internal::Alarm::kNever) SetAlarm(clock.NowNanos(), wake_up_at_, now);
  }

  // The wall clock may jump: the times are looked at again whenever the step runs.
  void SetAlarm(int64_t now_nanos, int64_t at, int64_t now) {
    alarm_.Set(now_nanos, at == internal::Alarm::kNever
                              ? internal::Alarm::kNever
                              : internal::Alarm::Later(now_nanos, at - now));
  }

  // Timers that were set for a time that the watermark had passed already.
  void FireDueEventTimers() {
    if (*state_.event_timers().First() > watermark()) return;
    input_.WithRightAt(held_[0].time(), [&](const CapabilityRef<T>& time) {
      if (!FireEventTimers(time, watermark())) RunAgain();
    });
  }

  // These fire timers up to a time, at least one of them. They return false if they stopped because
  // the outputs had no credit.
  bool FireEventTimers(const CapabilityRef<T>& time, EventTime last) {
    while (auto timer = state_.event_timers().TakeDue(last)) {
      ends_input_->KeepOpen(time);
      f_.on_event_timer(time, timer->first, timer->second);
      if (!HasCredit()) return false;
    }
    return true;
  }
  bool FireClockTimers(const CapabilityRef<T>& time, int64_t last) {
    while (auto timer = state_.clock_timers().TakeDue(last)) {
      ends_input_->KeepOpen(time);
      f_.on_clock_timer(time, timer->first, absl::FromUnixNanos(timer->second));
      if (!HasCredit()) return false;
    }
    return true;
  }
  bool FireEpochTimers(Epoch last) {
    while (!held_epochs_.empty() && held_epochs_.begin()->first <= last) {
      const Epoch epoch = held_epochs_.begin()->first;
      HeldEpoch& held = held_epochs_.begin()->second;
      firing_ = epoch;
      bool has_credit = true;
      input_.WithRightAt(held.time, [&](const CapabilityRef<T>& time) {
        while (has_credit && held.timer_count > 0) {
          --held.timer_count;
          f_.on_epoch_timer(time, state_.epoch_timers().TakeDue(epoch)->first, epoch);
          has_credit = HasCredit();
        }
      });
      firing_.reset();
      if (held.timer_count > 0) return false;
      held_epochs_.erase(epoch);
    }
    return true;
  }

  // Keeps the right to send at `at`, where the timers of `epoch` fire.
  void HoldEpoch(const CapabilityRef<T>& time, Epoch epoch, const T& at) {
    auto [held, is_new] = held_epochs_.try_emplace(epoch);
    ++held->second.timer_count;
    if (!is_new) return;
    held->second.time = at;
    for (size_t i = 0; i < held_.size(); ++i) {
      held->second.capabilities.push_back(time.Delayed(at, i));
    }
    ends_input_->KeepOpen(time, at);
  }

  void ReleaseEpoch(Epoch epoch) {
    auto held = held_epochs_.find(epoch);
    if (--held->second.timer_count == 0 && epoch != firing_) held_epochs_.erase(held);
  }

  internal::Graph& graph_;
  KeyFn key_;
  NodeInput<D, T>& input_;
  std::optional<internal::EpochInput<D, T>> ends_input_;
  internal::StepState<K, S> state_;
  internal::WatermarkState watermark_;
  Functions f_;
  int64_t wake_up_at_ = internal::Alarm::kNever;
  std::vector<Capability<T>> held_;  // for timers and the end: at the frontier, for each output
  std::map<Epoch, HeldEpoch> held_epochs_;
  std::optional<Epoch> firing_;  // the epoch whose timers fire
  Ending ending_ = Ending::kNot;
  internal::Alarm alarm_;  // of the earliest clock timer
  Outgoing outgoing_;
  internal::OutputCredit credit_;
};

// Builds a keyed step: an operator whose input is exchanged by key, so that a key is always on the
// same worker, with state and timers for each key. It owns all that a keyed step needs: the
// exchange, the epoch order that the run may ask for, the ends of epochs with their snapshots, and
// the timers. Prefer it to OperatorBuilder for a step with state. A step that brings several
// streams together, such as a join, adds the others with AddInput.
//
//   KeyedOperator<S, D, T, KeyFn> keyed(stream, "step_id", key);
//   auto& output = keyed.template AddOutput<R>();
//   keyed.OnBatch([&step = keyed.step(), &output](const CapabilityRef<T>& time, Batch<D>& batch) {
//     auto session = output.SessionAt(time);
//     step.AtEach(batch, [&](size_t i, S& state) { ... });
//   });
//   return keyed.Build(output);
//
// key(record) is the key, with std::string_view for strings. An Exchange before a keyed step
// partitions the stream twice: leave it out.
template <class S, class D, class T, class KeyFn>
class KeyedOperator {
  static_assert(std::is_invocable_v<KeyFn&, ReadType<D>>,
                "KeyedOperator: the key function must take one record of the stream, with "
                "std::string_view for its strings, and return its key");
  static_assert(
      StableKey<internal::KeyOf<KeyFn, D>>,
      "KeyedOperator: the key must have a stable hash and ==: numbers, strings, std types "
      "and aggregates of them have both, and a type of your own needs uint64_t "
      "HeadwayStableHash(const Type&) and operator==");

 public:
  using Step = KeyedStep<S, D, T, KeyFn>;

  KeyedOperator(const Stream<D, T>& stream, std::string_view step_id, KeyFn key)
      : KeyedOperator(stream, step_id, key, pact::Exchange{key}) {}
  // The same for records that come to their workers in another way. StableHash(key(record)) selects
  // the worker that gets the record: its state is restored there.
  template <class Pact>
    requires internal::kIsPact<Pact>
  KeyedOperator(const Stream<D, T>& stream, std::string_view step_id, KeyFn key, Pact pact)
      : builder_(stream.scope(), step_id),
        step_(builder_.graph().objects().template Make<Step>(
            builder_.graph(), builder_.node(), builder_.AddInput(stream, std::move(pact)),
            std::move(key))) {}

  template <class R>
  NodeOutput<R, T>& AddOutput() {
    NodeOutput<R, T>& output = builder_.template AddOutput<R>();
    step_.credit_.Count(output);
    return output;
  }

  Step& step() { return step_; }

  // The function for the batches of the input. The keys of a batch are on this worker.
  template <class F>
  void OnBatch(F f) {
    static_assert(std::is_invocable_v<F&, const CapabilityRef<T>&, Batch<D>&>,
                  "KeyedOperator: OnBatch must get a function of (const CapabilityRef<T>& time, "
                  "Batch<D>& batch)");
    builder_.RequireNotBuilt();
    step_.f_.on_batch = std::move(f);
  }
  // The functions for timers. Their `time` is the epoch of an epoch timer, and the first epoch that
  // is not complete at the step for a clock timer.
  template <class F>
  void OnClockTimer(F f) {
    RequireRootScope();
    static_assert(
        std::is_invocable_v<F&, const CapabilityRef<T>&, const typename Step::K&, absl::Time>,
        "KeyedOperator: OnClockTimer must get a function of (const CapabilityRef<T>& time, "
        "const Key& key, absl::Time at)");
    builder_.RequireNotBuilt();
    step_.f_.on_clock_timer = std::move(f);
  }
  template <class F>
  void OnEpochTimer(F f) {
    RequireRootScope();
    static_assert(std::is_invocable_v<F&, const CapabilityRef<T>&, const typename Step::K&, Epoch>,
                  "KeyedOperator: OnEpochTimer must get a function of (const CapabilityRef<T>& "
                  "time, const Key& key, Epoch epoch)");
    builder_.RequireNotBuilt();
    step_.f_.on_epoch_timer = std::move(f);
  }
  template <class F>
  void OnEventTimer(F f) {
    RequireRootScope();
    static_assert(
        std::is_invocable_v<F&, const CapabilityRef<T>&, const typename Step::K&, EventTime>,
        "KeyedOperator: OnEventTimer must get a function of (const CapabilityRef<T>& time, "
        "const Key& key, EventTime at)");
    builder_.RequireNotBuilt();
    step_.f_.on_event_timer = std::move(f);
  }
  // The function for a higher watermark: KeyedStep::watermark(). The records before it are applied.
  // The watermark goes downstream when it has returned, behind its records. It may stop for lack of
  // credit, as that of AtEnd does.
  template <class F>
  void OnWatermark(F f) {
    RequireRootScope();
    static_assert(std::is_invocable_v<F&, const CapabilityRef<T>&>,
                  "KeyedOperator: OnWatermark must get a function of (const CapabilityRef<T>& "
                  "time)");
    builder_.RequireNotBuilt();
    step_.f_.on_watermark = InPieces(std::move(f));
  }
  // The function for an input that has become inactive: its partitions have ended or are idle, so
  // that the steps downstream wait for no record of this worker. It is called before they learn of
  // it, and sends the results that they would miss.
  template <class F>
  void OnInactive(F f) {
    RequireRootScope();
    static_assert(std::is_invocable_v<F&, const CapabilityRef<T>&>,
                  "KeyedOperator: OnInactive must get a function of (const CapabilityRef<T>& "
                  "time)");
    builder_.RequireNotBuilt();
    step_.f_.on_inactive = std::move(f);
  }
  // The step has a watermark of its own, which only KeyedStep::RaiseWatermark raises; that of the
  // stream passes by. REQUIRES: OnWatermark or OnEventTimer.
  void KeepOwnWatermark() {
    builder_.RequireNotBuilt();
    step_.f_.has_own_watermark = true;
  }
  // The function for KeyedStep::WakeUpAt.
  template <class F>
  void OnWakeUp(F f) {
    RequireRootScope();
    static_assert(std::is_invocable_v<F&, const CapabilityRef<T>&>,
                  "KeyedOperator: OnWakeUp must get a function of (const CapabilityRef<T>& time)");
    builder_.RequireNotBuilt();
    step_.f_.on_wake_up = std::move(f);
  }
  // Further state under the keys, which lives as long as the dataflow. The parts of its entries
  // begin with a byte from kFirstOwnPart on.
  void AddState(StateBase& state) {
    builder_.RequireNotBuilt();
    step_.state_.AddOwn(state);
  }
  // The function that is called once, before all batches, when the state has been restored. It
  // neither sends nor sets timers.
  template <class F>
  void OnRestored(F f) {
    RequireRootScope();
    static_assert(std::is_invocable_v<F&, const CapabilityRef<T>&>,
                  "KeyedOperator: OnRestored must get a function of (const CapabilityRef<T>& "
                  "first)");
    builder_.RequireNotBuilt();
    step_.f_.on_restored = std::move(f);
  }
  // The function for the end of the input, after all batches and timers. A graceful stop is not the
  // end of the input. A function that may emit many results returns a bool: false, when
  // KeyedStep::HasCredit is false, to be called again for the others when there is credit. Batches
  // and the ends of epochs wait meanwhile.
  template <class F>
  void AtEnd(F f) {
    RequireRootScope();
    static_assert(std::is_invocable_v<F&, const CapabilityRef<T>&>,
                  "KeyedOperator: AtEnd must get a function of (const CapabilityRef<T>& time)");
    builder_.RequireNotBuilt();
    step_.f_.at_end = InPieces(std::move(f));
  }

  // Adds an input, of records of any type, and the function for its batches. The key function takes
  // its records too, and returns keys of the same type. Batches of different inputs come in an
  // arbitrary order within an epoch. The input ends when all of them have ended.
  template <class E, class F>
  void AddInput(const Stream<E, T>& stream, F f) {
    static_assert(std::is_invocable_v<KeyFn&, ReadType<E>>,
                  "KeyedOperator: the key function must take the records of each input");
    static_assert(std::is_same_v<internal::KeyOf<KeyFn, E>, typename Step::K>,
                  "KeyedOperator: all inputs must have keys of the same type");
    static_assert(std::is_invocable_v<F&, const CapabilityRef<T>&, Batch<E>&>,
                  "KeyedOperator: AddInput must get a function of (const CapabilityRef<T>& time, "
                  "Batch<E>& batch)");
    NodeInput<E, T>& input = builder_.AddInput(stream, pact::Exchange{step_.key_});
    further_.push_back(
        std::make_unique<internal::FurtherInputOf<E, T, F>>(input, IsInOrder(), std::move(f)));
  }

  // Applies batches in epoch order although the run does not ask for it: a batch of a later epoch
  // waits until no earlier one can come, and the timers of the earlier epoch have fired. Precedes
  // AddInput.
  void ApplyInEpochOrder() {
    builder_.RequireNotBuilt();
    in_order_ = true;
  }
  // At the end of the input only the clock timers that are due fire. The others remain state, for a
  // run that continues with more input.
  void KeepClockTimersAtEnd() {
    builder_.RequireNotBuilt();
    step_.f_.keeps_clock_timers = true;
  }
  // The same for event timers.
  void KeepEventTimersAtEnd() {
    builder_.RequireNotBuilt();
    step_.f_.keeps_event_timers = true;
  }
  // An epoch whose batches are applied stays open until may_close() is true; no batch of a later
  // epoch is applied before. For a step whose batches are finished later, downstream, under credit:
  // it is asked again when the outputs have credit. The step has no timers and no AtEnd.
  template <class F>
  void CloseEpochsIf(F may_close) {
    static_assert(std::is_invocable_r_v<bool, F&>,
                  "KeyedOperator: CloseEpochsIf must get a function that returns a bool");
    builder_.RequireNotBuilt();
    step_.f_.may_close = std::move(may_close);
  }

  // The stream of a further output.
  template <class R>
  Stream<R, T> StreamOf(NodeOutput<R, T>& output) {
    return builder_.StreamOf(output);
  }

  // Ends the build, and returns the stream of `output`. Without a function for batches the build
  // fails with InvalidArgument.
  template <class R>
  Stream<R, T> Build(NodeOutput<R, T>& output) {
    if (!step_.f_.on_batch) {
      builder_.graph().errors().FailAndThrow(
          builder_.node().step_id(),
          absl::InvalidArgumentError("it has no function for batches; give its KeyedOperator one "
                                     "with OnBatch before Build"));
    }
    const bool in_order = IsInOrder();
    std::optional<size_t> ends;
    if (in_order) {
      // No record leaves through this output: its capabilities keep epochs open.
      ends = builder_.node().outputs.size();
      builder_.template AddOutput<char>();
    }
    // Without epoch order nobody asks for the ends of epochs.
    builder_.AddParticipant(step_.state_, ends.value_or(0), [&step = step_] { step.Resume(); });
    if (step_.keeps_watermark()) {
      builder_.AddParticipant(step_.watermark_, ends.value_or(0), [] {});
    }
    auto logic = [&step = step_] { step.Run(); };
    if (step_.needs_capabilities()) {
      builder_.Build([&](std::vector<Capability<T>> first) {
        step_.Start(ends, std::move(further_), std::move(first));
        return logic;
      });
    } else {
      step_.Start(ends, std::move(further_), {});
      for (size_t i = 0; !in_order && i < builder_.node().inputs.size(); ++i) {
        builder_.IgnoreFrontier(i);
      }
      builder_.BuildWithoutCapabilities(logic);
    }
    return builder_.StreamOf(output);
  }

 private:
  // A function that is called until it returns true, if it returns a bool; else once.
  template <class F>
  static auto InPieces(F f) {
    return [f = std::move(f)](const CapabilityRef<T>& time) mutable {
      if constexpr (std::is_void_v<std::invoke_result_t<F&, const CapabilityRef<T>&>>) {
        f(time);
        return true;
      } else {
        return f(time);
      }
    };
  }

  static void RequireRootScope() {
    static_assert(std::is_same_v<T, Epoch>,
                  "a keyed step with timers, or with last results at the end of the input, belongs "
                  "into the root scope");
  }

  bool IsInOrder() {
    return in_order_ || builder_.graph().worker().run().options().apply_in_epoch_order;
  }

  OperatorBuilder<T> builder_;
  Step& step_;
  internal::FurtherInputs<T> further_;
  bool in_order_ = false;
};

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_KEYED_OPERATOR_H_
