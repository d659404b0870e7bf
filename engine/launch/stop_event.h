#ifndef HEADWAY_ENGINE_LAUNCH_STOP_EVENT_H_
#define HEADWAY_ENGINE_LAUNCH_STOP_EVENT_H_

#include "absl/status/statusor.h"
#include "comm/system/file_descriptor.h"

namespace headway::internal {

// An eventfd by which somebody asks for a stop: eventfd_write makes it readable, and does not wait.
// ResourceExhausted: the system has no descriptor left.
absl::StatusOr<FileDescriptor> MakeStopEvent();

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_LAUNCH_STOP_EVENT_H_
