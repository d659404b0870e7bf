#ifndef HEADWAY_ENGINE_RECOVERY_RESUME_PLAN_H_
#define HEADWAY_ENGINE_RECOVERY_RESUME_PLAN_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/store/store.h"
#include "progress/timestamp.h"

namespace headway::internal {

// A step that the store knows.
struct PlannedStep {
  uint32_t number = 0;
  std::string id = {};  // as in StoredStep
  bool has_state = false;
};

// Where a generation begins. Process 0 makes it from the contents of all partitions, and all
// workers follow it.
struct ResumePlan {
  Epoch resume_epoch = 0;
  uint64_t generation = 0;
  uint64_t execution = 0;
  int32_t partition_count = 0;
  std::string store_id = {};
  int64_t started_at_ms = 0;  // since 1970
  std::vector<PlannedStep> steps = {};
};

// Makes the plan of the next generation.
//
//   resume epoch = min(the greatest end of commits recorded anywhere,
//                      the least end of durable epochs of all partitions)
//
// A partition that misses generations is an older copy. Its statements count up to the resume
// epochs of the generations that it misses. `first_epoch` is where a store without generations
// begins. Errors: InvalidArgument names a partition that is too old, or one that others do not fit.
absl::StatusOr<ResumePlan> PlanResume(std::span<const PartitionContents> partitions,
                                      Epoch first_epoch, int64_t now_ms, std::string_view store);

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_RECOVERY_RESUME_PLAN_H_
