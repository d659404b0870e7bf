#include "cli/store_report.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "comm/wire/printable.h"
#include "engine/runtime/status_macros.h"
#include "engine/store/merge.h"
#include "engine/store/row.h"

namespace headway::cli {
namespace {

// Lines with columns. The first line has the names; numbers are aligned to the right.
class Table {
 public:
  explicit Table(std::vector<std::string> names) { Add(std::move(names)); }

  void Add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }

  void AppendTo(std::string& text) const {
    std::vector<size_t> widths(rows_[0].size());
    for (const auto& cells : rows_) {
      for (size_t i = 0; i < cells.size(); ++i) widths[i] = std::max(widths[i], cells[i].size());
    }
    for (const auto& cells : rows_) {
      for (size_t i = 0; i < cells.size(); ++i) {
        text += "  ";
        // The last column is text, and not padded.
        if (i + 1 < cells.size()) text.append(widths[i] - cells[i].size(), ' ');
        text += cells[i];
      }
      text += '\n';
    }
  }

 private:
  std::vector<std::vector<std::string>> rows_;
};

std::string EpochText(Epoch epoch) {
  return epoch == std::numeric_limits<Epoch>::max() ? "all" : absl::StrCat(epoch);
}

std::string TimeText(int64_t ms) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", absl::FromUnixMillis(ms), absl::UTCTimeZone());
}

void AppendGenerations(const OpenedStore& store, std::string& text) {
  std::map<uint64_t, Generation> generations;
  for (const OpenedPartition& each : store.partitions()) {
    for (const Generation& generation : each.contents.generations) {
      generations.emplace(generation.number, generation);
    }
  }
  if (generations.empty()) return;
  Table table({"generation", "execution", "workers", "resumed at epoch", "started"});
  for (const auto& [number, generation] : generations) {
    table.Add({absl::StrCat(number), absl::StrCat(generation.execution),
               absl::StrCat(generation.worker_count), absl::StrCat(generation.resume_epoch),
               TimeText(generation.started_at_ms)});
  }
  text += "\n";
  table.AppendTo(text);
}

void AppendPartitions(const OpenedStore& store, std::string& text) {
  Table table({"partition", "durable before epoch", "committed before epoch", "runs", "rows",
               "bytes", "epochs"});
  for (const OpenedPartition& each : store.partitions()) {
    const PartitionContents& contents = each.contents;
    uint64_t rows = 0;
    uint64_t bytes = 0;
    Epoch first = std::numeric_limits<Epoch>::max();
    Epoch last = 0;
    for (const StoredRun& run : contents.runs) {
      rows += run.row_count;
      bytes += run.byte_count;
      first = std::min(first, run.first_epoch);
      last = std::max(last, run.last_epoch);
    }
    table.Add({absl::StrCat(contents.index), EpochText(contents.durable_end),
               EpochText(contents.committed_end), absl::StrCat(contents.runs.size()),
               absl::StrCat(rows), absl::StrCat(bytes),
               contents.runs.empty() ? "none" : absl::StrFormat("%d to %d", first, last)});
  }
  text += "\n";
  table.AppendTo(text);
}

struct StepSize {
  uint64_t keys = 0;
  uint64_t state_bytes = 0;
  uint64_t stored_bytes = 0;
};

// The sizes of all steps. `end` is the resume epoch.
absl::StatusOr<std::map<std::string, StepSize>> MeasureSteps(OpenedStore& store, Epoch end) {
  std::map<std::string, StepSize> sizes;
  for (OpenedPartition& each : store.partitions()) {
    for (const StoredStep& step : each.contents.steps) {
      StepSize& size = sizes[step.id];
      const std::vector<StoredRun> runs = each.RunsOf(step.number, end);
      for (const StoredRun& run : runs) size.stored_bytes += run.byte_count;
      std::optional<std::pair<uint64_t, std::string>> key;
      HEADWAY_RETURN_IF_ERROR(
          internal::MergeRuns(*each.partition, runs, 0, std::numeric_limits<uint64_t>::max(), false,
                              [&](const internal::StateRow& row) {
                                size.state_bytes += row.byte_count();
                                // A key may have several parts.
                                if (key && key->first == row.hash && key->second == row.key)
                                  return absl::OkStatus();
                                ++size.keys;
                                key.emplace(row.hash, row.key);
                                return absl::OkStatus();
                              }));
    }
  }
  return sizes;
}

absl::Status AppendSteps(OpenedStore& store, Epoch end, std::string& text) {
  absl::StatusOr<std::map<std::string, StepSize>> sizes = MeasureSteps(store, end);
  if (!sizes.ok()) return sizes.status();
  if (sizes->empty()) return absl::OkStatus();
  Table table({"keys", "bytes", "bytes in the store", "step"});
  for (const auto& [id, size] : *sizes) {
    table.Add({absl::StrCat(size.keys), absl::StrCat(size.state_bytes),
               absl::StrCat(size.stored_bytes), internal::Printable(id)});
  }
  text += "\n";
  table.AppendTo(text);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> ReportStore(OpenedStore& store) {
  const std::vector<OpenedPartition>& partitions = store.partitions();
  std::string text =
      absl::StrFormat("%s: %d %s, store id %s\n", store.Describe(), partitions.size(),
                      partitions.size() == 1 ? "partition" : "partitions",
                      internal::Printable(partitions.front().contents.store_id));
  const absl::StatusOr<internal::ResumePlan> plan = store.Plan();
  if (!plan.ok()) {
    absl::StrAppend(&text, "no run can resume: ", plan.status().message(), "\n");
  } else if (store.IsUsed()) {
    absl::StrAppend(&text, "the next run resumes at epoch ", plan->resume_epoch, ", as execution ",
                    plan->execution, ", generation ", plan->generation, "\n");
  } else {
    absl::StrAppend(&text, "no run has used it yet\n");
  }
  AppendGenerations(store, text);
  AppendPartitions(store, text);
  if (plan.ok()) HEADWAY_RETURN_IF_ERROR(AppendSteps(store, plan->resume_epoch, text));
  return text;
}

}  // namespace headway::cli
