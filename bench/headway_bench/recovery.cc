// Counts changes by key, with and without a recovery store: the cost of snapshots, and of resuming.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bench/headway_bench/benchmarks.h"
#include "bench/headway_bench/generate.h"
#include "bench/headway_bench/steps.h"
#include "engine/state/flat_table.h"
#include "engine/store/store.h"

namespace headway::bench {

namespace {

struct Change {
  uint64_t key;
  uint64_t due_nanos;  // since the start; 0 if there is no rate
};

// Keys and sums are as good as random, so that compression does not make the store look small.
uint64_t KeyOf(uint64_t number) { return SplitMix64(number); }

// The work of a worker.
struct Work {
  uint64_t keys = 0;
  uint64_t rate = 0;  // records per second, of all workers; 0: as many as possible
  uint64_t nanos = 0;
  uint64_t worker = 0;
  uint64_t workers = 0;

  bool started = false;
  Stopwatch clock = {};
  uint64_t emitted = 0;
  uint64_t received = 0;
  uint64_t epochs = 0;
  Histogram latencies = {};
};

// Emits changes of all keys in turn, in an order that caches cannot foresee, for some time.
class Changes {
 public:
  using Record = Change;

  explicit Changes(Work& work) : work_(&work) {}

  class Reader {
   public:
    explicit Reader(Work& work)
        : work_(work),
          key_(work.worker * kStride % work.keys),
          step_(work.workers * kStride % work.keys) {}

    absl::StatusOr<SourceState> Poll(SourceOutput<Change>& out) {
      if (!work_.started) return SourceState::Idle(absl::Microseconds(100));
      const uint64_t now = work_.clock.Nanos();
      if (now >= work_.nanos) return SourceState::Done();
      if (epoch_ != out.epoch()) ++work_.epochs;
      epoch_ = out.epoch();
      while (out.WantsMore()) {
        const uint64_t due = NextDue();
        if (due > now) return SourceState::Idle(absl::Nanoseconds(due - now));
        out.Emit(Change{KeyOf(key_), due});
        ++work_.emitted;
        key_ += step_;
        if (key_ >= work_.keys) key_ -= work_.keys;
      }
      return SourceState::More();
    }

   private:
    // A prime, greater than any number of keys: all keys have their turn.
    static constexpr uint64_t kStride = 2'654'435'761;

    uint64_t NextDue() const {
      if (work_.rate == 0) return 0;
      const uint64_t number = work_.emitted * work_.workers + work_.worker;
      return static_cast<uint64_t>(Uint128{number} * 1'000'000'000 / work_.rate);
    }

    Work& work_;
    uint64_t key_;
    uint64_t step_;
    std::optional<Epoch> epoch_;
  };

  absl::StatusOr<Reader> Open(const SourceContext&, std::optional<std::string>) {
    return Reader(*work_);
  }

 private:
  Work* work_;
};

Stream<Change> Count(const Stream<Change>& changes) {
  return CountChanges(changes, [](const Change& change, const Totals& totals) {
    return Change{totals.count, change.due_nanos};
  });
}

auto CheckInto(Work& work) {
  return Unary<Nothing>("check", pact::Pipeline{}, [&work](Capability<>) {
    return [&work](NodeInput<Change>& in, NodeOutput<Nothing>&) {
      in.ForEach([&work](const CapabilityRef<>&, Batch<Change>& batch) {
        work.received += batch.size();
        if (work.rate == 0) return;
        const uint64_t now = work.clock.Nanos();
        for (const Change& change : batch) work.latencies.Add(now - change.due_nanos);
      });
    };
  });
}

// The bytes that this process has put into its store, compaction included.
std::atomic<uint64_t> stored_bytes = 0;

class CountedPartition final : public StorePartition {
 public:
  explicit CountedPartition(std::unique_ptr<StorePartition> partition)
      : partition_(std::move(partition)) {}

  std::string Describe() const override { return partition_->Describe(); }
  absl::StatusOr<PartitionContents> ReadContents() override { return partition_->ReadContents(); }
  absl::StatusOr<std::vector<StoredBlock>> ListBlocks(int64_t run) override {
    return partition_->ListBlocks(run);
  }
  absl::StatusOr<std::string> ReadBlock(int64_t run, size_t number) override {
    return partition_->ReadBlock(run, number);
  }
  absl::Status Apply(const PartitionChange& change) override {
    for (const PartitionChange::NewRun& run : change.new_runs) {
      for (const StoredBlock& block : run.blocks) stored_bytes += block.bytes.size();
    }
    return partition_->Apply(change);
  }

 private:
  const std::unique_ptr<StorePartition> partition_;
};

class CountedStore final : public RecoveryStore {
 public:
  explicit CountedStore(std::shared_ptr<RecoveryStore> store) : store_(std::move(store)) {}

  std::string Describe() const override { return store_->Describe(); }
  absl::StatusOr<int> PartitionCount() override { return store_->PartitionCount(); }
  absl::Status Create(int count, std::string_view store_id) override {
    return store_->Create(count, store_id);
  }
  absl::StatusOr<std::unique_ptr<StorePartition>> OpenToRead(int index) override {
    return store_->OpenToRead(index);
  }
  absl::StatusOr<std::unique_ptr<StorePartition>> OpenToWrite(int index, std::string_view holder,
                                                              bool takes_over) override {
    auto partition = store_->OpenToWrite(index, holder, takes_over);
    if (!partition.ok()) return partition.status();
    return std::make_unique<CountedPartition>(*std::move(partition));
  }

