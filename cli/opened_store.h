#ifndef HEADWAY_CLI_OPENED_STORE_H_
#define HEADWAY_CLI_OPENED_STORE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/recovery/resume_plan.h"
#include "engine/store/store.h"

namespace headway::cli {

// A partition of a recovery store, and its contents when it was opened.
struct OpenedPartition {
  std::unique_ptr<StorePartition> partition;
  PartitionContents contents;

  // The number of the step `id` in the partition; 0 if the partition does not know it.
  uint32_t NumberOf(std::string_view id) const;
  // The runs of a step with epochs before `end`, in the order of their epochs.
  std::vector<StoredRun> RunsOf(uint32_t step, Epoch end) const;
  // The number of the latest generation in the partition; 0 before the first.
  uint64_t LastGeneration() const;
};

// All partitions of a store outside of a run. Not thread safe.
class OpenedStore {
 public:
  // Opens a store to read it. A run may use it meanwhile. NotFound: there is no store.
  static absl::StatusOr<OpenedStore> ToRead(std::shared_ptr<RecoveryStore> store);
  // The same to change it: locks all partitions, as a run does. FailedPrecondition: a run, or
  // another command, has the lock. `command` is for its message.
  static absl::StatusOr<OpenedStore> ToWrite(std::shared_ptr<RecoveryStore> store,
                                             std::string_view command);

  std::string Describe() const { return store_->Describe(); }
  std::vector<OpenedPartition>& partitions() { return partitions_; }
  const std::vector<OpenedPartition>& partitions() const { return partitions_; }

  // Where the next run resumes. Errors as of PlanResume.
  absl::StatusOr<internal::ResumePlan> Plan() const;
  // Returns true if a run has used the store.
  bool IsUsed() const;
  // NotFound: no partition knows the step; the message has the steps of the store.
  absl::Status CheckHasStep(std::string_view id) const;

 private:
  explicit OpenedStore(std::shared_ptr<RecoveryStore> store) : store_(std::move(store)) {}

  template <class Open>
  static absl::StatusOr<OpenedStore> OpenAll(std::shared_ptr<RecoveryStore> store, Open open);

  std::shared_ptr<RecoveryStore> store_;
  std::vector<OpenedPartition> partitions_;
};

}  // namespace headway::cli

#endif  // HEADWAY_CLI_OPENED_STORE_H_
