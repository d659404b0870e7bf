#ifndef HEADWAY_ENGINE_STEP_SOURCE_H_
#define HEADWAY_ENGINE_STEP_SOURCE_H_

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine/graph/scope.h"
#include "engine/step/operator_builder.h"
#include "engine/step/poll_pace.h"
#include "engine/step/source_node.h"
#include "engine/step/source_state.h"
#include "engine/step/step_context.h"

// Sources: where records come from. A source is a value that describes the input, as partitions:
// files, topics, tables. The library divides them among the workers, and opens a reader for each:
//
//   class MySource {
//    public:
//     using Record = std::string;
//     // The names of the partitions. Called on worker 0 when the dataflow has been built; all
//     // workers get its result. Names are different, and stay the same from run to run. Must not
//     // block.
//     absl::StatusOr<std::vector<std::string>> Partitions(const SourceContext& context);
//     // Opens a partition at its beginning, or after the position that Snapshot returned.
//     absl::StatusOr<Reader> OpenPartition(const SourceContext& context,
//                                          const std::string& partition,
//                                          std::optional<std::string> position);
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
// Worker w of W reads the partitions w, w + W, w + 2 W, ... of the list. Its readers are polled in
// turn. A run that resumes may have another number of workers, and new partitions, which begin at
// their beginning. A reader that returned Done is opened again at its position then: a run whose
// input has ended can be continued with more input. Optional members of the source:
//
//     // The time after which Partitions is called again; asked after each call. Partitions that
//     // are new in the list are added to its end, and divided in the same way; the others stay
//     // where they are, also one that is not listed any more. InfiniteDuration: the list was the
//     // last one, and the input ends when all partitions are done. Until then a worker that has
//     // nothing to read closes empty epochs. Default: InfiniteDuration.
//     absl::Duration list_interval() const;
//     // Default: kFail.
//     VanishedPartitions vanished_partitions() const;
//     // How many partitions a worker has open at a time; another one is opened when a reader is
//     // done. Default: all. For sources of very many partitions that end, such as files.
//     int max_open_partitions() const;
//
//     // The epochs up to these positions are committed: no run that resumes from the store begins
//     // before them. Called on the worker of the partitions, soon after each commit, with the
//     // positions that have changed. For information, or to acknowledge records to the system
//     // that has them. Must not block. Not called in a run without a recovery store. A run that
//     // fails may have committed its last positions without a call.
//     absl::Status Committed(const CommittedPositions& positions);  // by partition
//
// A source without partitions has a reader on each worker, for the share of that worker:
//
//     // Called on each worker when the dataflow has been built. `position` is the result of
//     // Snapshot, if the run resumes.
//     absl::StatusOr<Reader> Open(const SourceContext& context,
//                                 std::optional<std::string> position);
//
// Snapshot is optional. A source whose readers have it can be resumed with the same number of
// workers only. A source without it begins at its beginning, on any number of workers.
//
// RunOptions::epoch_config decides when epochs are closed. A source that knows better has a member
// `EpochConfig epoch_config() const`, which takes precedence; it may return a std::optional. With
// SourceEpochConfig its readers close epochs themselves: Poll returns EndEpoch() after the last
// record of an epoch, or AdvanceTo(epoch) to choose the next epoch by number. With any other config
// these close an epoch early. The readers of a worker share its epoch: one that closes it closes it
// for all. An epoch is complete when all workers have closed it.
//
// A source with a list_interval whose epochs have no length: a worker that has nothing to read
// closes an epoch every 10 ms. So the others close 100 epochs a second at most; prefer
// PeriodicEpochConfig, or more records in an epoch. With SourceEpochConfig such a worker closes one
// epoch after the other by number: a reader that returned AdvanceTo with a much later epoch waits
// until the idle workers have closed as many epochs.
//
// A worker whose readers have all returned Done has closed all epochs. The readers of other workers
// continue, and the input ends with the last of them.
//
// A source that consists of several steps has `auto AddTo(Scope<>& scope, std::string_view
// step_id)` instead, which builds them and returns the stream.
//
// A reader whose records come from another thread returns Idle with a long time, and that thread
// calls SourceContext::activator when there is a record. All idle readers of the worker are polled
// then.
//
// An error status ends the run, and the run's status names the step and the worker.

