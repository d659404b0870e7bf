#include "cli/step_commands.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "cli/state_lines.h"
#include "comm/codec/stable_hash.h"
#include "engine/runtime/status_macros.h"
#include "engine/store/block.h"
#include "engine/store/merge.h"
#include "engine/store/row.h"

namespace headway::cli {
namespace {

absl::Status CheckId(std::string_view id) {
  const size_t dot = id.find('.');
  if (dot != std::string_view::npos && dot > 0 && dot + 1 < id.size()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat(
      "'%s' is no id of a step in a store: it is the name of the dataflow, a dot, and the step id",
      id));
}

// The number of the step in the store, or one that no step has yet.
uint32_t NumberFor(const OpenedStore& store, std::string_view id) {
  uint32_t next = 1;
  for (const OpenedPartition& each : store.partitions()) {
    const uint32_t number = each.NumberOf(id);
    if (number != 0) return number;
    for (const StoredStep& step : each.contents.steps) next = std::max(next, step.number + 1);
  }
  return next;
}

// The rows of the lines, by partition.
struct ImportedRows {
  std::vector<std::string> buffers;
  std::vector<uint64_t> counts;
  uint64_t count = 0;
};

absl::StatusOr<ImportedRows> ReadLines(
    size_t partitions, absl::FunctionRef<absl::StatusOr<bool>(std::string& line)> next_line) {
  ImportedRows rows;
  rows.buffers.resize(partitions);
  rows.counts.resize(partitions);
  std::string line;
  for (uint64_t number = 1;; ++number) {
    const absl::StatusOr<bool> is_line = next_line(line);
    if (!is_line.ok()) return is_line.status();
    if (!*is_line) break;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const absl::StatusOr<StateLine> row = ParseStateLine(line);
    if (!row.ok()) {
      return absl::InvalidArgumentError(
          absl::StrFormat("line %d, %s; nothing was imported", number, row.status().message()));
    }
    const auto partition = static_cast<size_t>(RouteHash(row->hash, static_cast<int>(partitions)));
    internal::AppendRow(row->row(), rows.buffers[partition]);
    ++rows.counts[partition];
    ++rows.count;
  }
  if (rows.count == 0) {
    return absl::InvalidArgumentError(
        "there are no lines to import; to remove the state of a step, drop the step");
  }
  return rows;
}

// The run that has all state of the step up to the epoch before `end`.
absl::StatusOr<PartitionChange::NewRun> BaseOf(const std::string& rows, uint64_t row_count,
                                               uint32_t step, Epoch end, int64_t written_at_ms) {
  absl::StatusOr<std::vector<StoredBlock>> blocks = internal::BlocksOf({rows});
  if (!blocks.ok()) return blocks.status();
  // From epoch 0 on: a run with an older copy of another partition is refused.
  PartitionChange::NewRun base{{.step = step,
                                .first_epoch = 0,
                                .last_epoch = end - 1,
                                .is_base = true,
                                .written_at_ms = written_at_ms},
                               *std::move(blocks)};
  for (const StoredBlock& block : base.blocks) {
    base.run.row_count += block.row_count;
    base.run.byte_count += block.bytes.size();
  }
  if (base.run.row_count == row_count) return base;
  return absl::InvalidArgumentError(
      absl::StrFormat("%d lines have the hash, the key and the part of another line; nothing was "
                      "imported",
                      row_count - base.run.row_count));
}

}  // namespace

absl::Status ExportStep(OpenedStore& store, std::string_view id,
                        absl::FunctionRef<void(std::string_view line)> line) {
  HEADWAY_RETURN_IF_ERROR(store.CheckHasStep(id));
  const absl::StatusOr<internal::ResumePlan> plan = store.Plan();
  if (!plan.ok()) return plan.status();
  for (OpenedPartition& each : store.partitions()) {
    const absl::Status status = internal::MergeRuns(
        *each.partition, each.RunsOf(each.NumberOf(id), plan->resume_epoch), 0,
        std::numeric_limits<uint64_t>::max(), false, [&line](const internal::StateRow& row) {
          line(LineOf(row));
          return absl::OkStatus();
        });
    if (absl::IsNotFound(status)) {
      return absl::NotFoundError(
          absl::StrFormat("%s was compacted meanwhile: stop the run that uses it, or export again",
                          each.partition->Describe()));
    }
    HEADWAY_RETURN_IF_ERROR(status);
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> ImportStep(
    OpenedStore& store, std::string_view id,
    absl::FunctionRef<absl::StatusOr<bool>(std::string& line)> next_line, int64_t written_at_ms) {
  HEADWAY_RETURN_IF_ERROR(CheckId(id));
  const absl::StatusOr<internal::ResumePlan> plan = store.Plan();
  if (!plan.ok()) return plan.status();
  std::vector<OpenedPartition>& partitions = store.partitions();
  const absl::StatusOr<ImportedRows> rows = ReadLines(partitions.size(), next_line);
  if (!rows.ok()) return rows.status();

  const uint32_t step = NumberFor(store, id);
  const bool commits_first = plan->resume_epoch == 0;
  const Epoch end = commits_first ? 1 : plan->resume_epoch;
  const Generation last = {.number = std::max<uint64_t>(plan->generation, 2) - 1,
                           .execution = std::max<uint64_t>(plan->execution, 2) - 1,
                           .started_at_ms = written_at_ms};
  std::vector<PartitionChange> changes;
  for (size_t i = 0; i < partitions.size(); ++i) {
    const OpenedPartition& each = partitions[i];
    PartitionChange& change = changes.emplace_back();
    change.generation = last.number;
    // A commit counts only in partitions that know of the last generation.
    if (commits_first && each.LastGeneration() < last.number) change.begins = last;
    if (each.NumberOf(id) == 0) change.new_steps.push_back({step, std::string(id)});
    for (const StoredRun& run : each.RunsOf(step, std::numeric_limits<Epoch>::max())) {
      change.removed_runs.push_back(run.id);
    }
    if (commits_first) {
      change.durable_end = end;
      change.committed_end = end;
    }
    absl::StatusOr<PartitionChange::NewRun> base =
        BaseOf(rows->buffers[i], rows->counts[i], step, end, written_at_ms);
    if (!base.ok()) return base.status();
    change.new_runs.push_back(*std::move(base));
  }
  for (size_t i = 0; i < partitions.size(); ++i) {
    HEADWAY_RETURN_IF_ERROR(partitions[i].partition->Apply(changes[i]));
  }
  return rows->count;
}

absl::Status DropStep(OpenedStore& store, std::string_view id) {
  HEADWAY_RETURN_IF_ERROR(store.CheckHasStep(id));
  for (OpenedPartition& each : store.partitions()) {
    const uint32_t number = each.NumberOf(id);
    if (number == 0) continue;
    HEADWAY_RETURN_IF_ERROR(
        each.partition->Apply({.generation = each.LastGeneration(), .removed_steps = {number}}));
  }
  return absl::OkStatus();
}

absl::Status RenameStep(OpenedStore& store, std::string_view id, std::string_view new_id) {
  HEADWAY_RETURN_IF_ERROR(CheckId(new_id));
  HEADWAY_RETURN_IF_ERROR(store.CheckHasStep(id));
  const uint32_t number = NumberFor(store, id);
  for (const OpenedPartition& each : store.partitions()) {
    // The same number has both ids after a rename that was interrupted.
    const uint32_t other = each.NumberOf(new_id);
    if (other == 0 || other == number) continue;
    return absl::FailedPreconditionError(
        absl::StrFormat("%s has a step '%s' already; drop it first, or choose another id",
                        store.Describe(), new_id));
  }
  for (OpenedPartition& each : store.partitions()) {
    if (each.NumberOf(id) == 0) continue;
    HEADWAY_RETURN_IF_ERROR(each.partition->Apply(
        {.generation = each.LastGeneration(), .renamed_steps = {{number, std::string(new_id)}}}));
  }
  return absl::OkStatus();
}

}  // namespace headway::cli
