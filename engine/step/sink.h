#ifndef HEADWAY_ENGINE_STEP_SINK_H_
#define HEADWAY_ENGINE_STEP_SINK_H_

#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/step/build_sink.h"
#include "engine/step/define_step.h"
#include "engine/step/epoch_input.h"
#include "engine/step/flush_state.h"
#include "engine/step/sink_node.h"
#include "engine/step/step_context.h"
#include "engine/step/transactional_sink.h"

// Sinks: where records go. A sink is a value that describes the output. It divides the records into
// partitions: files, topics, tables. All records of a partition are written by one worker:
//
//   class MySink {
//    public:
//     // The partition of a record. Copies must agree, on all workers. Without this member the sink
//     // has one partition, which worker 0 writes.
//     std::string PartitionOf(const D& record) const;   // or std::string_view
//     // Opens a partition at its first record. If the run resumes, all partitions with a position
//     // are opened at the start, and drop the records behind the position. A sink of one partition
//     // opens it at the start too.
//     absl::StatusOr<Writer> OpenPartition(const SinkContext& context,
//                                          const std::string& partition,
//                                          std::optional<std::string> position);
//   };
//   class Writer {
//    public:
//     absl::Status Write(const D& record);   // or std::string_view
//     // Hands over all records that were written. Called at the end of each epoch that had
//     // records; the epoch is complete when the flush is done.
//     absl::Status Flush();
//     // The position after the last flush.
//     std::string Snapshot() const;
//   };
//
// With RunOptions::apply_in_epoch_order the records of a partition are written in the order of
// their epochs, and a position is that of the end of an epoch.
//
// A sink without positions has a writer on each worker, for the records of that worker:
//
//     // Called on each worker when the dataflow has been built. The context has the worker's index
//     // and an activator for other threads. The writer needs no Snapshot.
//     absl::StatusOr<Writer> Open(const SinkContext& context);
//
// A flush that takes long must not block the worker. It returns absl::StatusOr<FlushState> then:
// Pending until the records are handed over, by another thread for example, and Done after that.
// No record is written while a flush is pending. All partitions are flushed at the same time.
//
// An error status ends the run, and the run's status names the step and the worker.
//
// A sink whose outside system has transactions can publish each record exactly once:
// transactional_sink.h.

namespace headway {

namespace internal {

template <class Sink>
concept IsSinkByWorker = requires(Sink& sink, const SinkContext& context) {
  typename decltype(sink.Open(context))::value_type;
};

template <class Sink>
concept IsPartitionedSink =
    requires(Sink& sink, const SinkContext& context, const std::string& partition) {
      typename decltype(sink.OpenPartition(context, partition, std::nullopt))::value_type;
    };

template <class Sink>
struct WriterOfSink {
  using type = typename decltype(std::declval<Sink&>().Open(SinkContext{}))::value_type;
};
template <IsPartitionedSink Sink>
struct WriterOfSink<Sink> {
  using type = typename decltype(std::declval<Sink&>().OpenPartition(SinkContext{}, std::string(),
                                                                     std::nullopt))::value_type;
};
template <class Sink>
using WriterOf = typename WriterOfSink<Sink>::type;

template <class Sink, class D>
concept NamesPartitions = requires(const Sink& sink, const Batch<D>& batch) {
  { sink.PartitionOf(batch[0]) } -> std::convertible_to<std::string_view>;
};

template <class Writer, class D>
concept WritesRecord = requires(Writer& writer, const Batch<D>& batch) {
  { writer.Write(batch[0]) } -> std::convertible_to<absl::Status>;
};

template <class Writer>
concept Flushes = requires(Writer& writer) {
  { writer.Flush() } -> std::convertible_to<absl::StatusOr<FlushState>>;
};

template <class Writer>
concept HasWriterPosition = requires(const Writer& writer) {
  { writer.Snapshot() } -> std::convertible_to<std::string>;
};

template <class Sink, class D>
constexpr SinkForm SinkFormOf() {
  if (!IsPartitionedSink<Sink>) return SinkForm::kByWorker;
  return NamesPartitions<Sink, D> ? SinkForm::kPartitions : SinkForm::kOnePartition;
}

template <class Writer>
class TypedPartition final : public SinkPartition {
 public:
  explicit TypedPartition(Writer of_partition) : writer(std::move(of_partition)) {}

  absl::StatusOr<FlushState> Flush() override {
    if constexpr (std::is_same_v<decltype(writer.Flush()), absl::Status>) {
      absl::Status status = writer.Flush();
      if (!status.ok()) return status;
      return FlushState::Done();
    } else {
      return writer.Flush();
    }
  }
  std::string Position() const override {
    if constexpr (HasWriterPosition<Writer>) {
      return writer.Snapshot();
    } else {
      return std::string();
    }
  }

