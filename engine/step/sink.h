#ifndef HEADWAY_ENGINE_STEP_SINK_H_
#define HEADWAY_ENGINE_STEP_SINK_H_

#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine/step/alarm.h"
#include "engine/step/define_step.h"
#include "engine/step/epoch_input.h"
#include "engine/step/operator_builder.h"
#include "engine/step/step_context.h"

// Sinks: where records go. A sink is a value that describes the output. On each worker it opens a
// writer for the records of that worker:
//
//   class MySink {
//    public:
//     // Called on each worker when the dataflow has been built. The context has the worker's index
//     // and an activator for other threads.
//     absl::StatusOr<Writer> Open(const SinkContext& context);
//   };
//   class Writer {
//    public:
//     absl::Status Write(const D& record);   // or std::string_view
//     // Hands over all records that were written. Called at the end of each epoch that had
//     // records; the epoch is complete when the flush is done.
//     absl::Status Flush();
//   };
//
// A flush that takes long must not block the worker. It returns absl::StatusOr<FlushState> then:
// Pending until the records are handed over, by another thread for example, and Done after that.
// No record is written while a flush is pending.
//
// An error status ends the run, and the run's status names the step and the worker.

namespace headway {

// The record type of the stream that Output returns. There are no such records: the frontier of the
// stream says which epochs are flushed.
struct Flushed {};

// Whether a flush is done.
struct FlushState {
  static FlushState Done() { return {}; }
  // The flush is asked for again after `wait`, or earlier if SinkContext::activator wakes the sink.
  static FlushState Pending(absl::Duration wait) { return {.done = false, .wait = wait}; }

  bool done = true;
  absl::Duration wait = absl::ZeroDuration();
};

namespace internal {

template <class Sink>
concept IsSink = requires(Sink& sink, const SinkContext& context) {
  typename decltype(sink.Open(context))::value_type;
};

template <class Sink>
using WriterOf = typename decltype(std::declval<Sink&>().Open(SinkContext{}))::value_type;

template <class Writer, class D>
concept WritesRecord = requires(Writer& writer, const Batch<D>& batch) {
  { writer.Write(batch[0]) } -> std::convertible_to<absl::Status>;
};

template <class Writer>
concept Flushes = requires(Writer& writer) {
  { writer.Flush() } -> std::convertible_to<absl::StatusOr<FlushState>>;
};

// Writes the records of an input, and flushes them before their epoch is closed.
template <class D, class T, class Sink>
class SinkNode final : public EpochParticipant {
 public:
  SinkNode(Graph& graph, Node& node, NodeInput<D, T>& input, Sink sink)
      : EpochParticipant(node.step_id()),
        graph_(graph),
        node_(node),
        input_(input, graph.worker().run().options().apply_in_epoch_order, 0),
        sink_(std::move(sink)),
        alarm_(graph, node) {}

  void Open() {
    absl::StatusOr<Writer> writer = sink_.Open(ContextOf(graph_, node_));
    Check(writer.status());
    writer_.emplace(*std::move(writer));
  }

  void Run() {
    if (MustWait()) return;
    auto close = [this](Epoch epoch) { return Close(epoch); };
    const bool applied =
        input_.Apply([this](const CapabilityRef<T>&, Batch<D>& batch) { Write(batch); }, close);
    node_.takes_nothing = !applied || !input_.CloseEnded(close);
  }

  // A sink has no state: its records are handed over when their epoch is closed.
  void TrackChanges() override {}
  void Snapshot(absl::FunctionRef<void(const StateEntry&)>) override {}
  absl::Status Restore(const StateEntry&) override {
    return absl::InvalidArgumentError(
        "a snapshot has state for this step, which is a sink and has none; resume with the program "
        "that took the snapshot");
  }

 private:
  using Writer = WriterOf<Sink>;

  void Check(const absl::Status& status) {
    if (!status.ok()) graph_.errors().FailAndThrow(step_id(), status);
  }

  // Whether the pending flush need not be asked for yet.
  bool MustWait() {
    if (ask_at_nanos_ == 0 || std::exchange(node_.woken, false)) return false;
    const int64_t now = graph_.worker().NowNanos();
    if (now >= ask_at_nanos_) return false;
    alarm_.Set(now, ask_at_nanos_);
    return true;
  }

  void Write(const Batch<D>& batch) {
    unflushed_ = true;
    for (size_t i = 0; i < batch.size(); ++i) Check(writer_->Write(batch[i]));
  }

  bool Close(Epoch epoch) {
    if (unflushed_ && !Flush()) return false;
    unflushed_ = false;
    TellClosed(epoch);
    return true;
  }

  // Returns true if the flush is done.
  bool Flush() {
    ask_at_nanos_ = 0;
    if constexpr (std::is_same_v<decltype(writer_->Flush()), absl::Status>) {
      Check(writer_->Flush());
      return true;
    } else {
      absl::StatusOr<FlushState> state = writer_->Flush();
      Check(state.status());
      if (state->done) return true;
      node_.may_be_woken = true;
      const int64_t now = graph_.worker().NowNanos();
      ask_at_nanos_ = Alarm::Later(now, absl::ToInt64Nanoseconds(state->wait));
      alarm_.Set(now, ask_at_nanos_);
      return false;
    }
  }

  Graph& graph_;
  Node& node_;
  EpochInput<D, T> input_;
  Sink sink_;
  std::optional<Writer> writer_;
  bool unflushed_ = false;    // records were written since the last flush
  int64_t ask_at_nanos_ = 0;  // when to ask for the pending flush again; 0: none is pending
  Alarm alarm_;
};

}  // namespace internal

// Gives the stream's records to a sink. `Output("out", sink)`. Returns a stream without records,
// whose frontier passes a time when this worker and all others have flushed its records:
//
//   stream | Output("out", sink) | Probe(flushed);
template <class Sink>
auto Output(std::string step_id, Sink sink) {
  return DefineStep(
      std::move(step_id), std::move(sink),
      []<class D, class T>(const Stream<D, T>& stream, std::string_view id, Sink of_worker) {
        static_assert(internal::IsSink<Sink>,
                      "Output: the sink must be an object with absl::StatusOr<Writer> Open(const "
                      "SinkContext&), such as StdOutSink(); for a function use Inspect");
        using Writer = internal::WriterOf<Sink>;
        static_assert(internal::WritesRecord<Writer, D>,
                      "Output: the sink's Writer must have absl::Status Write(record) for the "
                      "records of the stream, with std::string_view for strings");
        static_assert(internal::Flushes<Writer>,
                      "Output: the sink's Writer must have absl::Status Flush(), or "
                      "absl::StatusOr<FlushState> Flush()");
        OperatorBuilder<T> builder(stream.scope(), id);
        NodeInput<D, T>& input = builder.AddInput(stream, pact::Pipeline{});
        // No record leaves through this output. Its capabilities keep epochs open until they are
        // closed.
        auto& flushed = builder.template AddOutput<Flushed>();
        auto& node = builder.graph().objects().template Make<internal::SinkNode<D, T, Sink>>(
            builder.graph(), builder.node(), input, std::move(of_worker));
        builder.AddParticipant(node, 0, [&node] { node.Open(); });
        builder.node().flushes = true;
        builder.BuildWithoutCapabilities([&node] { node.Run(); });
        return builder.StreamOf(flushed);
      });
}

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_SINK_H_
