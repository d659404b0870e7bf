#ifndef HEADWAY_OPERATORS_WINDOWS_SESSION_LOGIC_H_
#define HEADWAY_OPERATORS_WINDOWS_SESSION_LOGIC_H_

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>

#include "engine/step/keyed_operator.h"
#include "operators/key_value.h"
#include "operators/value_clock.h"
#include "operators/windows/sessions.h"
#include "operators/windows/windowers.h"

namespace headway::internal {

// The logic of a step with session windows. A key has a timer at the end of its first session, or
// before that: records of the session do not move it. Belongs to the worker's thread.
template <class D, class T, class Clock, class Agg>
class SessionLogic {
 public:
  using State = typename Agg::State;
  using Step = KeyedStep<Sessions<State>, D, T, FirstOfPair>;
  using K = typename Step::K;
  using Result =
      RecordOfT<decltype(std::declval<const Agg&>().Result(std::declval<const State&>()))>;
  using Results = NodeOutput<std::pair<K, Windowed<Result>>, T>;

  using Events = WindowEvents<K, T>;

  SessionLogic(Step& step, Results& results, NodeOutput<D, T>& late, Events& events, Clock clock,
               const SessionWindows& windows, Agg aggregate)
      : step_(step),
        results_(results),
        late_(late),
        events_(events),
        clock_(std::move(clock)),
        gap_(windows.gap()),
        aggregate_(std::move(aggregate)) {}

  void Add(const CapabilityRef<T>& time, Batch<D>& batch) {
    const EventTime watermark = step_.watermark();
    step_.FindEach(batch, [&](size_t i, Sessions<State>* known) {
      const EventTime at = TimeOf(batch, i);
      // A session of this record alone would be over already.
      if (EndOf(at) <= watermark && (known == nullptr || !known->Has(at, gap_))) {
        late_.SessionAt(time).Give(batch.Take(i));
        return;
      }
      Sessions<State>& sessions =
          known == nullptr ? step_.states().At(FirstOfPair()(batch[i])) : *known;
      const bool is_first = sessions.empty() || at < sessions.one->first;
      if (is_first) step_.SetEventTimer(KeyOf(batch, i), EndOf(at));
      if (events_.are_wanted()) {
        sessions.ForEachEvent(at, gap_, [&](const WindowEvent& event) {
          events_.Give(time, typename Step::KeyView(FirstOfPair()(std::as_const(batch)[i])), event);
        });
      }
      Session<State>& session = sessions.At(
          at, gap_, [&](State& into, const State& other) { aggregate_.Merge(into, other); });
      auto&& record = batch.Take(i);
      using V = RecordOfT<TakenValue<D>>;
      aggregate_.Add(session.state, at, V(std::move(record.second)));
    });
  }

  // A timer of the key is due.
  void Close(const CapabilityRef<T>& time, const K& key) {
    const EventTime watermark = step_.watermark();
    Sessions<State>* sessions = step_.states().Find(key);
    if (sessions == nullptr) return;
    Emit(time, key, *sessions,
         [&](const Session<State>& session) { return EndOf(session.last) <= watermark; });
    if (sessions->empty()) {
      step_.states().Erase(key);
    } else {
      step_.SetEventTimer(key, EndOf(sessions->one->last));
    }
  }

  // The input has ended: all sessions do. Returns false if it stopped for lack of credit.
  bool End(const CapabilityRef<T>& time) {
    const bool done = step_.states().ForEachFrom(
        position_, [&](typename Step::KeyView key, const Sessions<State>& kept) {
          Sessions<State> sessions = kept;
          Emit(time, key, sessions, [&](const Session<State>& session) {
            last_end_ = std::max(last_end_, EndOf(session.last));
            return true;
          });
          return step_.HasCredit();
        });
    if (!done) return false;
    step_.RaiseWatermark(last_end_);
    step_.states().Clear();
    return true;
  }

 private:
  static K KeyOf(const Batch<D>& batch, size_t i) { return K(FirstOfPair()(batch[i])); }
  EventTime TimeOf(const Batch<D>& batch, size_t i) { return TimeOfValue(clock_.time, batch[i]); }
  // The end of the window of a session whose last record is at `last`: a record at a distance of
  // the gap belongs to it still.
  EventTime EndOf(EventTime last) const { return LaterBy(LaterBy(last, gap_), 1); }

  template <class Key, class IsOver>
  void Emit(const CapabilityRef<T>& time, const Key& key, Sessions<State>& sessions,
            IsOver&& is_over) {
    auto output = results_.SessionAt(time);
    while (const std::optional<Session<State>> session = sessions.TakeFirst(is_over)) {
      const Window window = session->RangeWith(gap_);
      output.Give(std::pair<typename Step::KeyView, Windowed<Result>>(
          key, {window, Pane::kOnTime, aggregate_.Result(session->state)}));
      events_.GiveClosed(time, typename Step::KeyView(key), window);
    }
  }

  Step& step_;
  Results& results_;
  NodeOutput<D, T>& late_;
  Events& events_;
  Clock clock_;
  const EventTime gap_;
  const Agg aggregate_;
  size_t position_ = 0;                // of the keys, at the end of the input
  EventTime last_end_ = kNoWatermark;  // of their sessions
};

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_WINDOWS_SESSION_LOGIC_H_
