#include "engine/launch/stop_event.h"

#include <errno.h>
#include <sys/eventfd.h>

#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"

namespace headway::internal {

absl::StatusOr<FileDescriptor> MakeStopEvent() {
  FileDescriptor event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (event.is_open()) return event;
  return absl::ResourceExhaustedError(
      absl::StrFormat("cannot listen for a request to stop: eventfd: %s; allow more open files "
                      "(ulimit -n)",
                      std::strerror(errno)));
}

}  // namespace headway::internal