namespace headway {

// The fate of a stored position whose partition the source does not name any more.
enum class VanishedPartitions {
  kFail,    // ends the run with FailedPrecondition, which names the partition
  kForget,  // the position is dropped
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
  // Asks once for several records that the reader has at hand, at most `count`: returns how many of
  // them it may emit now, and 0 where WantsMore returns false. Prefer a count below 100, because
  // the steps downstream run while the records are emitted.
  int64_t WantsUpTo(int64_t count) { return WantsMore() ? std::min(count, budget_ - emitted_) : 0; }
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
concept IsPartitionedSource =
    requires(Source& source, const SourceContext& context, const std::string& partition) {
      typename Source::Record;
      {
        source.Partitions(context)
      } -> std::convertible_to<absl::StatusOr<std::vector<std::string>>>;
      typename decltype(source.OpenPartition(context, partition, std::nullopt))::value_type;
    };

template <class Source>
struct ReaderOfSource {
  using type =
      typename decltype(std::declval<Source&>().Open(SourceContext{}, std::nullopt))::value_type;
};
template <IsPartitionedSource Source>
struct ReaderOfSource<Source> {
  using type = typename decltype(std::declval<Source&>().OpenPartition(
      SourceContext{}, std::string(), std::nullopt))::value_type;
};
template <class Source>
using ReaderOf = typename ReaderOfSource<Source>::type;

template <class Reader, class D>
concept PollsRecords = requires(Reader& reader, SourceOutput<D>& output) {
  { reader.Poll(output) } -> std::convertible_to<absl::StatusOr<SourceState>>;
};

template <class Reader>
concept HasPosition = requires(const Reader& reader) {
  { reader.Snapshot() } -> std::convertible_to<std::string>;
};

template <class Source>
concept WatchesCommits = requires(Source& source, const CommittedPositions& positions) {
  { source.Committed(positions) } -> std::convertible_to<absl::Status>;
};

// A source that divides its partitions itself, as SourceNodeBase describes it.
template <class Source>
concept DividesItself =
    requires(Source& source, const SourceContext& context, std::vector<std::string> list) {
      source.Divide(context, std::move(list));
    };

template <class Reader, class D>
class TypedReader final : public PartitionReader {
 public:
  TypedReader(Reader reader, SourceOutput<D>& output, PollPace& pace)
      : reader_(std::move(reader)), output_(output), pace_(pace) {}

  absl::StatusOr<SourceState> Poll(Epoch epoch, int64_t budget, int64_t& emitted) override {
    pace_.BeginPoll();
    output_.Begin(epoch, budget);
    absl::StatusOr<SourceState> state = reader_.Poll(output_);
    emitted = output_.emitted();
    return state;
  }
  std::optional<std::string> Position() const override {
    if constexpr (HasPosition<Reader>) {
      return reader_.Snapshot();
    } else {
      return std::nullopt;
    }
  }

 private:
  Reader reader_;
  SourceOutput<D>& output_;
  PollPace& pace_;
};

template <class Source>
class SourceNode final : public SourceNodeBase {
 public:
  using D = typename Source::Record;

  SourceNode(Graph& graph, Node& node, NodeOutput<D, Epoch>& output, Capability<Epoch> capability,
             Source source, SourceListing* listing)
      : SourceNodeBase(graph, node, output, std::move(capability), Epochs(source, graph),
                       FormOf(source), listing),
        source_(std::move(source)),
        pace_(graph.worker()),
        source_output_(output, pace_) {}
  // Readers may refer to their source.
  ~SourceNode() override { CloseReaders(); }

 private:
  using Reader = ReaderOf<Source>;
  static constexpr bool kByWorker = !IsPartitionedSource<Source>;
  static constexpr bool kWatchesCommits = internal::WatchesCommits<Source>;

