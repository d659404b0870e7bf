#ifndef HEADWAY_ENGINE_AGREE_ON_RESUME_H_
#define HEADWAY_ENGINE_AGREE_ON_RESUME_H_

#include "absl/status/status.h"

namespace headway {

class Worker;

namespace internal {

class Recovery;

// Brings the workers of a run to one plan of where to resume. They tell each other by a small
// dataflow, which is over when this returns. Every worker calls it before it builds anything else.
absl::Status AgreeOnResume(Worker& worker, Recovery& recovery);

}  // namespace internal
}  // namespace headway

#endif  // HEADWAY_ENGINE_AGREE_ON_RESUME_H_
