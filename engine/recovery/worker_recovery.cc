#include "engine/recovery/worker_recovery.h"

#include <algorithm>
#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "engine/graph/exchange_channel.h"
#include "engine/graph/source_control.h"
#include "engine/recovery/hash_range.h"
#include "engine/recovery/publisher.h"
#include "engine/recovery/snapshot_collector.h"
#include "engine/recovery/snapshot_writer.h"
#include "engine/runtime/status_macros.h"
#include "engine/step/epoch_participant.h"
#include "engine/step/operator_builder.h"
#include "engine/store/merge.h"

namespace headway::internal {
namespace {

// The generations that a partition remembers: copies of it from before them are of no use.
constexpr size_t kRememberedGenerations = 1000;

// The participants of a dataflow by the numbers of their steps in the store.
class Participants {
 public:
  Participants(Graph& graph, const Recovery& recovery) : graph_(graph), recovery_(recovery) {}

  absl::Status Number() {
    std::map<std::string, const PlannedStep*> known;
    uint32_t next = 1;
    for (const PlannedStep& step : recovery_.plan().steps) {
      known[step.id] = &step;
      next = std::max(next, step.number + 1);
    }
    std::set<std::string> present;
    for (EpochParticipant* participant : graph_.parts().participants) {
      if (!participant->ends().has_value()) {
        return absl::InvalidArgumentError(absl::StrFormat(
            "step '%s' has state and is in a nested scope, which a run with recovery cannot store; "
            "keep the state outside of the scope",
            participant->step_id()));
      }
      const std::string id = graph_.name() + "." + participant->step_id();
      if (!present.insert(id).second) {
        return absl::InvalidArgumentError(
            absl::StrFormat("step '%s' has two states under one id; give each a step of its own",
                            participant->step_id()));
      }
      const auto step = known.find(id);
      all_.push_back({participant, {step == known.end() ? next++ : step->second->number, id}});
    }
    return CheckNoneVanished(present);
  }

  struct Numbered {
    EpochParticipant* participant;
    StoredStep step;
  };
  const std::vector<Numbered>& all() const { return all_; }

 private:
  absl::Status CheckNoneVanished(const std::set<std::string>& present) const {
    std::vector<std::string> vanished;
    for (const PlannedStep& step : recovery_.plan().steps) {
      if (step.has_state && !present.contains(step.id)) vanished.push_back(step.id);
    }
    if (vanished.empty()) return absl::OkStatus();
    const std::string prefix = graph_.name() + ".";
    const bool is_another =
        std::none_of(recovery_.plan().steps.begin(), recovery_.plan().steps.end(),
                     [&](const PlannedStep& step) { return step.id.starts_with(prefix); });
    if (is_another) {
      const std::string& first = vanished.front();
      return absl::InvalidArgumentError(absl::StrFormat(
          "%s belongs to the dataflow '%s', and this one is '%s'; use another store",
          recovery_.Describe(), first.substr(0, first.find('.')), graph_.name()));
    }
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s has state of the step '%s', which the dataflow does not have; give the step its old "
        "id, or call `headway recovery rename-step` or `headway recovery drop-step`",
        recovery_.Describe(), absl::StrJoin(vanished, "', '")));
  }

  Graph& graph_;
  const Recovery& recovery_;
  std::vector<Numbered> all_;
};

// Begins the generation in a partition: runs that were not committed are gone, and writers of older
// generations are refused from here on.
absl::Status BeginGeneration(OwnedPartition& owned, const Recovery& recovery,
                             const std::vector<Participants::Numbered>& participants) {
  absl::StatusOr<PartitionContents> contents = owned.partition->ReadContents();
  if (!contents.ok()) return contents.status();
  const ResumePlan& plan = recovery.plan();
  PartitionChange change{
      .generation = plan.generation,
      .begins = Generation{.number = plan.generation,
                           .execution = plan.execution,
                           .resume_epoch = plan.resume_epoch,
                           .worker_count = recovery.run().topology().worker_count(),
                           .started_at_ms = plan.started_at_ms},
      .durable_end = plan.resume_epoch,
      .committed_end = plan.resume_epoch};
  const auto has = [&](uint32_t number) {
    return std::any_of(contents->steps.begin(), contents->steps.end(),
                       [&](const StoredStep& step) { return step.number == number; });
  };
  for (const PlannedStep& step : plan.steps) {
    if (!has(step.number)) change.new_steps.push_back({step.number, step.id});
  }
  for (const Participants::Numbered& each : participants) {
    const bool is_planned =
        std::any_of(plan.steps.begin(), plan.steps.end(),
                    [&](const PlannedStep& step) { return step.number == each.step.number; });
    if (!is_planned) change.new_steps.push_back(each.step);
  }
  const size_t generations = contents->generations.size();
  for (size_t i = 0; i + kRememberedGenerations < generations; ++i) {
    change.removed_generations.push_back(contents->generations[i].number);
  }
  return owned.partition->Apply(change);
}

