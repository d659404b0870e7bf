#ifndef HEADWAY_ENGINE_STORE_MERGE_H_
#define HEADWAY_ENGINE_STORE_MERGE_H_

#include <cstdint>
#include <span>
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
// The same with up to 256 rows in each call.
absl::Status MergeRunsInBatches(StorePartition& partition, const std::vector<StoredRun>& runs,
                                uint64_t first_hash, uint64_t last_hash, bool keep_tombstones,
                                absl::FunctionRef<absl::Status(std::span<const StateRow>)> rows);

// Decides which runs of a partition to merge, and merges them. Runs may be merged if all their
// epochs are before `end`: no resume epoch before it is possible any more. A group of neighbours
// is merged when it has four runs of similar size, so the written bytes stay proportional to the
// changes. All runs of a step are merged when the runs behind its base together are as large as the
// base, so the stored bytes stay proportional to the live state. Merging the oldest run of a step
// makes a base, without tombstones. A base without rows stays: a run with an older copy of another
// partition is refused by its epochs.
//
// Returns the change to apply; it is empty if there is nothing to do. One group per call.
// Its generation is the partition's latest one. The change may be applied together with another
// one, as long as the runs that it removes are there.
absl::StatusOr<PartitionChange> Compact(StorePartition& partition,
                                        const PartitionContents& contents, Epoch end);

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STORE_MERGE_H_
