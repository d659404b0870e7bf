#ifndef HEADWAY_OPERATORS_INTERVAL_JOIN_H_
#define HEADWAY_OPERATORS_INTERVAL_JOIN_H_

#include <algorithm>
#include <concepts>
#include <limits>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "engine/step/define_step.h"
#include "engine/step/keyed_operator.h"
#include "operators/event_join.h"

namespace headway {

// The times of the right values that a left value meets: from its own time plus `lower` to its own
// time plus `upper`, both included. Durations, or numbers if the event times are numbers; either
// may be negative, or infinite. REQUIRES: lower <= upper; otherwise the build fails with
// InvalidArgument.
struct JoinInterval {
  JoinInterval(absl::Duration from, absl::Duration to)
      : lower(absl::ToInt64Nanoseconds(from)), upper(absl::ToInt64Nanoseconds(to)) {}
  JoinInterval(std::integral auto from, std::integral auto to) : lower(from), upper(to) {}

  EventTime lower;
  EventTime upper;
};

namespace internal {

// The values of a key that may still meet others.
template <class A, class B>
struct IntervalSides {
  std::vector<Timed<A>> left;
  std::vector<Timed<B>> right;
  KeyAlarm alarm;
};

// The rules of an interval, for both sides.
class IntervalRule {
 public:
  explicit IntervalRule(JoinInterval interval)
      : lower_(interval.lower),
        upper_(interval.upper),
        minus_lower_(Negative(lower_)),
        minus_upper_(Negative(upper_)) {}

  // The first and the last time of the values that one of `side` (0: left) at `time` meets.
  template <size_t side>
  EventTime First(EventTime time) const {
    return AddToTime(time, side == 0 ? lower_ : minus_upper_);
  }
  template <size_t side>
  EventTime Last(EventTime time) const {
    return AddToTime(time, side == 0 ? upper_ : minus_lower_);
  }

  // Drops the values that can meet no value from the watermark on.
  template <class Sides>
  void DropBefore(Sides& sides, EventTime watermark) const {
    DropSide<0>(sides.left, watermark);
    DropSide<1>(sides.right, watermark);
  }
  // The watermark at which the next value is dropped. REQUIRES: there is a value.
  template <class Sides>
  EventTime NextDrop(const Sides& sides) const {
    EventTime next = kMax;
    if (!sides.left.empty()) next = AddToTime(Last<0>(sides.left.front().first), 1);
    if (!sides.right.empty()) {
      next = std::min(next, AddToTime(Last<1>(sides.right.front().first), 1));
    }
    return next;
  }

 private:
  static constexpr EventTime kMax = std::numeric_limits<EventTime>::max();

  // The first and the last time are infinite.
  static EventTime Negative(EventTime offset) {
    if (offset == kMax) return kNoWatermark;
    return offset == kNoWatermark ? kMax : -offset;
  }

  template <size_t side, class V>
  void DropSide(std::vector<Timed<V>>& values, EventTime watermark) const {
    auto end = values.begin();
    while (end != values.end() && Last<side>(end->first) < watermark) ++end;
    values.erase(values.begin(), end);
  }

