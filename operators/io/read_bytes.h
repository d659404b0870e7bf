#ifndef HEADWAY_OPERATORS_IO_READ_BYTES_H_
#define HEADWAY_OPERATORS_IO_READ_BYTES_H_

#include <poll.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <span>

namespace headway::internal {

// pread that a signal does not interrupt: the number of bytes, 0 at the end, or -1 with errno.
inline ssize_t ReadBytesAt(int descriptor, std::span<char> room, int64_t offset) {
  ssize_t got;
  do {
    got = pread(descriptor, room.data(), room.size(), offset);
  } while (got < 0 && errno == EINTR);
  return got;
}

// Returns true if a read of the pipe or device does not block. A named pipe that had no writer yet
// is not at its end: read would say so, poll does not.
inline bool HasInput(int descriptor) {
  pollfd polled = {.fd = descriptor, .events = POLLIN, .revents = 0};
  return poll(&polled, 1, 0) > 0;
}

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_IO_READ_BYTES_H_