  static EpochConfig Epochs(const Source& source, Graph& graph) {
    const EpochConfig& of_run = graph.worker().run().options().epoch_config;
    if constexpr (requires { source.epoch_config(); }) {
      const std::optional<EpochConfig> own = source.epoch_config();
      return own.value_or(of_run);
    } else {
      return of_run;
    }
  }
  static Form FormOf(const Source& source) {
    Form form{.by_worker = kByWorker};
    if constexpr (requires { source.max_open_partitions(); }) {
      form.max_open = static_cast<size_t>(source.max_open_partitions());
    }
    if constexpr (requires { source.vanished_partitions(); }) {
      form.forgets_vanished = source.vanished_partitions() == VanishedPartitions::kForget;
    }
    form.watches_commits = kWatchesCommits;
    return form;
  }

  absl::StatusOr<std::vector<std::string>> List() override {
    if constexpr (kByWorker) {
      return std::vector<std::string>();
    } else {
      return source_.Partitions(Context());
    }
  }
  absl::Duration ListInterval() const override {
    if constexpr (requires { source_.list_interval(); }) {
      return source_.list_interval();
    } else {
      return absl::InfiniteDuration();
    }
  }
  absl::StatusOr<std::vector<std::string>> Vanished(
      const std::vector<std::string>& list) const override {
    if constexpr (DividesItself<Source>) {
      return source_.Vanished(restored());
    } else {
      return SourceNodeBase::Vanished(list);
    }
  }
  absl::StatusOr<std::vector<std::string>> Divide(std::vector<std::string> list) override {
    if constexpr (DividesItself<Source>) {
      return source_.Divide(Context(), std::move(list));
    } else {
      return SourceNodeBase::Divide(std::move(list));
    }
  }
  absl::StatusOr<std::unique_ptr<PartitionReader>> OpenPartition(
      const std::string& partition, std::optional<std::string> position) override {
    absl::StatusOr<Reader> reader = [&]() -> absl::StatusOr<Reader> {
      if constexpr (kByWorker) {
        return source_.Open(Context(), std::move(position));
      } else {
        return source_.OpenPartition(Context(), partition, std::move(position));
      }
    }();
    if (!reader.ok()) return reader.status();
    return std::make_unique<TypedReader<Reader, D>>(*std::move(reader), source_output_, pace_);
  }
  absl::Status Committed(const CommittedPositions& positions) override {
    if constexpr (kWatchesCommits) {
      return source_.Committed(positions);
    } else {
      return absl::OkStatus();
    }
  }

  Source source_;
  PollPace pace_;
  SourceOutput<D> source_output_;
};

}  // namespace internal

template <class T>
template <class Source>
auto Scope<T>::Input(std::string_view step_id, Source source) {
  static_assert(std::is_same_v<T, Epoch>, "an input must be in the root scope");
  if constexpr (requires { source.AddTo(*this, step_id); }) {
    return source.AddTo(*this, step_id);
  } else {
    constexpr bool kPartitioned = internal::IsPartitionedSource<Source>;
    static_assert(internal::IsSource<Source> || kPartitioned,
                  "Input: the source must be an object with a type Record and "
                  "absl::StatusOr<Reader> Open(const SourceContext&, std::optional<std::string>), "
                  "or with Partitions and OpenPartition (source.h); for the records of a container "
                  "use TestingSource(vector)");
    using Reader = internal::ReaderOf<Source>;
    static_assert(internal::PollsRecords<Reader, typename Source::Record>,
                  "Input: the source's Reader must have absl::StatusOr<SourceState> "
                  "Poll(SourceOutput<Record>&)");
    static_assert(internal::HasPosition<Reader> || !kPartitioned,
                  "Input: the Reader of a partition must have std::string Snapshot() const");
    static_assert(
        internal::WatchesCommits<Source> || !requires { &Source::Committed; },
        "Input: the source's Committed must be absl::Status "
        "Committed(const CommittedPositions&)");
    OperatorBuilder<T> builder(*this, step_id);
    internal::SourceListing* listing = nullptr;
    if constexpr (kPartitioned) {
      listing = internal::SourceListing::AddTo(*this, builder, step_id);
    }
    auto& output = builder.template AddOutput<typename Source::Record>();
    if (listing != nullptr) builder.SetSummary(0, 0, std::nullopt);
    builder.Build([&](std::vector<Capability<T>> first) {
      auto& node = graph_.objects().template Make<internal::SourceNode<Source>>(
          graph_, builder.node(), output, std::move(first[0]), std::move(source), listing);
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