 private:
  const std::shared_ptr<RecoveryStore> store_;
};

void Configure(const Options& options, RunOptions& run) {
  run.epoch_config =
      PeriodicEpochConfig{absl::Milliseconds(static_cast<int64_t>(options.number("epoch-ms")))};
  if (options.file.empty()) return;
  run.recovery_config =
      RecoveryConfig{.store = std::make_shared<CountedStore>(StoreAt(options.file))};
}

double Millis(const Stopwatch& clock) { return clock.Seconds() * 1e3; }

// Reads all blocks of the store, and does nothing with them.
absl::Status ReadBlocks(RecoveryStore& store) {
  const absl::StatusOr<int> partitions = store.PartitionCount();
  if (!partitions.ok()) return partitions.status();
  for (int index = 0; index < *partitions; ++index) {
    auto partition = store.OpenToRead(index);
    if (!partition.ok()) return partition.status();
    auto contents = (*partition)->ReadContents();
    if (!contents.ok()) return contents.status();
    for (const StoredRun& run : contents->runs) {
      auto blocks = (*partition)->ListBlocks(run.id);
      if (!blocks.ok()) return blocks.status();
      for (size_t number = 0; number < blocks->size(); ++number) {
        auto bytes = (*partition)->ReadBlock(run.id, number);
        if (!bytes.ok()) return bytes.status();
      }
    }
  }
  return absl::OkStatus();
}

// The least that a resume of this worker's keys can cost.
absl::Status MeasureByHand(const Options& options, const Work& work, Outcome& outcome) {
  const Stopwatch reading;
  HEADWAY_RETURN_IF_ERROR(ReadBlocks(*StoreAt(options.file)));
  outcome.figures.emplace_back("read_ms", Millis(reading));
  const Stopwatch filling;
  FlatTable<uint64_t, Totals> table;
  for (uint64_t key = work.worker; key < work.keys; key += work.workers)
    table.At(KeyOf(key)) = {1, key};
  outcome.figures.emplace_back("fill_ms", Millis(filling));
  return absl::OkStatus();
}

absl::StatusOr<Outcome> Run(Worker& worker, Harness& harness, const Options& options) {
  const bool resumes = options.flag("resume");
  if (resumes && options.file.empty()) {
    return absl::InvalidArgumentError("--resume needs the store of a run before");
  }
  Work work{.keys = options.number("keys"),
            .rate = options.number("rate"),
            .nanos = resumes ? 0 : options.number("seconds") * 1'000'000'000,
            .worker = static_cast<uint64_t>(worker.index()),
            .workers = static_cast<uint64_t>(worker.count())};
  Outcome outcome;
  if (resumes) HEADWAY_RETURN_IF_ERROR(MeasureByHand(options, work, outcome));
  HEADWAY_RETURN_IF_ERROR(harness.Start());
  ProbeHandle<> probe;
  const Stopwatch building;
  HEADWAY_RETURN_IF_ERROR(worker.Build("recovery", [&](Scope<>& scope) {
    Count(scope.Input("changes", Changes(work))) | CheckInto(work) | Probe(probe);
  }));
  if (resumes) outcome.figures.emplace_back("load_ms", Millis(building));

  HEADWAY_RETURN_IF_ERROR(harness.SetClocksEqual());
  work.clock = harness.clock();
  work.started = true;
  uint64_t longest_pause = 0;
  uint64_t last_step = work.clock.Nanos();
  HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] {
    const uint64_t now = work.clock.Nanos();
    longest_pause = std::max(longest_pause, now - std::exchange(last_step, now));
    return !probe.Done();
  }));
  outcome.seconds = work.clock.Seconds();
  outcome.records = work.emitted;
  outcome.checksum = work.received;
  outcome.latencies = std::move(work.latencies);
  if (resumes) return outcome;
  if (work.rate == 0) {
    outcome.figures.emplace_back("longest_pause_ms", static_cast<double>(longest_pause) / 1e6);
  }
  if (!options.file.empty()) {
    outcome.figures.emplace_back(
        "stored_bytes_per_change",
        static_cast<double>(stored_bytes) / static_cast<double>(work.keys * work.epochs));
  }
  return outcome;
}

}  // namespace

Benchmark RecoveryBenchmark() {
  return {.name = "recovery",
          .summary = "counts changes by key, with snapshots in a recovery store if one is given",
          .arguments = {Number("keys", 1'000'000, "distinct keys"),
                        Number("epoch-ms", 1000, "length of an epoch"),
                        Number("seconds", 10, "time for which changes are made"),
                        {.name = "rate",
                         .help = "changes per second, whose latencies are measured; 0: no limit"},
                        Flag("resume", "only load the state of the store, and do so by hand")},
          .run = Run,
          .file_help = "recovery store: a directory, or a URI of PostgreSQL",
          .configure = Configure};
}

}  // namespace headway::bench
