#ifndef HEADWAY_ENGINE_STEP_SINK_H_
#define HEADWAY_ENGINE_STEP_SINK_H_

#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/step/epoch_order.h"
#include "engine/step/operator_builder.h"

// Sinks: where records go. A sink is a value that describes the output; on each worker it opens a
// writer for that worker's share:
//
//   class MySink {
//    public:
//     // On each worker, when the dataflow starts; the writer takes the stream's records.
//     absl::StatusOr<Writer> Open(const SinkContext& context);
//   };
//   class Writer {
//    public:
//     absl::Status Write(const D& record);   // or std::string_view
//     // Hands over all that was written; called at the end of each epoch that had records,
//     // before the epoch counts as complete.
//     absl::Status Flush();
//   };
//
// An error status ends the run, naming the step and the worker.

namespace headway {

struct SinkContext {
  int worker_index;
  int worker_count;
};

// Gives the stream's records to a sink. `Output("out", sink)`.
template <class Sink>
auto Output(std::string step_id, Sink sink) {
  return [step_id = std::move(step_id),
          sink = std::move(sink)]<class D, class T>(const Stream<D, T>& stream) mutable {
    using Writer = typename decltype(sink.Open(SinkContext{}))::value_type;
    OperatorBuilder<T> builder(stream.scope(), step_id);
    NodeInput<D, T>& input = builder.AddInput(stream, pact::Pipeline{});
    // No record leaves through this output: its capabilities keep epochs open until they are
    // flushed.
    builder.template AddOutput<char>();
    internal::Graph& graph = builder.graph();
    const bool in_order = graph.worker().run.options().apply_in_epoch_order;
    std::optional<absl::StatusOr<Writer>> opened;
    graph.errors().Guard(builder.node().step_id(), [&] {
      opened.emplace(sink.Open({graph.worker().index, graph.worker().count}));
    });
    if (!opened->ok()) graph.errors().FailAndThrow(builder.node().step_id(), opened->status());
    builder.BuildWithoutCapabilities(
        [&graph, &input, id = builder.node().step_id(), writer = **std::move(opened),
         order = EpochOrder<D, T>(in_order), unflushed = std::optional<Capability<T>>()]() mutable {
          auto check = [&](const absl::Status& status) {
            if (!status.ok()) graph.errors().FailAndThrow(id, status);
          };
          order.ForEach(input, [&](const auto& time, Batch<D>& batch) {
            // The earliest time that has something unflushed.
            if (!unflushed.has_value() ||
                !TimestampTraits<T>::LessEqual(unflushed->time(), time.time())) {
              if (unflushed.has_value()) check(writer.Flush());
              unflushed = internal::RetainFor(time);
            }
            for (size_t i = 0; i < batch.size(); ++i) check(writer.Write(std::as_const(batch)[i]));
          });
          if (unflushed.has_value() && !input.frontier().LessEqual(unflushed->time())) {
            check(writer.Flush());
            unflushed.reset();
          }
        });
  };
}

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_SINK_H_