  EventTime lower_;
  EventTime upper_;
  EventTime minus_lower_;
  EventTime minus_upper_;
};

template <class A, class B, class T, class LeftTime, class RightTime>
auto BuildIntervalJoin(const Stream<A, T>& left_stream, std::string_view id,
                       const EventClock<LeftTime>& left_clock, const Stream<B, T>& right_stream,
                       const EventClock<RightTime>& right_clock, JoinInterval interval) {
  static_assert(std::is_same_v<T, Epoch>, "IntervalJoin must be in the root scope");
  static_assert(KeyValueRecord<A> && KeyValueRecord<B>,
                "IntervalJoin: the streams must have (key, value) pairs as records; make them with "
                "KeyOn");
  static_assert(std::is_same_v<KeyOfPair<A>, KeyOfPair<B>>,
                "IntervalJoin: the keys of both streams must have the same type");
  static_assert(ClockOfValues<LeftTime, A> && ClockOfValues<RightTime, B>,
                "IntervalJoin: the functions of the clocks must take a value of their stream, with "
                "std::string_view for its strings, and return its time: an absl::Time, a "
                "std::chrono::sys_time or a number");
  using K = KeyOfPair<A>;
  using Row = std::tuple<ValueOfPair<A>, ValueOfPair<B>>;
  using Sides = IntervalSides<ValueOfPair<A>, ValueOfPair<B>>;
  if (interval.lower > interval.upper) {
    left_stream.scope().graph().errors().FailAndThrow(
        left_stream.scope().FullId(id),
        absl::InvalidArgumentError("its JoinInterval ends before it begins; the lower bound comes "
                                   "first"));
  }
  const Stream<A, T> left = WithValueClock(left_stream, id, left_clock);
  const Stream<B, T> right = WithValueClock(right_stream, id, right_clock);
  const IntervalRule rule(interval);
  KeyedOperator<Sides, A, T, FirstOfPair> keyed(left, id, FirstOfPair());
  auto& step = keyed.step();
  auto& output = keyed.template AddOutput<std::pair<K, Row>>();

  // The function for the batches of a side.
  auto apply = [&step, &output, rule](auto of_side, auto time_of) {
    return [&step, &output, rule, time_of](const CapabilityRef<T>& time, auto& batch) mutable {
      constexpr size_t kSide = decltype(of_side)::value;
      auto session = output.SessionAt(time);
      step.AtEach(batch, [&](size_t i, Sides& sides) {
        auto&& record = batch.Take(i);
        const EventTime at = TimeOfValue(time_of, record);
        rule.DropBefore(sides, step.watermark());
        auto meet = [&](auto& own, auto& others) {
          using V = typename std::remove_cvref_t<decltype(own)>::value_type::second_type;
          V value(std::move(record.second));
          const EventTime last = rule.template Last<kSide>(at);
          for (auto other = FirstFrom(others, rule.template First<kSide>(at));
               other != others.end() && other->first <= last; ++other) {
            if constexpr (kSide == 0) {
              session.Give(std::pair(record.first, Row(value, other->second)));
            } else {
              session.Give(std::pair(record.first, Row(other->second, value)));
            }
          }
          if (last >= step.watermark()) InsertTimed(own, at, std::move(value));
        };
        if constexpr (kSide == 0) {
          meet(sides.left, sides.right);
        } else {
          meet(sides.right, sides.left);
        }
        if (sides.alarm.at == kNoWatermark && sides.left.empty() && sides.right.empty()) {
          step.states().Erase(record.first);
          return;
        }
        // A later record may be dropped earlier.
        sides.alarm.RingAt(step, record.first, rule.NextDrop(sides));
      });
    };
  };
  keyed.OnBatch(apply(std::integral_constant<size_t, 0>(), left_clock.time));
  keyed.AddInput(right, apply(std::integral_constant<size_t, 1>(), right_clock.time));
  keyed.OnEventTimer([&step, rule](const CapabilityRef<T>&, const K& key, EventTime) {
    Sides* sides = step.states().Find(key);
    if (sides == nullptr) return;
    rule.DropBefore(*sides, step.watermark());
    if (!sides->left.empty() || !sides->right.empty()) {
      sides->alarm = {};
      const EventTime next = rule.NextDrop(*sides);
      if (next <= step.watermark()) return;  // the last time of all, which nothing passes
      if (sides->alarm.RingAt(step, key, next)) return;
    }
    step.states().Erase(key);
  });
  return keyed.Build(output);
}

}  // namespace internal

// Joins two streams of (key, value) pairs in event time: a left value meets the right values of its
// key whose time is in an interval around its own,
//
//   clicks | IntervalJoin("id", click_clock, buys, buy_clock,
//                         JoinInterval(absl::ZeroDuration(), absl::Minutes(30)))
//
// with an EventClock for the values of each stream. Streams of (K, A) and (K, B) become a
// Stream<std::pair<K, std::tuple<A, B>>>. A pair is emitted as soon as both values have come, in
// either order. Values without a partner are dropped.
//
// The step exchanges its inputs by key. A value is kept until the watermark has passed the last
// time that it can meet. The watermark is the lesser one of both streams, so a stream that falls
// behind makes the other one's values wait in memory. A record that is late, behind the watermark,
// meets the values that are still kept, and is kept itself if it can meet one that is not late.
// At the end of the input all values are dropped; a graceful stop keeps them. An exception of a
// time function ends the run with an error that names the step. A key costs an event timer and its
// values; a snapshot has the values of a key that has changed as one entry.
template <class LeftTime, class B, class T, class RightTime>
auto IntervalJoin(std::string step_id, EventClock<LeftTime> left_clock, const Stream<B, T>& right,
                  EventClock<RightTime> right_clock, JoinInterval interval) {
  return DefineStep(
      std::move(step_id), std::move(left_clock), right, std::move(right_clock), interval,
      []<class A>(const Stream<A, T>& left, std::string_view id,
                  const EventClock<LeftTime>& of_left, const Stream<B, T>& other,
                  const EventClock<RightTime>& of_right, JoinInterval within) {
        return internal::BuildIntervalJoin(left, id, of_left, other, of_right, within);
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_INTERVAL_JOIN_H_
