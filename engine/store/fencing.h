#ifndef HEADWAY_ENGINE_STORE_FENCING_H_
#define HEADWAY_ENGINE_STORE_FENCING_H_

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "progress/timestamp.h"

namespace headway::internal {

// The comparisons of a partition that keep writers of older generations out, and their errors. All
// stores share them.

// Aborted if a later generation than that of the writer has begun. `partition` is its description.
absl::Status CheckGeneration(std::string_view partition, uint64_t of_writer, uint64_t latest);

// Aborted if runs of the partition have epochs before and after the resume epoch of a generation
// that begins: a process of an earlier one has merged them since the plan was made.
absl::Status CheckNoneSpans(std::string_view partition, Epoch resume_epoch, uint64_t spanning_runs);

// The epoch for comparisons in SQL, where columns are signed.
int64_t InSigned(Epoch epoch);

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STORE_FENCING_H_
