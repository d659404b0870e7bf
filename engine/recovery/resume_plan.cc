#include "engine/recovery/resume_plan.h"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>

#include "absl/strings/str_format.h"
#include "engine/runtime/status_macros.h"

namespace headway::internal {
namespace {

// The statements of a partition, as far as they hold today.
struct Knowledge {
  Epoch durable_end = 0;
  Epoch committed_end = 0;
};

uint64_t LastGeneration(const PartitionContents& partition) {
  return partition.generations.empty() ? 0 : partition.generations.back().number;
}

// The first generation that partitions with generations after `last` remember: each forgets its
// oldest ones. `last` + 1 if there are no such partitions.
uint64_t FirstRememberedAfter(uint64_t last, std::span<const PartitionContents> partitions) {
  std::optional<uint64_t> first;
  for (const PartitionContents& each : partitions) {
    if (LastGeneration(each) <= last) continue;
    const uint64_t number = each.generations.front().number;
    first = first ? std::min(*first, number) : number;
  }
  return first.value_or(last + 1);
}

absl::StatusOr<Knowledge> KnowledgeOf(const PartitionContents& partition,
                                      const std::map<uint64_t, Generation>& generations,
                                      std::span<const PartitionContents> partitions,
                                      std::string_view store) {
  Knowledge knowledge{partition.durable_end, partition.committed_end};
  const uint64_t last = LastGeneration(partition);
  const uint64_t first_remembered = FirstRememberedAfter(last, partitions);
  if (last + 1 < first_remembered) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "partition %d of %s is a copy from before generation %d, the first that the others "
        "remember; restore a newer copy of it",
        partition.index, store, first_remembered));
  }
  for (auto missed = generations.upper_bound(last); missed != generations.end(); ++missed) {
    knowledge.durable_end = std::min(knowledge.durable_end, missed->second.resume_epoch);
    knowledge.committed_end = std::min(knowledge.committed_end, missed->second.resume_epoch);
  }
  return knowledge;
}

// The partition can give its state as of the end of epoch `resume` - 1.
absl::Status CheckReaches(const PartitionContents& partition, Epoch resume, int oldest,
                          std::string_view store) {
  for (const StoredRun& run : partition.runs) {
    if (run.first_epoch >= resume || run.last_epoch < resume) continue;
    return absl::InvalidArgumentError(absl::StrFormat(
        "partition %d of %s ends at epoch %d, but partition %d has merged the epochs up to %d "
        "since: restore a newer copy of partition %d, or an older one of partition %d. A longer "
        "backup_interval keeps older epochs apart",
        oldest, store, resume, partition.index, run.last_epoch, oldest, partition.index));
  }
  return absl::OkStatus();
}

absl::Status AddSteps(const PartitionContents& partition, Epoch resume,
                      std::map<uint32_t, PlannedStep>& steps, std::string_view store) {
  for (const StoredStep& step : partition.steps) {
    PlannedStep& planned = steps[step.number];
    if (!planned.id.empty() && planned.id != step.id) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "partition %d of %s calls step number %d '%s', and others call it '%s': the partitions "
          "are not of one store, or of times before and after a rename; rename the step again",
          partition.index, store, step.number, step.id, planned.id));
    }
    planned.number = step.number;
    planned.id = step.id;
  }
  for (const StoredRun& run : partition.runs) {
    if (run.row_count > 0 && run.first_epoch < resume) steps[run.step].has_state = true;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ResumePlan> PlanResume(std::span<const PartitionContents> partitions,
                                      Epoch first_epoch, int64_t now_ms, std::string_view store) {
  std::map<uint64_t, Generation> generations;
  for (const PartitionContents& partition : partitions) {
    for (const Generation& generation : partition.generations) {
      generations.emplace(generation.number, generation);
    }
  }
  ResumePlan plan{.resume_epoch = first_epoch,
                  .generation = 1,
                  .execution = 1,
                  .partition_count = static_cast<int32_t>(partitions.size()),
                  .store_id = partitions.front().store_id,
                  .started_at_ms = now_ms};
  if (!generations.empty()) {
    Epoch committed_end = 0;
    Epoch durable_end = std::numeric_limits<Epoch>::max();
    int oldest = 0;
    for (const PartitionContents& partition : partitions) {
      absl::StatusOr<Knowledge> knowledge = KnowledgeOf(partition, generations, partitions, store);
      if (!knowledge.ok()) return knowledge.status();
      committed_end = std::max(committed_end, knowledge->committed_end);
      if (knowledge->durable_end < durable_end) {
        durable_end = knowledge->durable_end;
        oldest = partition.index;
      }
    }
    plan.resume_epoch = std::min(committed_end, durable_end);
    plan.generation = generations.rbegin()->first + 1;
    plan.execution = generations.rbegin()->second.execution + 1;
    for (const PartitionContents& partition : partitions) {
      HEADWAY_RETURN_IF_ERROR(CheckReaches(partition, plan.resume_epoch, oldest, store));
    }
  }
  std::map<uint32_t, PlannedStep> steps;
  for (const PartitionContents& partition : partitions) {
    HEADWAY_RETURN_IF_ERROR(AddSteps(partition, plan.resume_epoch, steps, store));
  }
  for (auto& [number, step] : steps) plan.steps.push_back(std::move(step));
  return plan;
}

}  // namespace headway::internal
