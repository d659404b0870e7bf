#ifndef HEADWAY_ENGINE_RECOVERY_STORE_THREAD_H_
#define HEADWAY_ENGINE_RECOVERY_STORE_THREAD_H_

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "comm/system/clock.h"
#include "engine/recovery/row_buffers.h"
#include "engine/store/store.h"
#include "progress/timestamp.h"

namespace headway::internal {

// The end of the durable epochs of a run that has ended.
inline constexpr Epoch kAllEpochs = std::numeric_limits<Epoch>::max();

// A partition of the store that a worker of this process owns.
struct OwnedPartition {
  int index = 0;
  std::unique_ptr<StorePartition> partition;
  // Of the owner's thread:
  Epoch closed_end = 0;    // of the epochs that participants have closed, as far as it knows
  Epoch recorded_end = 0;  // of the commits that the partition records
  bool ended = false;      // all snapshots of a run that has ended, or was stopped, are durable
};

// The thread of a process that sorts, compresses and writes snapshots, and compacts the partitions
// of the store while there is nothing to write.
//
// Thread safe. A partition that was given in a job is the thread's until the thread has ended.
class StoreThread {
 public:
  // The changes of a step in an epoch: buffers of rows (AppendRow).
  struct Changes {
    uint32_t step = 0;
    Epoch epoch = 0;
    std::vector<std::string> rows;
  };
  // A transaction of a partition.
  struct Write {
    OwnedPartition* partition = nullptr;
    std::vector<Changes> changes;
    std::optional<Epoch> durable_end;
    std::optional<Epoch> committed_end;
  };
  struct Job {
    std::vector<Write> writes;
    // Called on the thread when all writes are durable, or one has failed. The status shares
    // nothing with the thread.
    absl::AnyInvocable<void(absl::Status)> done;
  };

  // The clock and `on_failure` outlive the thread. `on_failure` is told of a failure of a
  // compaction, which belongs to no job. std::system_error: there is no thread.
  StoreThread(uint64_t generation, absl::Duration backup_interval, Clock& clock,
              std::function<void(const absl::Status&)> on_failure);
  // Finishes the job that is under way, and drops the others: their `done` is not called.
  ~StoreThread();
  StoreThread(const StoreThread&) = delete;
  StoreThread& operator=(const StoreThread&) = delete;

  // Each worker has one job at a time, so the queue is as long as the number of workers at most.
  void Submit(Job job);
  // Where the rows of jobs go back to.
  RowBuffers& buffers() { return buffers_; }
  // Waits until the job's writes are durable. Its `done` is not called.
  absl::Status SubmitAndWait(Job job);

 private:
  void Run();
  bool WaitForWork(std::optional<Job>* job);
  static absl::Status Guarded(absl::FunctionRef<absl::Status()> work);
  absl::Status Execute(Job& job);
  // Merges one group of runs of a partition of to_compact_.
  absl::Status CompactOne();
  // No resume epoch before it is possible any more, not even with copies of the partitions as old
  // as the backup interval.
  Epoch CompactionEnd(const PartitionContents& contents) const;

  const uint64_t generation_;
  const absl::Duration backup_interval_;
  Clock& clock_;
  RowBuffers buffers_;
  const std::function<void(const absl::Status&)> on_failure_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;  // guarded by mutex_
  bool ends_ = false;     // guarded by mutex_
  // Of the thread: partitions that may have runs to merge, by their numbers.
  std::map<int, OwnedPartition*> to_compact_;
  std::thread thread_;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_RECOVERY_STORE_THREAD_H_
