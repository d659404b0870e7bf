#ifndef HEADWAY_ENGINE_STEP_SOURCE_H_
#define HEADWAY_ENGINE_STEP_SOURCE_H_

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine/graph/scope.h"
#include "engine/graph/source_control.h"
#include "engine/step/alarm.h"
#include "engine/step/epoch_clock.h"
#include "engine/step/epoch_participant.h"
#include "engine/step/operator_builder.h"
#include "engine/step/poll_pace.h"
#include "engine/step/step_context.h"

// Sources: where records come from. A source is a value that describes the input. On each worker it
// opens a reader for the share of that worker:
//
//   class MySource {
//    public:
//     using Record = std::string;
//     // Called on each worker when the dataflow has been built. `resume_state` is the result of
//     // Snapshot at the resume epoch; always empty yet, since a run cannot be resumed (planned).
//     absl::StatusOr<Reader> Open(const SourceContext& context,
//                                 std::optional<std::string> resume_state);
//   };
//   class Reader {
//    public:
//     // Emits records while out.WantsMore(), at out.epoch(). Must not block: a reader that has no
//     // record now returns Idle.
//     absl::StatusOr<SourceState> Poll(SourceOutput<std::string>& out);
//     // The position after the emitted records. Taken when an epoch is closed.
//     std::string Snapshot() const;
//   };
//
// RunOptions::epoch_config decides when epochs are closed. A source that knows better has a member
// `EpochConfig epoch_config() const`, which takes precedence; it may return a std::optional. With
// SourceEpochConfig its readers close epochs themselves: Poll returns EndEpoch() after the last
// record of an epoch, or AdvanceTo(epoch) to choose the next epoch by number. With any other config
// these close an epoch early. Each worker has a reader, and an epoch is complete when all of them
// have closed it.
//
// A reader that returns Done has closed all epochs. The readers of other workers continue, and the
// input ends with the last of them.
//
// A source that consists of several steps has `auto AddTo(Scope<>& scope, std::string_view
// step_id)` instead of Open, which builds them and returns the stream.
//
// A reader whose records come from another thread returns Idle with a long time, and that thread
// calls SourceContext::activator when there is a record.
//
// An error status ends the run, and the run's status names the step and the worker.

namespace headway {

// The result of a poll.
struct SourceState {
  static SourceState More() { return {}; }
  static SourceState Done() { return {.done = true}; }
  // The reader is polled again after `wait`, or earlier if SourceContext::activator wakes it.
  static SourceState Idle(absl::Duration wait) { return {.wait = wait}; }
  // More, in the next epoch: the current one has no more records of this reader.
  static SourceState EndEpoch() { return {.ends_epoch = true}; }
  // The same with the number of the next epoch. An epoch before out.epoch(), or from kStopEpoch on,
  // ends the run with FailedPrecondition; out.epoch() itself is like More.
  static SourceState AdvanceTo(Epoch epoch) { return {.ends_epoch = true, .next_epoch = epoch}; }

  bool done = false;
  absl::Duration wait = absl::ZeroDuration();
  bool ends_epoch = false;
  std::optional<Epoch> next_epoch = std::nullopt;  // nullopt: the current one + 1
};

// The output of a reader: emits at the source's current epoch. Valid in the call of Poll that
// receives it, and neither copied nor moved; use of a reference that was kept is a
// FailedPrecondition failure of the run.
template <class D>
class SourceOutput {
 public:
  SourceOutput(NodeOutput<D, Epoch>& output, internal::PollPace& pace)
      : output_(output), pace_(pace) {}
  SourceOutput(const SourceOutput&) = delete;
  SourceOutput& operator=(const SourceOutput&) = delete;

  // For the source: a call of Poll follows, which may emit up to `budget` records at `epoch`.
  void Begin(Epoch epoch, int64_t budget) {
    output_.SessionAtTime(epoch);
    epoch_ = epoch;
    budget_ = budget;
    batches_at_start_ = output_.batch_count();
    emitted_ = 0;
  }

