#ifndef HEADWAY_ENGINE_STEP_TRANSACTIONAL_SINK_H_
#define HEADWAY_ENGINE_STEP_TRANSACTIONAL_SINK_H_

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine/step/build_sink.h"
#include "engine/step/epoch_input.h"
#include "engine/step/outbox_node.h"

// Transactional sinks: records that reach an outside system exactly once, with Output("id", sink).
// In a run with recovery, the items that the sink has to publish of an epoch are part of the
// epoch's snapshot, the outbox. When the epoch is committed they are published in one transaction
// of the outside system, together with a mark: the number of the epoch. A run that resumes asks for
// the last mark, and publishes the epochs behind it. So each item is published once, whatever fails
// in between, and although a replay may make other records.
//
//   class MySink {
//    public:
//     // The lane of a record. One worker publishes a lane, and lanes publish side by side. Copies
//     // must agree, on all workers. A lane means the same place of the outside system in each
//     // run. Without this member the sink has one lane, of worker 0.
//     std::string LaneOf(const D& record) const;   // or std::string_view
//     // Opens a lane: at its first record, or at the start of a run if it has an outbox. A sink of
//     // one lane opens it at the start. A writer of the lane of an earlier generation, which may
//     // still be there, must not be able to publish from now on.
//     absl::StatusOr<Lane> OpenLane(const SinkContext& context, const std::string& lane);
//   };
//   class Lane {
//    public:
//     // Adds the items of the record to the outbox.
//     absl::Status Write(const D& record, Outbox& outbox);   // or std::string_view
//     // The mark of the last transaction of the lane that the outside system has, if it has one.
//     // Marks belong to a recovery store: SinkContext::store_id. Called once, behind OpenLane, in
//     // runs with recovery.
//     // A system that keeps no marks, but knows an item again that it has, gets the last one that
//     // the store knows, and returns it: LastMark(std::optional<uint64_t> published).
//     absl::StatusOr<std::optional<uint64_t>> LastMark();
//     // Publishes the items and the mark: both or none. Returns absl::Status, or
//     // absl::StatusOr<FlushState> as a flush does (sink.h): Pending until it is done. Called with
//     // the same transaction until then. Must not block: see lane_thread.h.
//     absl::StatusOr<FlushState> Publish(const Transaction& transaction);
//     // Optional. How long the transaction waits for later epochs, which share it then; zero or
//     // less: it begins. Asked before a transaction begins, after each commit, and when the time
//     // is over. Not asked at the end of the run, in a run without recovery, and for 16 MiB of
//     // items. Epochs that wait are kept in memory and in the store, and sources do not pause for
//     // them.
//     absl::Duration WaitForMore(const Transaction& transaction);
//   };
//
// A record is published when its epoch is committed: one epoch, and the time of a snapshot, later
// than a sink without transactions writes it. Epochs that are committed while a transaction is
// under way share the next one. If more than RunOptions::max_epochs_in_flight wait, the sources
// pause. The end of the run waits until everything is published.
//
// In a run without recovery an epoch is published when it ends, without a mark: once, if nothing
// fails.
//
// An error status ends the run, and the run's status names the step and the worker. Items
// that were not published stay in the store, and the next run publishes them.

namespace headway {

namespace internal {

template <class Sink>
concept IsTransactionalSink =
    requires(Sink& sink, const SinkContext& context, const std::string& lane) {
      typename decltype(sink.OpenLane(context, lane))::value_type;
    };

template <class Sink>
using LaneTypeOf =
    typename decltype(std::declval<Sink&>().OpenLane(SinkContext{}, std::string()))::value_type;

template <class Sink, class D>
concept NamesLanes = requires(const Sink& sink, const Batch<D>& batch) {
  { sink.LaneOf(batch[0]) } -> std::convertible_to<std::string_view>;
};

template <class Lane, class D>
concept WritesToOutbox = requires(Lane& lane, const Batch<D>& batch, Outbox& outbox) {
  { lane.Write(batch[0], outbox) } -> std::convertible_to<absl::Status>;
};

template <class Lane>
concept Publishes = requires(Lane& lane, const Transaction& transaction) {
  { lane.Publish(transaction) } -> std::convertible_to<absl::StatusOr<FlushState>>;
};

template <class Lane>
concept HasLastMark = requires(Lane& lane) {
  { lane.LastMark() } -> std::convertible_to<absl::StatusOr<std::optional<uint64_t>>>;
};
template <class Lane>
concept IsToldLastMark = requires(Lane& lane, std::optional<uint64_t> published) {
  { lane.LastMark(published) } -> std::convertible_to<absl::StatusOr<std::optional<uint64_t>>>;
};

template <class Lane>
class TypedLane final : public SinkLane {
 public:
  explicit TypedLane(Lane of_sink) : lane(std::move(of_sink)) {}

