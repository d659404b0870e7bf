#ifndef HEADWAY_OPERATORS_TEMPORAL_JOIN_H_
#define HEADWAY_OPERATORS_TEMPORAL_JOIN_H_

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/step/define_step.h"
#include "engine/step/keyed_operator.h"
#include "operators/event_join.h"

namespace headway {

namespace internal {

// A key of a TemporalJoin: the versions of its row, std::nullopt for a row that was erased, and the
// records that wait for the watermark.
template <class A, class V>
struct TemporalRow {
  std::vector<Timed<std::optional<V>>> versions;
  std::vector<Timed<A>> waiting;
  KeyAlarm alarm;

  // The version that is valid at `time`, or null.
  const V* ValidAt(EventTime time) {
    auto after = versions.end();
    while (after != versions.begin() && time < std::prev(after)->first) --after;
    if (after == versions.begin() || !std::prev(after)->second.has_value()) return nullptr;
    return &*std::prev(after)->second;
  }

  // Drops the versions that no record at `time` or later meets.
  void DropBefore(EventTime time) {
    auto first = versions.begin();
    while (first != versions.end() && std::next(first) != versions.end() &&
           std::next(first)->first <= time) {
      ++first;
    }
    if (first != versions.end() && first->first <= time && !first->second.has_value()) ++first;
    versions.erase(versions.begin(), first);
  }

