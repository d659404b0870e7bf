#ifndef HEADWAY_OPERATORS_WINDOWS_WINDOW_WITH_H_
#define HEADWAY_OPERATORS_WINDOWS_WINDOW_WITH_H_

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "engine/step/define_step.h"
#include "operators/windows/aggregates.h"
#include "operators/windows/key_windows.h"
#include "operators/windows/session_logic.h"
#include "operators/windows/slice_windows.h"
#include "operators/windows/windowers.h"

namespace headway {

namespace internal {

// A SystemClock and a KeyClock need no watermark of the stream.
template <class D, class T, class Clock>
Stream<D, T> TimedBy(const Clock& clock, const Stream<D, T>& stream, std::string_view id) {
  if constexpr (kIsSystemClock<Clock>) {
    return stream;
  } else {
    static_assert(ClockOfValues<decltype(Clock::time), D>,
                  "WindowWith: the function of the clock must take a value, with "
                  "std::string_view for its strings, and return its time: an absl::Time, a "
                  "std::chrono::sys_time or a number");
    if constexpr (kIsKeyClock<Clock>) {
      return stream;
    } else {
      return WithValueClock(stream, id, clock);
    }
  }
}

template <class D, class T>
void RequireValid(const Stream<D, T>& stream, std::string_view id, const absl::Status& status) {
  if (status.ok()) return;
  stream.scope().graph().errors().FailAndThrow(stream.scope().FullId(id), status);
}

// Adds the output for the events of a step's windows.
template <class T, class Keyed>
auto& AddEvents(Keyed& keyed, Graph& graph) {
  using Events = WindowEvents<typename Keyed::Step::K, T>;
  return graph.objects().template Make<Events>(
      keyed.template AddOutput<std::pair<typename Keyed::Step::K, WindowEvent>>());
}
template <class Keyed, class R, class D, class T, class K>
auto BuildWithEvents(Keyed& keyed, NodeOutput<R, T>& results, NodeOutput<D, T>& late,
                     WindowEvents<K, T>& events) {
  const Stream<R, T> stream_of_results = keyed.Build(results);
  return KeyWindowStream(stream_of_results, keyed.StreamOf(late), keyed.StreamOf(events.output()),
                         events.wanted());
}

template <class D, class T, class Clock, class W, class Agg>
auto BuildSliceWindows(const Stream<D, T>& stream, std::string_view id, Clock clock, W windower,
                       Agg aggregate, const WindowOptions& options) {
  using Logic = SliceWindows<D, T, Clock, W, Agg>;
  KeyedOperator<char, D, T, FirstOfPair> keyed(stream, id, FirstOfPair());
  auto& results =
      keyed.template AddOutput<std::pair<typename Logic::K, Windowed<typename Logic::Result>>>();
  auto& late = keyed.template AddOutput<D>();
  auto& events = AddEvents<T>(keyed, stream.scope().graph());
  auto& logic = stream.scope().graph().objects().template Make<Logic>(
      keyed.step(), results, late, events, std::move(clock), std::move(windower),
      std::move(aggregate), options);
  keyed.AddState(logic.state());
  keyed.OnRestored([&logic](const CapabilityRef<T>&) { logic.Resume(); });
  keyed.OnBatch(
      [&logic](const CapabilityRef<T>& time, Batch<D>& batch) { logic.Add(time, batch); });
  keyed.OnWatermark([&logic](const CapabilityRef<T>& time) { return logic.Close(time); });
  if constexpr (kIsSystemClock<Clock>) keyed.KeepOwnWatermark();
  keyed.OnWakeUp([&logic](const CapabilityRef<T>& time) { logic.WakeUp(time); });
  keyed.AtEnd([&logic](const CapabilityRef<T>& time) { return logic.End(time); });
  return BuildWithEvents(keyed, results, late, events);
}

template <class D, class T, class Clock, class Agg>
auto BuildSessionWindows(const Stream<D, T>& stream, std::string_view id, Clock clock,
                         const SessionWindows& windows, Agg aggregate) {
  using Logic = SessionLogic<D, T, Clock, Agg>;
  using State = Sessions<typename Agg::State>;
  KeyedOperator<State, D, T, FirstOfPair> keyed(stream, id, FirstOfPair());
  auto& results =
      keyed.template AddOutput<std::pair<typename Logic::K, Windowed<typename Logic::Result>>>();
  auto& late = keyed.template AddOutput<D>();
  auto& events = AddEvents<T>(keyed, stream.scope().graph());
  auto& logic = stream.scope().graph().objects().template Make<Logic>(
      keyed.step(), results, late, events, std::move(clock), windows, std::move(aggregate));
  keyed.OnBatch(
      [&logic](const CapabilityRef<T>& time, Batch<D>& batch) { logic.Add(time, batch); });
  keyed.OnEventTimer([&logic](const CapabilityRef<T>& time, const typename Logic::K& key,
                              EventTime) { logic.Close(time, key); });
  keyed.AtEnd([&logic](const CapabilityRef<T>& time) { return logic.End(time); });
  return BuildWithEvents(keyed, results, late, events);
}

template <class D, class T, class Clock, class W, class Agg>
auto BuildCountWindows(const Stream<D, T>& stream, std::string_view id, Clock clock, W windows,
                       Agg aggregate) {
  using Logic = CountWindowsLogic<D, T, Clock, W, Agg>;
  KeyedOperator<typename Logic::State, D, T, FirstOfPair> keyed(stream, id, FirstOfPair());
  auto& results =
      keyed.template AddOutput<std::pair<typename Logic::K, Windowed<typename Logic::Result>>>();
  auto& late = keyed.template AddOutput<D>();  // none is
  auto& events = AddEvents<T>(keyed, stream.scope().graph());
  auto& logic = stream.scope().graph().objects().template Make<Logic>(
      keyed.step(), results, events, std::move(clock), std::move(windows), std::move(aggregate));
  keyed.OnBatch(
      [&logic](const CapabilityRef<T>& time, Batch<D>& batch) { logic.Add(time, batch); });
  keyed.AtEnd([&logic](const CapabilityRef<T>& time) { logic.End(time); });
  return BuildWithEvents(keyed, results, late, events);
}

template <class D, class T, class F, class W, class Agg>
auto BuildKeyClockWindows(const Stream<D, T>& stream, std::string_view id, KeyClock<F> clock,
                          W windows, Agg aggregate) {
  using Logic = KeyClockLogic<D, T, F, W, Agg>;
  KeyedOperator<typename Logic::State, D, T, FirstOfPair> keyed(stream, id, FirstOfPair());
  auto& results =
      keyed.template AddOutput<std::pair<typename Logic::K, Windowed<typename Logic::Result>>>();
  auto& late = keyed.template AddOutput<D>();
  auto& events = AddEvents<T>(keyed, stream.scope().graph());
  auto& logic = stream.scope().graph().objects().template Make<Logic>(
      keyed.step(), results, late, events, std::move(clock), std::move(windows),
      std::move(aggregate));
  keyed.OnBatch(
      [&logic](const CapabilityRef<T>& time, Batch<D>& batch) { logic.Add(time, batch); });
  keyed.OnClockTimer([&logic](const CapabilityRef<T>& time, const typename Logic::K& key,
                              absl::Time at) { logic.Fire(time, key, at); });
  keyed.AtEnd([&logic](const CapabilityRef<T>& time) { logic.End(time); });
  keyed.KeepClockTimersAtEnd();
  return BuildWithEvents(keyed, results, late, events);
}

}  // namespace internal

// Divides the values of each key into windows, and emits the result of an aggregate for each
// window: (key, Windowed{window, pane, result}). The input consists of (key, value) records. All
// steps with windows are this one with an aggregate of the library; aggregates.h says how to write
// your own.
//
// `clock` is an EventClock of the values, a SystemClock or a KeyClock. A window emits when the
// watermark passes its end, and then forgets its records; that does not wait for the end of an
// epoch. When the input ends all windows emit. A graceful stop is not the end of the input: windows
// that are open remain state.
//
// A window of CountWindows emits with its last record, and at the end of the input with the records
// that it has; in a run that continues, the next record of the key begins a new window. No record
// is late. The clock has only the times for the aggregate: with a SystemClock these are the numbers
// of the records.
//
// Records that come when all of their windows are closed go to late() of the result, a stream of
// input records. A record behind the watermark that has an open window is not late. In a run that
// resumes another one, the watermark continues from where it was.
//
// events() of the result says when windows of a key open, merge and close (window_events.h).
//
// The step exchanges its input by key. An aggregate is kept for each key and slice of the windows
// (windowers.h), until the last window of the slice is over. With a KeyClock and with CountWindows
// an entry of each key stays: its watermark, or the number of its records. A change of the windows'
// length or alignment between runs is an error. An exception of a function ends the run with an
// error that names the step. Invalid windows, and WindowOptions with SessionWindows, CountWindows
// or a KeyClock, are InvalidArgument failures of the build.
//
// A record costs a lookup of its key. Overlapping windows with states of a small, fixed size also
// keep sums of slices, which take about as much memory as the slices. With a KeyClock, one that
// raises the watermark of its key also moves a timer.
template <class Clock, class W, class Agg>
auto WindowWith(std::string step_id, Clock clock, W windows, Agg aggregate,
                WindowOptions options = {}) {
  static_assert(Windower<W> || std::is_same_v<W, SessionWindows>,
                "WindowWith: the windows must be TumblingWindows, SlidingWindows, CalendarWindows, "
                "CountWindows, SessionWindows or a windower of your own");
  return DefineStep(
      std::move(step_id), std::move(clock), std::move(windows), std::move(aggregate), options,
      []<class D, class T>(const Stream<D, T>& stream, std::string_view id, Clock of_records, W w,
                           Agg agg, WindowOptions with) {
        static_assert(KeyValueRecord<D>,
                      "WindowWith: the stream must have (key, value) pairs as records; make them "
                      "with KeyOn");
        static_assert(std::is_same_v<T, Epoch>, "WindowWith must be in the root scope");
        using V = RecordOfT<TakenValue<D>>;
        auto of_values = internal::AggregateFor<Agg, V>(std::move(agg));
        static_assert(WindowAggregate<decltype(of_values), V>,
                      "WindowWith: the aggregate must have Add(State&, EventTime, value), "
                      "Merge(State&, const State&) and Result(const State&) for these values");
        internal::RequireValid(stream, id, w.Validate());
        internal::RequireValid(stream, id, internal::Validate(with));
        const Stream<D, T> timed = internal::TimedBy(of_records, stream, id);
        if constexpr (std::is_same_v<W, CountWindows>) {
          static_assert(!internal::kIsKeyClock<Clock>,
                        "WindowWith: CountWindows need a SystemClock or an EventClock");
          internal::RequireValid(stream, id, internal::ValidateNone(with));
          return internal::BuildCountWindows(timed, id, std::move(of_records), std::move(w),
                                             std::move(of_values));
        } else if constexpr (internal::kIsKeyClock<Clock>) {
          internal::RequireValid(stream, id, internal::Validate(of_records));
          internal::RequireValid(stream, id, internal::ValidateNone(with));
          return internal::BuildKeyClockWindows(timed, id, std::move(of_records), std::move(w),
                                                std::move(of_values));
        } else if constexpr (std::is_same_v<W, SessionWindows>) {
          static_assert(!internal::kIsSystemClock<Clock>,
                        "WindowWith: sessions need an EventClock or a KeyClock");
          internal::RequireValid(stream, id, internal::ValidateNone(with));
          return internal::BuildSessionWindows(timed, id, std::move(of_records), w,
                                               std::move(of_values));
        } else {
          return internal::BuildSliceWindows(timed, id, std::move(of_records), std::move(w),
                                             std::move(of_values), with);
        }
      });
}

// Folds the values of each key and window: fold(S& state, value) changes a state that begins as
// S{}, and merge(S& into, const S& other) combines two of the same key, the earlier one first. See
// WindowWith for windows, clocks, late records and errors. S is named at the call:
// WindowFold<Stats>("stats", clock, windows, fold, merge).
template <class S, class Clock, class W, class Fold, class MergeFn>
auto WindowFold(std::string step_id, Clock clock, W windows, Fold fold, MergeFn merge,
                WindowOptions options = {}) {
  return WindowWith(std::move(step_id), std::move(clock), std::move(windows),
                    internal::FoldAggregate<S, Fold, MergeFn>{std::move(fold), std::move(merge)},
                    options);
}

// Combines the values of each key and window by reduce(value, value), which is associative; the
// order is that of arrival, and between slices and sessions that of time. See WindowWith.
template <class Clock, class W, class Reduce>
auto WindowReduce(std::string step_id, Clock clock, W windows, Reduce reduce,
                  WindowOptions options = {}) {
  return WindowWith(std::move(step_id), std::move(clock), std::move(windows),
                    internal::ReduceAggregate<Reduce>{std::move(reduce)}, options);
}

// Counts the values of each key and window. See WindowWith.
template <class Clock, class W>
auto WindowCount(std::string step_id, Clock clock, W windows, WindowOptions options = {}) {
  return WindowWith(std::move(step_id), std::move(clock), std::move(windows),
                    internal::CountAggregate{}, options);
}

// Collects the values of each key and window: a std::vector in the order of their times; values of
// the same time are in the order in which they came. Keeps all values until the window is over. See
// WindowWith.
template <class Clock, class W>
auto WindowCollect(std::string step_id, Clock clock, W windows, WindowOptions options = {}) {
  return WindowWith(std::move(step_id), std::move(clock), std::move(windows),
                    internal::CollectAggregate{}, options);
}

// The greatest value of each key and window by less(a, b); of equal ones one that came early. See
// WindowWith.
template <class Clock, class W, class Less = std::less<>>
auto WindowMax(std::string step_id, Clock clock, W windows, Less less = {},
               WindowOptions options = {}) {
  return WindowReduce(
      std::move(step_id), std::move(clock), std::move(windows),
      [less = std::move(less)](auto a, auto b) { return std::invoke(less, a, b) ? b : a; },
      options);
}
// The least value of each key and window by less(a, b); of equal ones one that came early. See
// WindowWith.
template <class Clock, class W, class Less = std::less<>>
auto WindowMin(std::string step_id, Clock clock, W windows, Less less = {},
               WindowOptions options = {}) {
  return WindowReduce(
      std::move(step_id), std::move(clock), std::move(windows),
      [less = std::move(less)](auto a, auto b) { return std::invoke(less, b, a) ? b : a; },
      options);
}

// The `count` first values of each key and window in the order of before(a, b), by default the
// greatest: a std::vector in that order. See WindowWith.
template <class Clock, class W, class Before = std::greater<>>
auto WindowTopK(std::string step_id, Clock clock, W windows, size_t count, Before before = {},
                WindowOptions options = {}) {
  return WindowWith(std::move(step_id), std::move(clock), std::move(windows),
                    internal::TopAggregate<Before>{count, std::move(before)}, options);
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_WINDOWS_WINDOW_WITH_H_
