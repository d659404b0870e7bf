#include "cli/opened_store.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace headway::cli {

uint32_t OpenedPartition::NumberOf(std::string_view id) const {
  for (const StoredStep& step : contents.steps) {
    if (step.id == id) return step.number;
  }
  return 0;
}

std::vector<StoredRun> OpenedPartition::RunsOf(uint32_t step, Epoch end) const {
  std::vector<StoredRun> runs;
  for (const StoredRun& run : contents.runs) {
    if (run.step == step && run.first_epoch < end) runs.push_back(run);
  }
  return runs;
}

uint64_t OpenedPartition::LastGeneration() const {
  return contents.generations.empty() ? 0 : contents.generations.back().number;
}

template <class Open>
absl::StatusOr<OpenedStore> OpenedStore::OpenAll(std::shared_ptr<RecoveryStore> store, Open open) {
  const absl::StatusOr<int> count = store->PartitionCount();
  if (!count.ok()) return count.status();
  if (*count == 0) {
    return absl::NotFoundError(
        absl::StrFormat("%s does not exist; `headway recovery init` makes one, and so does a run",
                        store->Describe()));
  }
  OpenedStore opened(std::move(store));
  for (int index = 0; index < *count; ++index) {
    absl::StatusOr<std::unique_ptr<StorePartition>> partition = open(*opened.store_, index);
    if (!partition.ok()) return partition.status();
    absl::StatusOr<PartitionContents> contents = (*partition)->ReadContents();
    if (!contents.ok()) return contents.status();
    opened.partitions_.push_back({*std::move(partition), *std::move(contents)});
  }
  return opened;
}

absl::StatusOr<OpenedStore> OpenedStore::ToRead(std::shared_ptr<RecoveryStore> store) {
  return OpenAll(std::move(store),
                 [](RecoveryStore& from, int index) { return from.OpenToRead(index); });
}

absl::StatusOr<OpenedStore> OpenedStore::ToWrite(std::shared_ptr<RecoveryStore> store,
                                                 std::string_view command) {
  const std::string holder = absl::StrFormat("headway recovery %s", command);
  return OpenAll(std::move(store), [&holder](RecoveryStore& from, int index) {
    return from.OpenToWrite(index, holder, false);
  });
}

absl::StatusOr<internal::ResumePlan> OpenedStore::Plan() const {
  std::vector<PartitionContents> contents;
  for (const OpenedPartition& each : partitions_) contents.push_back(each.contents);
  return internal::PlanResume(contents, 0, 0, Describe());
}

bool OpenedStore::IsUsed() const {
  return std::any_of(partitions_.begin(), partitions_.end(),
                     [](const OpenedPartition& each) { return each.LastGeneration() > 0; });
}

absl::Status OpenedStore::CheckHasStep(std::string_view id) const {
  std::set<std::string> ids;
  for (const OpenedPartition& each : partitions_) {
    for (const StoredStep& step : each.contents.steps) ids.insert(step.id);
  }
  if (ids.contains(std::string(id))) return absl::OkStatus();
  if (ids.empty()) {
    return absl::NotFoundError(absl::StrFormat("%s has no steps yet", Describe()));
  }
  return absl::NotFoundError(absl::StrFormat("%s has no step '%s'; its steps are '%s'", Describe(),
                                             id, absl::StrJoin(ids, "', '")));
}

}  // namespace headway::cli