std::span<const std::byte> BytesOf(std::string_view view) { return std::as_bytes(std::span(view)); }

// The part of the hashes of a partition that is in a range.
double ShareOf(int partition, int partitions, uint64_t first_hash, uint64_t last_hash) {
  const uint64_t first = FirstHashOf(partition, partitions);
  const uint64_t last = LastHashOf(partition, partitions);
  if (first_hash > last || last_hash < first) return 0;
  return static_cast<double>(std::min(last, last_hash) - std::max(first, first_hash)) /
         static_cast<double>(last - first);
}

// Restores the rows of a participant from one partition.
class RowRestorer {
 public:
  // About so many rows will come.
  RowRestorer(EpochParticipant& participant, double expected)
      : participant_(participant), expected_(expected) {}

  absl::Status Restore(std::span<const StateRow> rows) {
    entries_.clear();
    for (const StateRow& row : rows) {
      without_part_ += row.part.empty() ? 1 : 0;
      entries_.push_back({.key = BytesOf(row.key),
                          .state = BytesOf(*row.state),
                          .part = BytesOf(row.part),
                          .hash = row.hash});
    }
    absl::Status status = participant_.RestoreEach(entries_);
    if (!status.ok()) {
      return absl::Status(status.code(), absl::StrFormat("step '%s': %s", participant_.step_id(),
                                                         status.message()));
    }
    const bool was_sampled = rows_ >= kSample;
    rows_ += rows.size();
    if (!was_sampled && rows_ >= kSample) TellExpected();
    return absl::OkStatus();
  }

 private:
  // Rows come in the order of hashes, so the first ones show how many have a part.
  static constexpr size_t kSample = 4096;

  void TellExpected() {
    const auto without_part = static_cast<double>(without_part_);
    const double more = expected_ * without_part / static_cast<double>(rows_) - without_part;
    if (more > 0) participant_.ExpectEntries(static_cast<size_t>(more));
  }

  EpochParticipant& participant_;
  const double expected_;
  size_t rows_ = 0;
  size_t without_part_ = 0;
  std::vector<StateEntry> entries_;
};

// Restores the state of one participant from one partition.
absl::Status RestoreFrom(StorePartition& partition, const PartitionContents& contents, Epoch end,
                         uint64_t first_hash, uint64_t last_hash,
                         const Participants::Numbered& to) {
  std::vector<StoredRun> runs;
  uint64_t most_rows = 0;  // a run has each key once
  for (const StoredRun& run : contents.runs) {
    if (run.step != to.step.number || run.first_epoch >= end) continue;
    runs.push_back(run);
    most_rows = std::max(most_rows, run.row_count);
  }
  if (runs.empty()) return absl::OkStatus();
  RowRestorer restorer(*to.participant,
                       static_cast<double>(most_rows) *
                           ShareOf(contents.index, contents.count, first_hash, last_hash));
  return MergeRunsInBatches(
      partition, runs, first_hash, last_hash, false,
      [&restorer](std::span<const StateRow> rows) { return restorer.Restore(rows); });
}

absl::Status Restore(Recovery& recovery, int worker, const std::vector<OwnedPartition*>& owned,
                     const std::vector<Participants::Numbered>& participants) {
  const int workers = recovery.run().topology().worker_count();
  const int count = recovery.plan().partition_count;
  const uint64_t first = FirstHashOf(worker, workers);
  const uint64_t last = LastHashOf(worker, workers);
  if (recovery.plan().steps.empty()) return absl::OkStatus();
  const bool any_everywhere =
      std::any_of(participants.begin(), participants.end(),
                  [](const auto& each) { return each.participant->restores_everywhere(); });
  for (int index = 0; index < count; ++index) {
    const bool overlaps = FirstHashOf(index, count) <= last && first <= LastHashOf(index, count);
    if (!overlaps && !any_everywhere) continue;
    std::unique_ptr<StorePartition> opened;
    StorePartition* partition = nullptr;
    for (OwnedPartition* each : owned) {
      if (each->index == index) partition = each->partition.get();
    }
    if (partition == nullptr) {
      absl::StatusOr<std::unique_ptr<StorePartition>> reader = recovery.store().OpenToRead(index);
      if (!reader.ok()) return reader.status();
      opened = *std::move(reader);
      partition = opened.get();
    }
    absl::StatusOr<PartitionContents> contents = partition->ReadContents();
    if (!contents.ok()) return contents.status();
    for (const Participants::Numbered& each : participants) {
      const bool everywhere = each.participant->restores_everywhere();
      if (!everywhere && !overlaps) continue;
      HEADWAY_RETURN_IF_ERROR(RestoreFrom(*partition, *contents, recovery.plan().resume_epoch,
                                          everywhere ? 0 : first, everywhere ? UINT64_MAX : last,
                                          each));
    }
  }
  return absl::OkStatus();
}