  absl::Duration WaitForMore([[maybe_unused]] const Transaction& transaction) override {
    if constexpr (requires { lane.WaitForMore(transaction); }) {
      return lane.WaitForMore(transaction);
    } else {
      return absl::ZeroDuration();
    }
  }
  absl::StatusOr<FlushState> Publish(const Transaction& transaction) override {
    if constexpr (std::is_same_v<decltype(lane.Publish(transaction)), absl::Status>) {
      absl::Status status = lane.Publish(transaction);
      if (!status.ok()) return status;
      return FlushState::Done();
    } else {
      return lane.Publish(transaction);
    }
  }
  absl::StatusOr<std::optional<uint64_t>> LastMark(std::optional<uint64_t> published) override {
    if constexpr (IsToldLastMark<Lane>) {
      return lane.LastMark(published);
    } else {
      return lane.LastMark();
    }
  }

  Lane lane;
};

// Writes the records of an input to the outboxes of their lanes.
template <class D, class T, class Sink>
class OutboxNode final : public OutboxNodeBase {
 public:
  OutboxNode(Graph& graph, Node& node, NodeInput<D, T>& input, Sink& sink)
      : OutboxNodeBase(graph, node, !kHasLanes),
        input_(input, graph.worker().run().options(), 0,
               graph.worker().run().options().apply_in_epoch_order),
        sink_(sink) {}

  // The way of the records to their lanes. The sink outlives it.
  static auto PactOf(const Sink& sink) {
    if constexpr (kHasLanes) {
      return pact::Exchange{
          [&sink](const auto& record) -> decltype(auto) { return sink.LaneOf(record); }};
    } else {
      return pact::Gather{};
    }
  }

  void Open() {
    while (const std::string* name = FirstRestored()) OpenLane(std::string(*name));
    if (!kHasLanes && graph_.worker().index() == 0 && last_ == nullptr) OpenLane(kOnlyLane);
  }

  void Run() {
    PublishCommitted();
    auto close = [this](Epoch epoch) { return Close(epoch); };
    const bool applied =
        input_.Apply([this](const CapabilityRef<T>&, Batch<D>& batch) { Write(batch); }, close,
                     [](const CapabilityRef<T>&) {});
    node_.takes_nothing = !applied || !input_.CloseEnded(close);
  }

 private:
  static constexpr bool kHasLanes = NamesLanes<Sink, D>;
  using Lane = TypedLane<LaneTypeOf<Sink>>;

  void OpenLane(const std::string& name) {
    auto lane = sink_.OpenLane(Context(), name);
    Check(lane.status());
    last_ = static_cast<Lane*>(Add(name, std::make_unique<Lane>(*std::move(lane))));
  }

  void Write(const Batch<D>& batch) {
    for (size_t i = 0; i < batch.size(); ++i) {
      if constexpr (kHasLanes) {
        const auto& name = sink_.LaneOf(batch[i]);
        MoveTo(name);
      }
      Check(last_->lane.Write(batch[i], last_->outbox()));
    }
  }
  // Records of one lane often follow each other.
  void MoveTo(std::string_view name) {
    if (last_ != nullptr && last_->name() == name) return;
    last_ = static_cast<Lane*>(Find(name));
    if (last_ == nullptr) OpenLane(std::string(name));
  }

  EpochInput<D, T> input_;
  Sink& sink_;
  Lane* last_ = nullptr;  // that was written to, or the only one
};

// Builds a transactional sink.
template <class D, class T, class Sink>
auto BuildTransactionalOutput(const Stream<D, T>& stream, std::string_view id, Sink of_worker) {
  using Lane = LaneTypeOf<Sink>;
  static_assert(WritesToOutbox<Lane, D>,
                "Output: the Lane of a transactional sink must have absl::Status Write(record, "
                "Outbox&) for the records of the stream, with std::string_view for strings");
  static_assert(Publishes<Lane>,
                "Output: the Lane of a transactional sink must have absl::Status or "
                "absl::StatusOr<FlushState> Publish(const Transaction&)");
  static_assert(HasLastMark<Lane> || IsToldLastMark<Lane>,
                "Output: the Lane of a transactional sink must have "
                "absl::StatusOr<std::optional<uint64_t>> LastMark()");
  static_assert(
      NamesLanes<Sink, D> || !requires { &Sink::LaneOf; },
      "Output: the sink's LaneOf must take the records of the stream, and return a std::string or "
      "std::string_view");
  return BuildSink<OutboxNode<D, T, Sink>>(stream, id, std::move(of_worker));
}

}  // namespace internal

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_TRANSACTIONAL_SINK_H_
