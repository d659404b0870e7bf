#include "engine/recovery/recovery.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "absl/strings/str_format.h"
#include "engine/recovery/hash_range.h"
#include "engine/runtime/status_macros.h"

namespace headway::internal {

Recovery::Recovery(RunContext& run, ResumePoint& point, RunIdentity& identity,
                   std::function<void(const absl::Status&)> on_failure)
    : run_(run),
      point_(point),
      identity_(identity),
      store_(run.options().recovery_config->store),
      on_failure_(std::move(on_failure)) {}

Recovery::~Recovery() { thread_.reset(); }

absl::StatusOr<int> Recovery::PrepareStore() {
  absl::StatusOr<int> count = store_->PartitionCount();
  if (!count.ok() || *count > 0) return count;
  const int made = run_.topology().worker_count();
  HEADWAY_RETURN_IF_ERROR(store_->Create(made, RandomStoreId()));
  return made;
}

absl::Status Recovery::OpenPartitions(int count, const std::string& token) {
  const int workers = run_.topology().worker_count();
  identity_.token = token;
  // The processes of a run share the text, so that any of them may own a partition of a lost one.
  const std::string holder = absl::StrFormat("run %s", token);
  for (int index = 0; index < count; ++index) {
    if (!run_.topology().IsLocal(OwnerOf(index, count, workers))) continue;
    absl::StatusOr<std::unique_ptr<StorePartition>> partition =
        store_->OpenToWrite(index, holder, /*takes_over=*/true);
    if (!partition.ok()) return partition.status();
    auto owned = std::make_unique<OwnedPartition>();
    owned->index = index;
    owned->partition = *std::move(partition);
    partitions_.push_back(std::move(owned));
  }
  return absl::OkStatus();
}

absl::StatusOr<ResumePlan> Recovery::MakePlan(int count, bool is_restart) {
  std::vector<PartitionContents> contents;
  for (int index = 0; index < count; ++index) {
    absl::StatusOr<std::unique_ptr<StorePartition>> partition = store_->OpenToRead(index);
    if (!partition.ok()) return partition.status();
    absl::StatusOr<PartitionContents> read = (*partition)->ReadContents();
    if (!read.ok()) return read.status();
    contents.push_back(*std::move(read));
  }
  absl::StatusOr<ResumePlan> plan = PlanResume(contents, run_.options().first_epoch,
                                               absl::ToUnixMillis(run_.clock().Now()), Describe());
  if (plan.ok() && is_restart && plan->generation > 1) --plan->execution;
  return plan;
}

absl::Status Recovery::Adopt(const ResumePlan& plan) {
  std::lock_guard lock(adopting_);
  if (has_plan()) return absl::OkStatus();
  plan_ = plan;
  try {
    thread_ = std::make_unique<StoreThread>(plan.generation,
                                            run_.options().recovery_config->backup_interval,
                                            run_.clock(), on_failure_);
  } catch (const std::system_error& error) {
    return absl::ResourceExhaustedError(
        absl::StrFormat("process %d cannot start the thread of %s: %s; allow more threads "
                        "(ulimit -u)",
                        run_.topology().process, Describe(), error.what()));
  }
  point_.first_epoch = plan.resume_epoch;
  point_.store_id = plan.store_id;
  point_.generation = plan.generation;
  identity_.generation = plan.generation;
  has_plan_.store(true, std::memory_order_release);
  return absl::OkStatus();
}

std::vector<OwnedPartition*> Recovery::PartitionsOf(int worker) {
  const int workers = run_.topology().worker_count();
  std::vector<OwnedPartition*> owned;
  for (const std::unique_ptr<OwnedPartition>& partition : partitions_) {
    if (OwnerOf(partition->index, plan_.partition_count, workers) == worker) {
      owned.push_back(partition.get());
    }
  }
  return owned;
}

bool Recovery::Claim(uint32_t dataflow) {
  int64_t claimed = -1;
  return claimed_.compare_exchange_strong(claimed, dataflow) || claimed == int64_t{dataflow};
}

absl::Status Recovery::Finish(int worker) {
  StoreThread::Job job;
  Epoch end = 0;
  for (OwnedPartition* partition : PartitionsOf(worker)) {
    if (!partition->ended) continue;
    end = std::max({end, partition->closed_end, partition->recorded_end});
    StoreThread::Write& write = job.writes.emplace_back();
    write.partition = partition;
    write.durable_end = kAllEpochs;
  }
  if (job.writes.empty()) return absl::OkStatus();
  for (StoreThread::Write& write : job.writes) write.committed_end = end;
  return thread_->SubmitAndWait(std::move(job));
}

}  // namespace headway::internal
