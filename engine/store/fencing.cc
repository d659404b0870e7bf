#include "engine/store/fencing.h"

#include <algorithm>
#include <limits>

#include "format.h"

namespace headway::internal {

absl::Status CheckGeneration(std::string_view partition, uint64_t of_writer, uint64_t latest) {
  if (of_writer >= latest) return absl::OkStatus();
  return absl::AbortedError(
      Format("a later generation of the cluster has taken over %s: this process belongs to "
             "generation %d, and generation %d has begun",
             partition, of_writer, latest));
}

absl::Status CheckNoneSpans(std::string_view partition, Epoch resume_epoch,
                            uint64_t spanning_runs) {
  if (spanning_runs == 0) return absl::OkStatus();
  return absl::AbortedError(
      Format("a process of an earlier generation has merged epochs up to %d of %s and later ones "
             "while this run started; start it again",
             resume_epoch, partition));
}

int64_t InSigned(Epoch epoch) {
  return static_cast<int64_t>(std::min<Epoch>(epoch, std::numeric_limits<int64_t>::max()));
}

}  // namespace headway::internal