  // The watermark at which a record is joined, or else a version may be dropped.
  std::optional<EventTime> NextTimer() const {
    if (!waiting.empty()) return AddToTime(waiting.front().first, 1);
    if (versions.size() > 1 || (versions.size() == 1 && !versions[0].second.has_value())) {
      return versions.back().first;
    }
    return std::nullopt;
  }
};

// Whether no version up to `time` is expected. Nothing passes the last time of all.
inline bool IsBefore(EventTime time, EventTime watermark) {
  return time < watermark || watermark == std::numeric_limits<EventTime>::max();
}

template <bool keeps_unmatched, class A, class B, class T, class RecordTime, class VersionTime>
auto BuildTemporalJoin(const Stream<A, T>& record_stream, std::string_view id,
                       const EventClock<RecordTime>& record_clock,
                       const Stream<B, T>& version_stream,
                       const EventClock<VersionTime>& version_clock) {
  static_assert(std::is_same_v<T, Epoch>, "TemporalJoin must be in the root scope");
  static_assert(KeyValueRecord<A> && KeyValueRecord<B>,
                "TemporalJoin: the streams must have (key, value) pairs as records; make them with "
                "KeyOn");
  static_assert(std::is_same_v<KeyOfPair<A>, KeyOfPair<B>>,
                "TemporalJoin: the keys of both streams must have the same type");
  static_assert(ClockOfValues<RecordTime, A> && ClockOfValues<VersionTime, B>,
                "TemporalJoin: the functions of the clocks must take a value of their stream, with "
                "std::string_view for its strings, and return its time: an absl::Time, a "
                "std::chrono::sys_time or a number");
  using K = KeyOfPair<A>;
  using V = typename TableValue<ValueOfPair<B>>::Type;
  using Row = std::tuple<ValueOfPair<A>, std::conditional_t<keeps_unmatched, std::optional<V>, V>>;
  using State = TemporalRow<ValueOfPair<A>, V>;
  const Stream<A, T> records = WithValueClock(record_stream, id, record_clock);
  const Stream<B, T> versions = WithValueClock(version_stream, id, version_clock);
  KeyedOperator<State, A, T, FirstOfPair> keyed(records, id, FirstOfPair());
  auto& step = keyed.step();
  auto& output = keyed.template AddOutput<std::pair<K, Row>>();

  auto give = [](auto& session, const auto& key, auto&& value, const V* version) {
    if constexpr (keeps_unmatched) {
      session.Give(
          std::pair(key, Row(std::forward<decltype(value)>(value),
                             version != nullptr ? std::optional<V>(*version) : std::nullopt)));
    } else {
      if (version == nullptr) return;
      session.Give(std::pair(key, Row(std::forward<decltype(value)>(value), *version)));
    }
  };
  // Sets the key's timer, and forgets the key if nothing is left of it.
  auto settle = [&step](const auto& key, State& state) {
    const EventTime watermark = step.watermark();
    state.DropBefore(state.waiting.empty() ? watermark
                                           : std::min(watermark, state.waiting.front().first));
    const std::optional<EventTime> next = state.NextTimer();
    if (next.has_value()) {
      state.alarm.RingAt(step, key, *next);
    } else {
      state.alarm.Cancel(step, key);
    }
    if (state.versions.empty() && state.waiting.empty()) step.states().Erase(key);
  };
  // Emits the records of a key that wait and for which is_due(time) is true.
  auto join = [give](auto& session, const K& key, State& state, auto is_due) {
    auto record = state.waiting.begin();
    for (; record != state.waiting.end() && is_due(record->first); ++record) {
      give(session, key, std::move(record->second), state.ValidAt(record->first));
    }
    state.waiting.erase(state.waiting.begin(), record);
  };

  keyed.OnBatch([&step, &output, give, settle, time_of = record_clock.time](
                    const CapabilityRef<T>& time, Batch<A>& batch) mutable {
    auto session = output.SessionAt(time);
    step.AtEach(batch, [&](size_t i, State& state) {
      auto&& record = batch.Take(i);
      const EventTime at = TimeOfValue(time_of, record);
      if (IsBefore(at, step.watermark())) {
        give(session, record.first, std::move(record.second), state.ValidAt(at));
      } else {
        InsertTimed(state.waiting, at, std::move(record.second));
      }
      settle(record.first, state);
    });
  });
  keyed.AddInput(versions, [&step, settle, time_of = version_clock.time](const CapabilityRef<T>&,
                                                                         Batch<B>& batch) mutable {
    step.AtEach(batch, [&](size_t i, State& state) {
      auto&& record = batch.Take(i);
      const EventTime at = TimeOfValue(time_of, record);
      InsertTimed(state.versions, at, std::optional<V>(std::move(record.second)));
      settle(record.first, state);
    });
  });
  keyed.OnEventTimer(
      [&step, &output, join, settle](const CapabilityRef<T>& time, const K& key, EventTime) {
        State* state = step.states().Find(key);
        if (state == nullptr) return;
        state->alarm = {};
        auto session = output.SessionAt(time);
        join(session, key, *state, [&](EventTime at) { return IsBefore(at, step.watermark()); });
        settle(key, *state);
      });
  // All versions have come. The timers of kept versions serve a run that continues.
  keyed.KeepEventTimersAtEnd();
  keyed.AtEnd([&step, &output, join, settle](const CapabilityRef<T>& time) {
    std::vector<K> keys;  // the table changes
    step.states().ForEach([&](typename decltype(keyed)::Step::KeyView key, const State& state) {
      if (!state.waiting.empty()) keys.emplace_back(key);
    });
    auto session = output.SessionAt(time);
    for (const K& key : keys) {
      State& state = *step.states().Find(key);
      join(session, key, state, [](EventTime) { return true; });
      settle(key, state);
    }
  });
  return keyed.Build(output);
}

template <bool keeps_unmatched, class RecordTime, class B, class T, class VersionTime>
auto DefineTemporalJoin(std::string step_id, EventClock<RecordTime> record_clock,
                        const Stream<B, T>& versions, EventClock<VersionTime> version_clock) {
  return DefineStep(std::move(step_id), std::move(record_clock), versions, std::move(version_clock),
                    []<class A>(const Stream<A, T>& records, std::string_view id,
                                const EventClock<RecordTime>& of_records, const Stream<B, T>& table,
                                const EventClock<VersionTime>& of_table) {
                      return BuildTemporalJoin<keeps_unmatched>(records, id, of_records, table,
                                                                of_table);
                    });
}

}  // namespace internal

// Joins each record with the version of a row that is valid at the record's event time: the latest
// version of its key that is not later than the record.
//
//   trades | TemporalJoin("id", trade_clock, rates, rate_clock)
//
// Both are streams of (key, value) pairs, with an EventClock for the values of each. Streams of
// (K, A) and (K, V) become a Stream<std::pair<K, std::tuple<A, V>>>. Records that are earlier than
// all versions are dropped; with TemporalLeftJoin they stay, and the result is
// (K, std::tuple<A, std::optional<V>>).
//
// A record waits until the watermark of both streams has passed its time, since a version may come
// until then. So results do not depend on timing, and those of a key are in the order of their
// times. A version of type std::optional<V> that is std::nullopt ends the row. A table that seldom
// changes holds records back: give its clock an idle timeout. A record that is late, behind the
// watermark, meets the versions that are left at once. A late version counts for the records that
// wait or follow.
//
// The step exchanges its inputs by key. It keeps the records that wait, and the versions that a
// record from the watermark on can meet: at least the last one of each key. At the end of the input
// the waiting records are emitted, and the versions are kept for a run that continues with more
// input; its watermark drops them. A graceful stop emits nothing, and keeps all. An exception of a
// time function ends the run with an error that names the step. A key with records that wait costs
// an event timer. A snapshot has the records and versions of a key that has changed as one entry.
template <class RecordTime, class V, class T, class VersionTime>
auto TemporalJoin(std::string step_id, EventClock<RecordTime> record_clock,
                  const Stream<V, T>& versions, EventClock<VersionTime> version_clock) {
  return internal::DefineTemporalJoin<false>(std::move(step_id), std::move(record_clock), versions,
                                             std::move(version_clock));
}
template <class RecordTime, class V, class T, class VersionTime>
auto TemporalLeftJoin(std::string step_id, EventClock<RecordTime> record_clock,
                      const Stream<V, T>& versions, EventClock<VersionTime> version_clock) {
  return internal::DefineTemporalJoin<true>(std::move(step_id), std::move(record_clock), versions,
                                            std::move(version_clock));
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_TEMPORAL_JOIN_H_
