#ifndef HEADWAY_ENGINE_RECOVERY_RECOVERY_H_
#define HEADWAY_ENGINE_RECOVERY_RECOVERY_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/recovery/resume_plan.h"
#include "engine/recovery/run_identity.h"
#include "engine/recovery/store_thread.h"
#include "engine/runtime/attempt.h"
#include "engine/runtime/run_context.h"
#include "engine/store/store.h"

namespace headway::internal {

// The recovery store of an attempt in this process: its partitions, the plan to resume, and the
// thread that writes. RecoveryOfWorker (worker_recovery.h) is a worker's part.
//
// The start of an attempt, in order (engine/agree_on_resume.h):
//  1. Process 0 makes a missing store: PrepareStore.
//  2. Each process locks the partitions that its workers own, with the token of the run:
//     OpenPartitions.
//  3. Process 0 reads all partitions and makes the plan: MakePlan.
//  4. Each process adopts the plan.
//
// Thread safe after step 4; before, only the process's first worker uses it. Owned by the entry
// point; outlives the attempt's workers.
class Recovery {
 public:
  // `run` outlives it, and has a recovery_config. So does `point`, which Adopt sets, and
  // `identity`, which is brought up to date. `on_failure` is called with a failure of the store
  // that no worker waits for; it outlives the workers.
  Recovery(RunContext& run, ResumePoint& point, RunIdentity& identity,
           std::function<void(const absl::Status&)> on_failure);
  ~Recovery();
  Recovery(const Recovery&) = delete;
  Recovery& operator=(const Recovery&) = delete;

  // Returns the number of partitions. A new store has one for each worker of the run.
  absl::StatusOr<int> PrepareStore();
  // FailedPrecondition: a partition is locked with another token than that of this run.
  absl::Status OpenPartitions(int count, const std::string& token);
  // A restart is a new generation of the execution that has failed.
  absl::StatusOr<ResumePlan> MakePlan(int count, bool is_restart);
  // Without effect the second time. ResourceExhausted: the thread cannot be started.
  absl::Status Adopt(const ResumePlan& plan);

  bool has_plan() const { return has_plan_.load(std::memory_order_acquire); }
  const ResumePlan& plan() const { return plan_; }

  RunContext& run() const { return run_; }
  const RunIdentity& identity() const { return identity_; }
  RecoveryStore& store() const { return *store_; }
  // For messages: "the recovery store in 'DIR'".
  std::string Describe() const { return store_->Describe(); }
  StoreThread& thread() { return *thread_; }
  // The partitions that a worker owns, by its number in the run.
  std::vector<OwnedPartition*> PartitionsOf(int worker);

  // One dataflow of a run takes part in recovery. Returns false if another one does already.
  bool Claim(uint32_t dataflow);
  // Records that everything is committed, in the partitions that the worker owns. Waits for the
  // store. Called on the worker's thread when the run has ended, or was stopped.
  absl::Status Finish(int worker);

 private:
  RunContext& run_;
  ResumePoint& point_;
  RunIdentity& identity_;
  const std::shared_ptr<RecoveryStore> store_;
  const std::function<void(const absl::Status&)> on_failure_;
  std::vector<std::unique_ptr<OwnedPartition>> partitions_;  // of this process's workers
  std::mutex adopting_;
  std::atomic<bool> has_plan_{false};
  ResumePlan plan_;
  std::atomic<int64_t> claimed_{-1};     // the dataflow; -1: none yet
  std::unique_ptr<StoreThread> thread_;  // ends before the partitions close
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_RECOVERY_RECOVERY_H_
