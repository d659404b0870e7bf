#include "engine/recovery/store_thread.h"

#include <algorithm>
#include <exception>
#include <new>
#include <utility>

#include "absl/strings/str_format.h"
#include "engine/runtime/status_macros.h"
#include "engine/store/block.h"
#include "engine/store/merge.h"

namespace headway::internal {

StoreThread::StoreThread(uint64_t generation, absl::Duration backup_interval, Clock& clock,
                         std::function<void(const absl::Status&)> on_failure)
    : generation_(generation),
      backup_interval_(backup_interval),
      clock_(clock),
      on_failure_(std::move(on_failure)),
      thread_([this] { Run(); }) {}

StoreThread::~StoreThread() {
  {
    std::lock_guard lock(mutex_);
    ends_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void StoreThread::Submit(Job job) {
  {
    std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  changed_.notify_all();
}

absl::Status StoreThread::SubmitAndWait(Job job) {
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<absl::Status> result;
  job.done = [&](absl::Status status) {
    std::lock_guard lock(mutex);
    result = std::move(status);
    changed.notify_one();  // under the lock: the caller's variables end when it has the result
  };
  Submit(std::move(job));
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return result.has_value(); });
  return *std::move(result);
}

void StoreThread::Run() {
  std::optional<Job> job;
  while (WaitForWork(&job)) {
    const absl::Status status = Guarded([&] {
      if (!job.has_value()) return CompactOne();
      absl::Status executed = Execute(*job);
      for (const Write& write : job->writes) {
        to_compact_.emplace(write.partition->index, write.partition);
      }
      return executed;
    });
    // A copy: nothing of it is shared with the receiver's thread.
    absl::Status told(status.code(), status.message());
    if (job.has_value()) {
      job->done(std::move(told));
    } else if (!status.ok()) {
      on_failure_(told);
      to_compact_.clear();
    }
    job.reset();
  }
}

// Returns false when the thread ends. No job: a partition is to be compacted.
bool StoreThread::WaitForWork(std::optional<Job>* job) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return ends_ || !jobs_.empty() || !to_compact_.empty(); });
  if (ends_) return false;
  if (jobs_.empty()) return true;
  job->emplace(std::move(jobs_.front()));
  jobs_.pop_front();
  return true;
}

// A store may be the user's own, so any exception may come.
absl::Status StoreThread::Guarded(absl::FunctionRef<absl::Status()> work) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("not enough memory to write a snapshot");
  } catch (const std::exception& error) {
    return absl::AbortedError(absl::StrFormat("the recovery store threw: %s", error.what()));
  } catch (...) {
    return absl::AbortedError("the recovery store threw an exception that is no std::exception");
  }
}

absl::Status StoreThread::Execute(Job& job) {
  const int64_t now_ms = absl::ToUnixMillis(clock_.Now());
  for (Write& write : job.writes) {
    PartitionChange change{.generation = generation_,
                           .durable_end = write.durable_end,
                           .committed_end = write.committed_end};
    for (Changes& changes : write.changes) {
      absl::StatusOr<std::vector<StoredBlock>> blocks = BlocksOf(changes.rows);
      if (!blocks.ok()) return blocks.status();
      for (std::string& rows : changes.rows) buffers_.Return(std::move(rows));
      changes.rows.clear();
      StoredRun run{.step = changes.step,
                    .first_epoch = changes.epoch,
                    .last_epoch = changes.epoch,
                    .written_at_ms = now_ms};
      for (const StoredBlock& block : *blocks) {
        run.row_count += block.row_count;
        run.byte_count += block.bytes.size();
      }
      change.new_runs.push_back({run, *std::move(blocks)});
    }
    HEADWAY_RETURN_IF_ERROR(write.partition->partition->Apply(change));
  }
  return absl::OkStatus();
}

Epoch StoreThread::CompactionEnd(const PartitionContents& contents) const {
  Epoch end = contents.committed_end;
  const int64_t young_ms = absl::ToUnixMillis(clock_.Now() - backup_interval_);
  for (const StoredRun& run : contents.runs) {
    if (backup_interval_ > absl::ZeroDuration() && run.written_at_ms > young_ms) {
      end = std::min(end, run.first_epoch);
    }
  }
  return end;
}

absl::Status StoreThread::CompactOne() {
  OwnedPartition* const owned = to_compact_.begin()->second;
  absl::StatusOr<PartitionContents> contents = owned->partition->ReadContents();
  if (!contents.ok()) return contents.status();
  absl::StatusOr<PartitionChange> change =
      Compact(*owned->partition, *contents, CompactionEnd(*contents));
  if (!change.ok()) return change.status();
  if (change->new_runs.empty() && change->removed_runs.empty()) {
    to_compact_.erase(owned->index);
    return absl::OkStatus();
  }
  change->generation = generation_;
  return owned->partition->Apply(*change);
}

}  // namespace headway::internal