  // Returns false when other steps are due, the epoch has its records, or the run stops: return
  // from Poll then. Ask before each record, and before the reader waits for one.
  bool WantsMore() {
    return emitted_ < budget_ && output_.batch_count() - batches_at_start_ < kBatchesPerPoll &&
           pace_.MayContinue();
  }
  // The epoch of the records that are emitted in this poll.
  Epoch epoch() const { return epoch_; }
  template <class U = D>
  void Emit(U&& record) {
    output_.Give(std::forward<U>(record));
    ++emitted_;
  }
  int64_t emitted() const { return emitted_; }

 private:
  // The batches of one poll, before the steps downstream run.
  static constexpr uint64_t kBatchesPerPoll = 4;

  NodeOutput<D, Epoch>& output_;
  internal::PollPace& pace_;
  Epoch epoch_ = 0;
  int64_t budget_ = 0;
  uint64_t batches_at_start_ = 0;
  int64_t emitted_ = 0;
};

namespace internal {

template <class Source>
concept IsSource = requires(Source& source, const SourceContext& context) {
  typename Source::Record;
  typename decltype(source.Open(context, std::nullopt))::value_type;
};

template <class Source>
using ReaderOf =
    typename decltype(std::declval<Source&>().Open(SourceContext{}, std::nullopt))::value_type;

template <class Reader, class D>
concept PollsRecords = requires(Reader& reader, SourceOutput<D>& output) {
  { reader.Poll(output) } -> std::convertible_to<absl::StatusOr<SourceState>>;
};

// Polls the reader of a source, and knows its position.
template <class Source>
class SourceNode final : public SourceControl, public EpochParticipant {
 public:
  using D = typename Source::Record;

  SourceNode(Graph& graph, Node& node, NodeOutput<D, Epoch>& output, Capability<Epoch> capability,
             Source source)
      : EpochParticipant(node.step_id()),
        graph_(graph),
        node_(node),
        output_(output),
        source_(std::move(source)),
        clock_(graph, node, std::move(capability), *this, Epochs()),
        pace_(graph.worker()),
        source_output_(output, pace_),
        alarm_(graph, node) {}

  void Open() {
    absl::StatusOr<Reader> reader =
        source_.Open(ContextOf(graph_, node_), std::move(resume_state_));
    if (!reader.ok()) graph_.errors().FailAndThrow(step_id(), reader.status());
    reader_.emplace(*std::move(reader));
  }

  Node& node() override { return node_; }
  Epoch epoch() const override { return clock_.epoch(); }
  bool ended() const override { return stopped_ || clock_.finished(); }
  std::optional<Epoch> AwaitedEpoch() override { return clock_.AwaitedEpoch(); }
  bool IsPaused() override { return clock_.IsPaused(); }
  void Stop() override {
    if (std::exchange(stopped_, true)) return;
    try {
      graph_.errors().Guard(step_id(), [&] { clock_.Stop(); });
    } catch (const StepFailed&) {  // the run has the failure
    }
    graph_.queue().MarkActive();
  }

  void Run() {
    if (graph_.worker().run().stop_requested()) Stop();
    if (clock_.finished() || stopped_) return;
    clock_.CloseDueEpochs();
    if (!graph_.credit().HasCredit(output_)) {
      graph_.credit().Await(node_);
      return;
    }
    const int64_t budget = clock_.Budget();
    if (budget == 0 || MustWait()) return;  // the completion of an epoch or the alarm activates it
    pace_.BeginPoll();
    source_output_.Begin(clock_.epoch(), budget);
    node_.woken = false;
    absl::StatusOr<SourceState> state = reader_->Poll(source_output_);
    if (!state.ok()) graph_.errors().FailAndThrow(step_id(), state.status());
    output_.Flush();
    graph_.worker().CountSourceRecords(static_cast<uint64_t>(source_output_.emitted()));
    if (state->done) {
      clock_.Finish();
      return;
    }
    if (state->ends_epoch) {
      clock_.Advance(state->next_epoch);
    } else {
      clock_.AfterPoll(source_output_.emitted());
    }
    PollAgainAfter(state->wait);
  }