// For each partition a key that an exchange routes to the worker that owns the partition.
std::vector<uint64_t> OwnerKeys(int partitions, int workers) {
  std::vector<uint64_t> keys(static_cast<size_t>(partitions));
  for (int partition = 0; partition < partitions; ++partition) {
    uint64_t& key = keys[static_cast<size_t>(partition)];
    const int owner = OwnerOf(partition, partitions, workers);
    while (RouteHash(StableHash(key), workers) != owner) ++key;
  }
  return keys;
}

// The step that sends the snapshots of the participants to the steps that write them, and the one
// that tells transactional sinks and sources of commits.
void AddNodes(Scope<>& scope, Recovery& recovery,
              const std::vector<Participants::Numbered>& participants) {
  Graph& graph = scope.graph();
  const int partitions = recovery.plan().partition_count;
  const SnapshotInterval snapshots(recovery.run().options());
  OperatorBuilder<Epoch> collect(scope, "recovery: collect snapshots");
  std::vector<LocationId> ends;
  for (const Participants::Numbered& each : participants) ends.push_back(*each.participant->ends());
  auto& closed = collect.AddFrontierInput<StateChunk>(ends);
  auto& chunks = collect.AddOutput<StateChunk>();
  collect.Build([&](std::vector<Capability<Epoch>> first) {
    auto& collector =
        graph.objects().Make<SnapshotCollector>(graph, closed, chunks, std::move(first[0]),
                                                snapshots, partitions, recovery.thread().buffers());
    for (const Participants::Numbered& each : participants) {
      collector.Watch(*each.participant, each.step.number);
    }
    return [&collector] { collector.Run(); };
  });

  OperatorBuilder<Epoch> write(scope, "recovery: write snapshots");
  auto to_owner = [keys = OwnerKeys(partitions, scope.worker_count())](const StateChunk& chunk) {
    return keys[chunk.partition];
  };
  auto& input = write.AddInput(collect.StreamOf(chunks), pact::Exchange{to_owner});
  write.AddOutput<StateChunk>();  // nothing leaves through it: it keeps epochs open
  const bool publishes =
      !graph.parts().outboxes.empty() ||
      std::ranges::any_of(graph.parts().sources,
                          [](const SourceControl* source) { return source->WatchesCommits(); });
  auto* const commits = publishes ? &write.AddOutput<StateChunk>() : nullptr;
  graph.builder().WatchCompletion(write.node());
  write.Build([&](std::vector<Capability<Epoch>> first) {
    first.resize(2);
    auto& writer = graph.objects().Make<SnapshotWriter>(
        graph, write.node(), input, std::move(first[0]), std::move(first[1]), recovery);
    return [&writer] { writer.Run(); };
  });
  if (!publishes) return;

  OperatorBuilder<Epoch> publish(scope, "recovery: publish");
  auto& committed = publish.AddFrontierInput<StateChunk>({commits->location});
  auto& published = publish.AddOutput<StateChunk>();
  scope.AddEdge(published.location, graph.completion().AddPublication());
  publish.Build([&](std::vector<Capability<Epoch>> first) {
    auto& publisher =
        graph.objects().Make<Publisher>(graph, publish.node(), committed, std::move(first[0]));
    return [&publisher] { publisher.Run(); };
  });
}

}  // namespace

void JoinRecovery(Scope<>& scope, Recovery& recovery) {
  Graph& graph = scope.graph();
  if (graph.parts().participants.empty()) return;
  const auto require = [&graph](const absl::Status& status) {
    if (!status.ok()) graph.errors().FailAndThrow("", status);
  };
  if (!recovery.Claim(graph.id())) {
    require(absl::InvalidArgumentError(
        "another dataflow of the run has state already; a run with recovery has one dataflow with "
        "sources, sinks or state"));
  }
  Participants participants(graph, recovery);
  require(participants.Number());
  const int worker = graph.worker().index();
  const std::vector<OwnedPartition*> owned = recovery.PartitionsOf(worker);
  for (OwnedPartition* partition : owned) {
    require(BeginGeneration(*partition, recovery, participants.all()));
  }
  require(Restore(recovery, worker, owned, participants.all()));
  AddNodes(scope, recovery, participants.all());
}

}  // namespace headway::internal
