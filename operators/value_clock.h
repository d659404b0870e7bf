#ifndef HEADWAY_OPERATORS_VALUE_CLOCK_H_
#define HEADWAY_OPERATORS_VALUE_CLOCK_H_

#include <concepts>
#include <functional>
#include <string_view>

#include "engine/step/event_time.h"

// Event clocks of the values of (key, value) streams, which windows and joins use.

namespace headway::internal {

template <class F, class Record>
EventTime TimeOfValue(F& time, const Record& record) {
  return ToEventTime(std::invoke(time, record.second));
}

template <class F, class D>
concept ClockOfValues = requires(F& time, ReadType<D> record) {
  { ToEventTime(std::invoke(time, record.second)) } -> std::same_as<EventTime>;
};

// The stream with the watermark of the clock.
template <class D, class T, class F>
Stream<D, T> WithValueClock(const Stream<D, T>& stream, std::string_view id,
                            const EventClock<F>& clock) {
  if (!clock.derives) return stream;
  return DeriveWatermark(
      stream, id,
      [time = clock.time](const auto& record) { return std::invoke(time, record.second); },
      clock.rule);
}

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_VALUE_CLOCK_H_
