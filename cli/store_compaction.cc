#include "cli/store_compaction.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/runtime/status_macros.h"
#include "engine/store/block.h"
#include "engine/store/merge.h"

namespace headway::cli {
namespace {

// The change that merges the runs of a step.
absl::StatusOr<PartitionChange> MergeAll(OpenedPartition& opened,
                                         const std::vector<StoredRun>& runs) {
  PartitionChange change{.generation = opened.LastGeneration()};
  PartitionChange::NewRun base{{.step = runs.front().step,
                                .first_epoch = runs.front().first_epoch,
                                .last_epoch = runs.back().last_epoch,
                                .is_base = true},
                               {}};
  for (const StoredRun& run : runs) {
    change.removed_runs.push_back(run.id);
    base.run.written_at_ms = std::max(base.run.written_at_ms, run.written_at_ms);
  }
  internal::BlockWriter writer;
  HEADWAY_RETURN_IF_ERROR(internal::MergeRuns(*opened.partition, runs, 0,
                                              std::numeric_limits<uint64_t>::max(), false,
                                              [&writer](const internal::StateRow& row) {
                                                writer.Add(row);
                                                return absl::OkStatus();
                                              }));
  base.blocks = writer.Finish();
  for (const StoredBlock& block : base.blocks) {
    base.run.row_count += block.row_count;
    base.run.byte_count += block.bytes.size();
  }
  // A base without rows stays: a run with an older copy of another partition is refused.
  change.new_runs.push_back(std::move(base));
  return change;
}

}  // namespace

absl::Status CompactStore(OpenedStore& store) {
  const absl::StatusOr<internal::ResumePlan> plan = store.Plan();
  if (!plan.ok()) return plan.status();
  for (OpenedPartition& each : store.partitions()) {
    for (const StoredStep& step : each.contents.steps) {
      const std::vector<StoredRun> runs = each.RunsOf(step.number, plan->resume_epoch);
      if (runs.empty() || (runs.size() == 1 && runs.front().is_base)) continue;
      const absl::StatusOr<PartitionChange> change = MergeAll(each, runs);
      if (!change.ok()) return change.status();
      HEADWAY_RETURN_IF_ERROR(each.partition->Apply(*change));
    }
  }
  return absl::OkStatus();
}

}  // namespace headway::cli