  // The position of a reader is one entry, under the index of its worker.
  bool restores_everywhere() const override { return true; }
  void TrackChanges() override {}
  void Snapshot(absl::FunctionRef<void(const StateEntry&)> write) override {
    if constexpr (requires { std::as_const(*reader_).Snapshot(); }) {
      const std::string key = Key();
      const std::string position = std::as_const(*reader_).Snapshot();
      write(
          {std::as_bytes(std::span(key)), std::as_bytes(std::span(position)), {}, StableHash(key)});
    }
  }
  absl::Status Restore(const StateEntry& entry) override {
    const std::string key(reinterpret_cast<const char*>(entry.key.data()), entry.key.size());
    if (key != Key()) {
      return absl::InvalidArgumentError(
          "a position in the snapshot belongs to another worker; resume with the number of workers "
          "that took the snapshot");
    }
    resume_state_.reset();
    if (entry.state.has_value()) {
      resume_state_.emplace(reinterpret_cast<const char*>(entry.state->data()),
                            entry.state->size());
    }
    return absl::OkStatus();
  }

 private:
  using Reader = ReaderOf<Source>;

  std::string Key() const { return std::to_string(graph_.worker().index()); }

  EpochConfig Epochs() const {
    const EpochConfig& of_run = graph_.worker().run().options().epoch_config;
    if constexpr (requires { source_.epoch_config(); }) {
      const std::optional<EpochConfig> own = source_.epoch_config();
      return own.value_or(of_run);
    } else {
      return of_run;
    }
  }

  // Whether the reader is idle still.
  bool MustWait() {
    if (poll_at_nanos_ == 0 || node_.woken) return false;
    const int64_t now = graph_.worker().NowNanos();
    if (now >= poll_at_nanos_) return false;
    alarm_.Set(now, poll_at_nanos_);
    return true;
  }

  void PollAgainAfter(absl::Duration wait) {
    poll_at_nanos_ = 0;
    if (wait > absl::ZeroDuration()) {
      const int64_t now = graph_.worker().NowNanos();
      poll_at_nanos_ = Alarm::Later(now, absl::ToInt64Nanoseconds(wait));
      alarm_.Set(now, poll_at_nanos_);
    } else {
      graph_.queue().Activate(node_);
    }
  }

  Graph& graph_;
  Node& node_;
  NodeOutput<D, Epoch>& output_;
  Source source_;
  EpochClock clock_;
  PollPace pace_;
  SourceOutput<D> source_output_;
  std::optional<std::string> resume_state_;  // until the reader is open
  std::optional<Reader> reader_;
  Alarm alarm_;
  int64_t poll_at_nanos_ = 0;  // until then the reader is idle; 0: it is not
  bool stopped_ = false;
};

}  // namespace internal

template <class T>
template <class Source>
auto Scope<T>::Input(std::string_view step_id, Source source) {
  static_assert(std::is_same_v<T, Epoch>, "an input belongs into the root scope");
  if constexpr (requires { source.AddTo(*this, step_id); }) {
    return source.AddTo(*this, step_id);
  } else {
    static_assert(internal::IsSource<Source>,
                  "Input: the source must be an object with a type Record and "
                  "absl::StatusOr<Reader> Open(const SourceContext&, std::optional<std::string>); "
                  "for the records of a container use TestingSource(vector)");
    static_assert(internal::PollsRecords<internal::ReaderOf<Source>, typename Source::Record>,
                  "Input: the source's Reader must have absl::StatusOr<SourceState> "
                  "Poll(SourceOutput<Record>&)");
    OperatorBuilder<T> builder(*this, step_id);
    auto& output = builder.template AddOutput<typename Source::Record>();
    builder.Build([&](std::vector<Capability<T>> first) {
      auto& node = graph_.objects().template Make<internal::SourceNode<Source>>(
          graph_, builder.node(), output, std::move(first[0]), std::move(source));
      graph_.builder().AddSource(node);
      builder.AddParticipant(node, 0, [&node] { node.Open(); });
      builder.node().checks_credit_itself = true;
      return [&node] { node.Run(); };
    });
    return builder.StreamOf(output);
  }
}

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_SOURCE_H_