  Writer writer;
};

// Writes the records of an input, and flushes them before their epoch is closed.
template <class D, class T, class Sink>
class SinkNode final : public SinkNodeBase {
 public:
  SinkNode(Graph& graph, Node& node, NodeInput<D, T>& input, Sink& sink)
      : SinkNodeBase(graph, node, kForm),
        input_(input, graph.worker().run().options(), 0,
               graph.worker().run().options().apply_in_epoch_order),
        sink_(sink) {}

  // The way of the records to their writers. The sink outlives it.
  static auto PactOf(const Sink& sink) {
    if constexpr (kForm == SinkForm::kByWorker) {
      return pact::Pipeline{};
    } else if constexpr (kForm == SinkForm::kOnePartition) {
      return pact::Gather{};
    } else {
      return pact::Exchange{
          [&sink](const auto& record) -> decltype(auto) { return sink.PartitionOf(record); }};
    }
  }

  void Open() {
    if constexpr (kForm == SinkForm::kPartitions) {
      while (!restored().empty()) {
        // A copy: OpenPartition takes the name out of there.
        const std::string name = restored().begin()->first;
        OpenPartition(name);
      }
    } else if (kForm == SinkForm::kByWorker || graph_.worker().index() == 0) {
      last_ = OpenPartition(kOnlyPartition);
    }
  }

  void Run() {
    if (MustWait()) return;
    auto close = [this](Epoch epoch) { return Close(epoch); };
    const bool applied =
        input_.Apply([this](const CapabilityRef<T>&, Batch<D>& batch) { Write(batch); }, close,
                     [](const CapabilityRef<T>&) {});
    node_.takes_nothing = !applied || !input_.CloseEnded(close);
  }

 private:
  static constexpr SinkForm kForm = SinkFormOf<Sink, D>();
  using Writer = WriterOf<Sink>;
  using Partition = TypedPartition<Writer>;

  Partition* OpenPartition(const std::string& name) {
    const std::optional<std::string> position = TakeRestored(name);
    absl::StatusOr<Writer> writer = OpenWriter(name, position);
    Check(writer.status());
    auto partition = std::make_unique<Partition>(*std::move(writer));
    return static_cast<Partition*>(Add(name, position, std::move(partition)));
  }
  absl::StatusOr<Writer> OpenWriter(const std::string& name,
                                    const std::optional<std::string>& position) {
    if constexpr (kForm == SinkForm::kByWorker) {
      return sink_.Open(Context());
    } else {
      return sink_.OpenPartition(Context(), name, position);
    }
  }

  void Write(const Batch<D>& batch) {
    if constexpr (kForm != SinkForm::kPartitions) WillWrite(*last_);
    for (size_t i = 0; i < batch.size(); ++i) {
      if constexpr (kForm == SinkForm::kPartitions) {
        const auto& name = sink_.PartitionOf(batch[i]);
        MoveTo(name);
      }
      Check(last_->writer.Write(batch[i]));
    }
  }
  // Records of one partition often follow each other.
  void MoveTo(std::string_view name) {
    if (last_ == nullptr || last_->name() != name) {
      last_ = static_cast<Partition*>(Find(name));
      if (last_ == nullptr) last_ = OpenPartition(std::string(name));
    }
    WillWrite(*last_);
  }

  EpochInput<D, T> input_;
  Sink& sink_;
  Partition* last_ = nullptr;  // that was written to, or the only one
};

// Builds a sink without transactions.
template <class D, class T, class Sink>
auto BuildOutput(const Stream<D, T>& stream, std::string_view id, Sink of_worker) {
  constexpr bool kPartitioned = IsPartitionedSink<Sink>;
  static_assert(IsSinkByWorker<Sink> || kPartitioned,
                "Output: the sink must be an object with absl::StatusOr<Writer> Open(const "
                "SinkContext&), such as StdOutSink(), or with OpenPartition (sink.h); for a "
                "function use Inspect");
  using Writer = WriterOf<Sink>;
  static_assert(WritesRecord<Writer, D>,
                "Output: the sink's Writer must have absl::Status Write(record) for the "
                "records of the stream, with std::string_view for strings");
  static_assert(Flushes<Writer>,
                "Output: the sink's Writer must have absl::Status Flush(), or "
                "absl::StatusOr<FlushState> Flush()");
  static_assert(HasWriterPosition<Writer> || !kPartitioned,
                "Output: the Writer of a partition must have std::string Snapshot() const");
  static_assert(
      NamesPartitions<Sink, D> || !requires { &Sink::PartitionOf; },
      "Output: the sink's PartitionOf must take the records of the stream, and "
      "return a std::string or std::string_view");
  return BuildSink<SinkNode<D, T, Sink>>(stream, id, std::move(of_worker));
}

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
        if constexpr (internal::IsTransactionalSink<Sink>) {
          return internal::BuildTransactionalOutput<D, T>(stream, id, std::move(of_worker));
        } else {
          return internal::BuildOutput<D, T>(stream, id, std::move(of_worker));
        }
      });
}

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_SINK_H_
