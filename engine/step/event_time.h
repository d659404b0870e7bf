#ifndef HEADWAY_ENGINE_STEP_EVENT_TIME_H_
#define HEADWAY_ENGINE_STEP_EVENT_TIME_H_

#include <algorithm>
#include <chrono>
#include <concepts>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "engine/step/define_step.h"
#include "engine/step/partition_clocks.h"
#include "engine/step/transform.h"

// Event time: the times in records, and the watermarks that say how far they have come.

namespace headway {

// An absl::Time or std::chrono time as an EventTime; times that are out of range become the first
// or the last one. A number is itself.
inline EventTime ToEventTime(absl::Time time) {
  return std::max(absl::ToUnixNanos(time), kNoWatermark + 1);
}
inline EventTime ToEventTime(std::integral auto number) {
  return std::max(static_cast<EventTime>(number), kNoWatermark + 1);
}
template <class Duration>
EventTime ToEventTime(std::chrono::sys_time<Duration> time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  const auto rest = std::chrono::duration_cast<std::chrono::nanoseconds>(time - seconds);
  return ToEventTime(absl::FromUnixSeconds(seconds.time_since_epoch().count()) +
                     absl::Nanoseconds(rest.count()));
}

// The event times of the records of a stream, and how its watermark follows from them.
template <class F>
struct EventClock {
  // time(record) is the event time of a record: an absl::Time, a std::chrono::sys_time, or a
  // number. It receives strings as std::string_view. It may be called several times for a record.
  explicit EventClock(F time_of) : time(std::move(time_of)) {}
  // A record may be earlier than the latest one of its source partition by `disorder`, and is never
  // late then. A partition that has had none for `idle_timeout`, whenever it was asked, does not
  // hold the others back, until it has records again. With a recovery store and several
  // workers, one whose partitions were all idle holds the others back from the next epoch on.
  // Negative durations are InvalidArgument failures of the build.
  EventClock(F time_of, absl::Duration disorder,
             absl::Duration idle_timeout = absl::InfiniteDuration())
      : time(std::move(time_of)),
        derives(true),
        rule{.disorder = absl::ToInt64Nanoseconds(disorder),
             .idle_nanos = absl::ToInt64Nanoseconds(idle_timeout)} {}
  // The same for numbers.
  EventClock(F number_of, std::integral auto disorder,
             absl::Duration idle_timeout = absl::InfiniteDuration())
      : time(std::move(number_of)),
        derives(true),
        rule{.disorder = static_cast<EventTime>(disorder),
             .idle_nanos = absl::ToInt64Nanoseconds(idle_timeout)} {}

  F time;
  // False: the stream has a watermark already, of AssignEventTime.
  bool derives = false;
  internal::WatermarkRule rule;
};

namespace internal {

template <class F, class D>
concept TimeOfRecord = requires(F& f, ReadType<D> record) {
  { ToEventTime(f(record)) } -> std::same_as<EventTime>;
};

// Passes batches on, notes their latest event time, and replaces the watermarks of the source by
// the derived one.
template <class D, class T, class F>
class EventTimeReceiver final : public Receiver<D, T> {
 public:
  EventTimeReceiver(Graph& graph, std::string step_id, F time,
                    const std::vector<OutputPortBase*>& ports, WatermarkRule rule)
      : graph_(graph),
        step_id_(std::move(step_id)),
        time_(std::move(time)),
        tee_(graph.worker().endpoint()) {
    for (OutputPortBase* port : ports) {
      clocks_.push_back({port, PartitionClocks(graph, *port, rule)});
    }
  }

  void Push(const T& time, Batch<D>&& batch) override {
    EventTime& latest = ClocksOf(&graph_.current_push().port()).LatestOfCurrent();
    graph_.errors().Guard(step_id_, [&] {
      EventTime greatest = latest;
      const Batch<D>& records = batch;
      for (size_t i = 0; i < records.size(); ++i) {
        greatest = std::max(greatest, ToEventTime(std::invoke(time_, records[i])));
      }
      latest = greatest;
    });
    tee_.Push(time, std::move(batch));
  }
  void PushWatermark(const T& time, const Watermark& watermark) override {
    const std::optional<Watermark> derived = ClocksOf(watermark.port).Derive(watermark);
    if (derived.has_value()) tee_.PushWatermark(time, *derived);
  }
  Tee<D, T>& tee() { return tee_; }

 private:
  struct OfPort {
    const OutputPortBase* port;
    PartitionClocks clocks;
  };

  PartitionClocks& ClocksOf(const OutputPortBase* port) {
    return std::ranges::find(clocks_, port, &OfPort::port)->clocks;
  }

  Graph& graph_;
  const std::string step_id_;
  F time_;
  std::vector<OfPort> clocks_;
  Tee<D, T> tee_;
};

// The stream with a watermark that follows from the event times of its records. `step_id` is that
// of the step that needs it.
template <class D, class T, class F>
Stream<D, T> DeriveWatermark(const Stream<D, T>& stream, std::string_view step_id, F time,
                             WatermarkRule rule) {
  static_assert(TimeOfRecord<F, D>,
                "EventClock: the function must take one record of the stream, with "
                "std::string_view for its strings, and return its time: an absl::Time, a "
                "std::chrono::sys_time or a number");
  Graph& graph = stream.scope().graph();
  const std::string id = stream.scope().FullId(step_id);
  if (rule.disorder < 0 || rule.idle_nanos < 0) {
    graph.errors().FailAndThrow(
        id, absl::InvalidArgumentError("its EventClock has a negative duration; the disorder and "
                                       "the idle timeout are zero or more"));
  }
  for (const OutputPortBase* port : stream.ports()) {
    if (port->of_source) continue;
    graph.errors().FailAndThrow(
        id, absl::InvalidArgumentError(
                "its stream comes from the step '" + port->node().step_id() +
                "', whose records have lost the order of their source; use AssignEventTime before "
                "that step, and an EventClock without a disorder here"));
  }
  graph.builder(id).UseEventTime();
  auto& receiver = graph.objects().template Make<EventTimeReceiver<D, T, F>>(
      graph, id, std::move(time), stream.ports(), rule);
  stream.AddReceiver(id, receiver);
  graph.builder().describer().AddAlias(&receiver.tee(), stream.identity());
  return Stream<D, T>(stream.scope(), receiver.tee(), stream.location(), stream.ports());
}

}  // namespace internal

// Gives a stream a watermark: the same records, and a lower bound for the event times of those that
// follow. Steps with windows need one; it passes through all steps downstream, but not around
// cycles. Belongs behind a source, with any transforms (Map, FlatMap, Filter, Merge, ...) in
// between: each source partition has a watermark of its own there, and the stream has the least of
// them. The time function runs once for each record. An exception of it ends the run with an error
// that names the step. A stream of a step that exchanges or keeps state is an InvalidArgument
// failure of the build.
//
// A clock without a disorder is one whose records are in the order of their times within each
// source partition.
template <class F>
auto AssignEventTime(std::string step_id, EventClock<F> clock) {
  return DefineStep(
      std::move(step_id), std::move(clock),
      []<class D, class T>(const Stream<D, T>& stream, std::string_view id, EventClock<F> of) {
        stream.scope().graph().builder(id).ClaimStepId(stream.scope().FullId(id));
        return internal::DeriveWatermark(stream, id, std::move(of.time), of.rule);
      });
}

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_EVENT_TIME_H_
