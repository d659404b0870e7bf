#ifndef HEADWAY_ENGINE_STORE_MERGE_H_
#define HEADWAY_ENGINE_STORE_MERGE_H_

#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/store/row.h"
#include "engine/store/store.h"

namespace headway::internal {

// Reads the state of a step: merges its runs, and calls `row` with the latest row of each (key,
// part) whose hash is in [first_hash, last_hash], in the order of rows. `runs` are runs of one step
// and partition, in the order of their epochs. Tombstones are passed on only if `keep_tombstones`.
// Reads blocks one at a time for each run, so memory is bounded.
absl::Status MergeRuns(StorePartition& partition, const std::vector<StoredRun>& runs,
                       uint64_t first_hash, uint64_t last_hash, bool keep_tombstones,
                       absl::FunctionRef<absl::Status(const StateRow&)> row);

// Decides which runs of a partition to merge, and merges them. Runs may be merged if all their
// epochs are before `end`: no resume epoch before it is possible any more. So that the bytes that
// are written stay proportional to the changes, and the stored bytes to the live state, a group of
// neighbours is merged when it has four runs of similar size, or when the runs behind the base
// together are as large as the base. Merging the oldest run of a step makes a base, without
// tombstones.
//
// Returns the change to apply; it is empty if there is nothing to do. One group per call.
absl::StatusOr<PartitionChange> Compact(StorePartition& partition,
                                        const PartitionContents& contents, Epoch end);

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STORE_MERGE_H_
