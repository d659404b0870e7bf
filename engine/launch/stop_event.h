#ifndef HEADWAY_ENGINE_LAUNCH_STOP_EVENT_H_
#define HEADWAY_ENGINE_LAUNCH_STOP_EVENT_H_

#include "absl/status/statusor.h"
#include "comm/system/file_descriptor.h"

namespace headway::internal {

// Makes an eventfd that carries a request to stop: eventfd_write makes it readable, and never
// blocks. ResourceExhausted: the system is out of descriptors.
absl::StatusOr<FileDescriptor> MakeStopEvent();

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_LAUNCH_STOP_EVENT_H_
