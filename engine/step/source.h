#ifndef HEADWAY_ENGINE_STEP_SOURCE_H_
#define HEADWAY_ENGINE_STEP_SOURCE_H_

#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine/graph/scope.h"
#include "engine/graph/source_control.h"
#include "engine/step/operator_builder.h"

// Sources: where records come from. A source is a value that describes the input; on each worker it
// opens a reader of that worker's share:
//
//   class MySource {
//    public:
//     using Record = std::string;
//     // On each worker, when the dataflow starts. `resume_state` is what Snapshot returned at
//     // the resume epoch; always empty yet, since a run cannot be resumed (planned).
//     absl::StatusOr<Reader> Open(const SourceContext& context,
//                                 std::optional<std::string> resume_state);
//   };
//   class Reader {
//    public:
//     // Emits records while out.WantsMore(). Never waits: a reader that has nothing now says
//     // when it wants to be asked again.
//     absl::StatusOr<SourceState> Poll(SourceOutput<std::string>& out);
//     // The position after what was emitted, to resume from. Not called yet.
//     std::string Snapshot() const;
//   };
//
// An error status ends the run, naming the step and the worker.

namespace headway {

struct SourceContext {
  int worker_index;
  int worker_count;
};

struct SourceState {
  static SourceState More() { return {}; }
  static SourceState Done() { return {.done = true, .wait = absl::ZeroDuration()}; }
  static SourceState Idle(absl::Duration wait) { return {.done = false, .wait = wait}; }

  bool done = false;
  absl::Duration wait = absl::ZeroDuration();  // how long not to ask again
};

// Where a reader emits, at the source's current epoch.
template <class D>
class SourceOutput {
 public:
  SourceOutput(NodeOutput<D, Epoch>& output, Epoch epoch, int64_t budget)
      : output_(output),
        session_(output.SessionAtTime(epoch)),
        budget_(budget),
        batches_at_start_(output.batch_count()) {}

  // False when it is somebody else's turn: return from Poll.
  bool WantsMore() const {
    return emitted_ < budget_ && output_.batch_count() - batches_at_start_ < kBatchesPerPoll;
  }
  template <class U>
  void Emit(U&& record) {
    session_.Give(std::forward<U>(record));
    ++emitted_;
  }
  int64_t emitted() const { return emitted_; }

 private:
  // What a source emits before the steps after it have their turn.
  static constexpr uint64_t kBatchesPerPoll = 4;

  NodeOutput<D, Epoch>& output_;
  typename NodeOutput<D, Epoch>::Session session_;
  const int64_t budget_;
  const uint64_t batches_at_start_;
  int64_t emitted_ = 0;
};

namespace internal {

// `now` and some more; the end of time if that is too much.
inline int64_t Later(int64_t now, int64_t nanos) {
  int64_t later;
  return __builtin_add_overflow(now, nanos, &later) ? std::numeric_limits<int64_t>::max() : later;
}

// Decides in which epoch a source emits, and when it has to pause. Not dependent on the record
// type.
class EpochClock {
 public:
  EpochClock(Graph& graph, Node& node, Capability<Epoch> capability);

  Epoch epoch() const { return capability_.time(); }
  bool finished() const { return !capability_.held(); }
  // How many records one poll may emit in the current epoch; 0 to pause until earlier epochs are
  // complete.
  int64_t Budget();
  // After a poll: closes the epoch if it is time.
  void AfterPoll();
  // At each activation: closes periodic epochs whose time is over, records or not.
  void CloseDueEpochs();
  void Finish() { capability_.Drop(); }
  void StopAt(Epoch epoch) {
    if (capability_.held()) capability_.Downgrade(epoch);
  }

 private:
  bool testing() const { return epoch_length_nanos_ == 0; }

  Graph& graph_;
  Node& node_;
  Capability<Epoch> capability_;
  int64_t epoch_length_nanos_ = 0;  // 0: testing
  int64_t epoch_end_nanos_ = 0;
};

template <class D, class Reader>
class SourceNode final : public SourceControl {
 public:
  SourceNode(Graph& graph, Node& node, NodeOutput<D, Epoch>& output, Capability<Epoch> capability,
             Reader reader)
      : graph_(graph),
        node_(node),
        output_(output),
        clock_(graph, node, std::move(capability)),
        reader_(std::move(reader)) {}

  Node& node() override { return node_; }
  Epoch epoch() const override { return clock_.epoch(); }
  void StopAt(Epoch epoch) override {
    stopped_ = true;
    clock_.StopAt(epoch);
    graph_.queue().MarkActive();
  }

  void Run() {
    if (clock_.finished() || stopped_ || graph_.worker().run.stop_requested()) return;
    clock_.CloseDueEpochs();
    if (!graph_.credit().HasCredit(output_)) {
      graph_.credit().Await(node_);
      return;
    }
    const int64_t now = wait_until_nanos_ == 0 ? 0 : graph_.worker().NowNanos();
    const int64_t budget = clock_.Budget();
    if (budget == 0 || now < wait_until_nanos_)
      return;  // a completed epoch or a timer activates it again
    SourceOutput<D> out(output_, clock_.epoch(), budget);
    absl::StatusOr<SourceState> state = reader_.Poll(out);
    if (!state.ok()) graph_.errors().FailAndThrow(node_.step_id(), state.status());
    output_.Flush();
    graph_.worker().source_records += static_cast<uint64_t>(out.emitted());
    if (state->done) {
      clock_.Finish();
      return;
    }
    clock_.AfterPoll();
    wait_until_nanos_ = 0;
    if (state->wait > absl::ZeroDuration()) {
      wait_until_nanos_ = Later(graph_.worker().NowNanos(), absl::ToInt64Nanoseconds(state->wait));
      graph_.queue().ActivateAt(node_, wait_until_nanos_);
    } else {
      graph_.queue().Activate(node_);
    }
  }

 private:
  Graph& graph_;
  Node& node_;
  NodeOutput<D, Epoch>& output_;
  EpochClock clock_;
  Reader reader_;
  int64_t wait_until_nanos_ = 0;
  bool stopped_ = false;
};

}  // namespace internal

template <class T>
template <class Source>
auto Scope<T>::Input(std::string_view step_id, Source source) {
  static_assert(std::is_same_v<T, Epoch>, "an input belongs into the root scope");
  using D = typename Source::Record;
  using Reader = typename decltype(source.Open(SourceContext{}, std::nullopt))::value_type;
  OperatorBuilder<T> builder(*this, step_id);
  NodeOutput<D, T>& output = builder.template AddOutput<D>();
  builder.Build([&](std::vector<Capability<T>> first) -> absl::AnyInvocable<void()> {
    absl::StatusOr<Reader> reader = source.Open({worker_index(), worker_count()}, std::nullopt);
    if (!reader.ok()) graph_.errors().FailAndThrow(builder.node().step_id(), reader.status());
    auto& node = graph_.objects().template Make<internal::SourceNode<D, Reader>>(
        graph_, builder.node(), output, std::move(first[0]), *std::move(reader));
    graph_.builder().AddSource(node);
    builder.node().checks_credit_itself = true;
    return [&node] { node.Run(); };
  });
  return builder.StreamOf(output);
}

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_SOURCE_H_
