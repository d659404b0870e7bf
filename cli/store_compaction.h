#ifndef HEADWAY_CLI_STORE_COMPACTION_H_
#define HEADWAY_CLI_STORE_COMPACTION_H_

#include "absl/status/status.h"
#include "cli/opened_store.h"

namespace headway::cli {

// Merges all runs of each step that are before the resume epoch into one, without tombstones.
// Copies of partitions that were made before have no epoch in common with the store any more.
absl::Status CompactStore(OpenedStore& store);

}  // namespace headway::cli

#endif  // HEADWAY_CLI_STORE_COMPACTION_H_
