#ifndef HEADWAY_OPERATORS_WINDOWS_ALL_WINDOW_H_
#define HEADWAY_OPERATORS_WINDOWS_ALL_WINDOW_H_

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "engine/step/define_step.h"
#include "operators/filter_map.h"
#include "operators/map.h"
#include "operators/windows/all_window_parts.h"
#include "operators/windows/window_with.h"

namespace headway {

namespace internal {

// The parts of each worker, under one key, in a step `parts`.
template <class D, class T, class Clock, class W, class Agg>
auto BuildAllWindowParts(const Stream<D, T>& stream, Clock clock, W windows, Agg aggregate,
                         const WindowOptions& options) {
  using V = RecordOfT<TakeType<D>>;
  using R = std::pair<char, WindowPart<typename Agg::State, V>>;
  if constexpr (kIsSystemClock<Clock>) {
    // A record is in the window of the time at which its part arrives.
    return Transform<R>(
        stream, "parts",
        [aggregate = std::move(aggregate)](Batch<D>& batch, TransformOutput<R, T>& out) {
          typename Agg::State state{};
          for (size_t i = 0; i < batch.size(); ++i) {
            aggregate.Add(state, EventTime{0}, V(batch.Take(i)));
          }
          out.Give(R(0, {0, std::move(state), std::nullopt}));
        });
  } else {
    using Logic = AllWindowParts<D, T, Clock, W, Agg>;
    Graph& graph = stream.scope().graph();
    const KeyOfWorker key(graph.worker().index(), graph.worker().count());
    KeyedOperator<char, D, T, KeyOfWorker> keyed(stream, "parts", key, pact::Pipeline{});
    auto& parts = keyed.template AddOutput<R>();
    auto& logic =
        graph.objects().template Make<Logic>(keyed.step(), parts, key, std::move(clock),
                                             std::move(windows), std::move(aggregate), options);
    keyed.AddState(logic.state());
    keyed.OnRestored([&logic](const CapabilityRef<T>&) { logic.Resume(); });
    keyed.OnBatch(
        [&logic](const CapabilityRef<T>& time, Batch<D>& batch) { logic.Add(time, batch); });
    keyed.OnWatermark([&logic](const CapabilityRef<T>& time) { logic.Close(time); });
    keyed.OnInactive([&logic](const CapabilityRef<T>& time) { logic.Detach(time); });
    keyed.OnWakeUp([&logic](const CapabilityRef<T>& time) { logic.WakeUp(time); });
    keyed.AtEnd([&logic](const CapabilityRef<T>& time) { logic.End(time); });
    return keyed.Build(parts);
  }
}

// The clock of the values under the one key: each has a time, as `time_of` says.
template <class Clock, class F>
auto ClockOfParts(const Clock& clock, F time_of) {
  if constexpr (kIsSystemClock<Clock>) {
    return clock;
  } else {
    return EventClock(std::move(time_of));
  }
}

template <class D, class T, class Clock, class W, class Agg>
auto BuildAllWindow(const Stream<D, T>& stream, std::string_view id, Clock clock, W windows,
                    Agg aggregate, const WindowOptions& options) {
  using V = RecordOfT<TakeType<D>>;
  const Stream<D, T> timed = [&] {
    if constexpr (kIsSystemClock<Clock>) {
      return stream;
    } else {
      static_assert(TimeOfRecord<decltype(Clock::time), D>,
                    "AllWindowWith: the function of the EventClock must take one record of the "
                    "stream, with std::string_view for its strings, and return its time: an "
                    "absl::Time, a std::chrono::sys_time or a number");
      return clock.derives ? DeriveWatermark(stream, id, clock.time, clock.rule) : stream;
    }
  }();
  auto in_substeps = [&](auto build) {
    const typename Scope<T>::Substeps substeps(stream.scope(), id);
    return build();
  };
  // The windows of the one key. `late_of` makes an input record of a late value, or nothing.
  auto merge = [&](const auto& parts, auto time_of, auto of_parts, auto late_of) {
    const auto merged = parts | WindowWith(std::string(id), ClockOfParts(clock, time_of), windows,
                                           std::move(of_parts), options);
    return in_substeps([&] {
      auto results =
          merged | Map("results", [](auto&& record) { return std::move(record.second); });
      auto late = merged.late() | FilterMap("late", late_of);
      return WindowStream(results, late);
    });
  };
  if constexpr (std::is_same_v<W, SessionWindows> || std::is_same_v<W, CountWindows>) {
    // Parts have neither ends for sessions nor numbers for counts: one worker has all records.
    const auto records = in_substeps([&] {
      return timed | Map("parts", [](TakeType<D> record) {
               return std::pair<char, V>(0, std::move(record));
             });
    });
    return merge(records, clock.time, std::move(aggregate),
                 [](TakeType<std::pair<char, V>> record) -> std::optional<V> {
                   return V(std::move(record.second));
                 });
  } else {
    using Part = WindowPart<typename Agg::State, V>;
    const auto parts =
        in_substeps([&] { return BuildAllWindowParts(timed, clock, windows, aggregate, options); });
    return merge(
        parts, [](const Part& part) { return part.time; },
        PartsAggregate<Agg, V>{std::move(aggregate)},
        [](TakeType<std::pair<char, Part>> record) { return std::move(record.second.record); });
  }
}

}  // namespace internal

// Divides all records of a stream into windows, without keys, and emits the result of an aggregate
// for each window that has records: Windowed{window, pane, result}. Stream<V> becomes
// Stream<Windowed<R>>. All AllWindow steps are this one with an aggregate of the library;
// aggregates.h says how to write your own, for values that are whole records. Windows, clocks,
// WindowOptions, late records, the ends and errors are those of WindowWith. The time function takes
// a record.
//
// Each worker aggregates its records by slices of the windows. When its watermark passes the end of
// a slice, the aggregate goes to one worker, and Merge combines it with those of the others, in an
// arbitrary order. That worker emits the window when the watermark of all has passed its end. So
// the exchange has one aggregate for each worker and slice, not the records. There are exceptions:
// - A record that is behind the watermark of its worker is sent alone, and so are all records of a
//   worker after its partitions were all idle or had ended.
// - A SystemClock sends an aggregate for each batch.
// - All records of SessionWindows and CountWindows go to that one worker.
//
// The step keeps an aggregate for each worker and slice until it leaves, and one for each slice
// until its last window closes. An exception of a function ends the run with an error that names
// the step. The windows are the state of the step `<step id>`, and the parts that of
// `<step id>.parts`; `.results` and `.late` keep nothing.
template <class Clock, class W, class Agg>
auto AllWindowWith(std::string step_id, Clock clock, W windows, Agg aggregate,
                   WindowOptions options = {}) {
  static_assert(Windower<W> || std::is_same_v<W, SessionWindows>,
                "AllWindowWith: the windows must be TumblingWindows, SlidingWindows, "
                "CalendarWindows, CountWindows, SessionWindows or a windower of your own");
  static_assert(!internal::kIsKeyClock<Clock>,
                "AllWindowWith: a stream without keys needs an EventClock or a SystemClock");
  return DefineStep(
      std::move(step_id), std::move(clock), std::move(windows), std::move(aggregate), options,
      []<class D, class T>(const Stream<D, T>& stream, std::string_view id, Clock of_records, W w,
                           Agg agg, WindowOptions with) {
        static_assert(std::is_same_v<T, Epoch>, "AllWindowWith must be in the root scope");
        using V = RecordOfT<TakeType<D>>;
        auto of_values = internal::AggregateFor<Agg, V>(std::move(agg));
        static_assert(WindowAggregate<decltype(of_values), V>,
                      "AllWindowWith: the aggregate must have Add(State&, EventTime, record), "
                      "Merge(State&, const State&) and Result(const State&) for these records");
        internal::RequireValid(stream, id, w.Validate());
        return internal::BuildAllWindow(stream, id, std::move(of_records), std::move(w),
                                        std::move(of_values), with);
      });
}

// Folds the records of each window: fold(S& state, record) changes a state that begins as S{}, and
// merge(S& into, const S& other) combines two, in any order. S is named at the call:
// AllWindowFold<Stats>("stats", clock, windows, fold, merge). See AllWindowWith.
template <class S, class Clock, class W, class Fold, class MergeFn>
auto AllWindowFold(std::string step_id, Clock clock, W windows, Fold fold, MergeFn merge,
                   WindowOptions options = {}) {
  return AllWindowWith(std::move(step_id), std::move(clock), std::move(windows),
                       internal::FoldAggregate<S, Fold, MergeFn>{std::move(fold), std::move(merge)},
                       options);
}

// Combines the records of each window by reduce(record, record), which is associative and
// commutative. See AllWindowWith.
template <class Clock, class W, class Reduce>
auto AllWindowReduce(std::string step_id, Clock clock, W windows, Reduce reduce,
                     WindowOptions options = {}) {
  return AllWindowWith(std::move(step_id), std::move(clock), std::move(windows),
                       internal::ReduceAggregate<Reduce>{std::move(reduce)}, options);
}

// Counts the records of each window. See AllWindowWith.
template <class Clock, class W>
auto AllWindowCount(std::string step_id, Clock clock, W windows, WindowOptions options = {}) {
  return AllWindowWith(std::move(step_id), std::move(clock), std::move(windows),
                       internal::CountAggregate{}, options);
}

// Collects the records of each window: a std::vector in the order of their times, and an arbitrary
// order for records of the same time. All of them are sent to one worker, which keeps them until
// the window is over. See AllWindowWith.
template <class Clock, class W>
auto AllWindowCollect(std::string step_id, Clock clock, W windows, WindowOptions options = {}) {
  return AllWindowWith(std::move(step_id), std::move(clock), std::move(windows),
                       internal::CollectAggregate{}, options);
}

// The greatest record of each window by less(a, b); of equal ones any. See AllWindowWith.
template <class Clock, class W, class Less = std::less<>>
auto AllWindowMax(std::string step_id, Clock clock, W windows, Less less = {},
                  WindowOptions options = {}) {
  return AllWindowReduce(
      std::move(step_id), std::move(clock), std::move(windows),
      [less = std::move(less)](auto a, auto b) { return std::invoke(less, a, b) ? b : a; },
      options);
}
// The least record of each window by less(a, b); of equal ones any. See AllWindowWith.
template <class Clock, class W, class Less = std::less<>>
auto AllWindowMin(std::string step_id, Clock clock, W windows, Less less = {},
                  WindowOptions options = {}) {
  return AllWindowReduce(
      std::move(step_id), std::move(clock), std::move(windows),
      [less = std::move(less)](auto a, auto b) { return std::invoke(less, b, a) ? b : a; },
      options);
}

// The `count` first records of each window in the order of before(a, b), by default the greatest: a
// std::vector in that order; of equal ones any. Each worker sends its first ones only. See
// AllWindowWith.
template <class Clock, class W, class Before = std::greater<>>
auto AllWindowTopK(std::string step_id, Clock clock, W windows, size_t count, Before before = {},
                   WindowOptions options = {}) {
  return AllWindowWith(std::move(step_id), std::move(clock), std::move(windows),
                       internal::TopAggregate<Before>{count, std::move(before)}, options);
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_WINDOWS_ALL_WINDOW_H_
