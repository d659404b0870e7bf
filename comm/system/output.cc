#include "comm/system/output.h"

#include <poll.h>
#include <stdio_ext.h>
#include <unistd.h>

#include <cerrno>

namespace headway::internal {
namespace {

// Waits until the descriptor takes more, or fails.
void AwaitRoom(int descriptor) {
  pollfd polled = {.fd = descriptor, .events = POLLOUT, .revents = 0};
  while (poll(&polled, 1, -1) < 0 && errno == EINTR) {
  }
}

}  // namespace

int WriteAll(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = write(descriptor, text.data(), text.size());
    if (count >= 0) {
      text.remove_prefix(static_cast<size_t>(count));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      AwaitRoom(descriptor);
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

int FlushStream(std::FILE* stream) {
  // A write that fails with EAGAIN would lose the buffer. A pipe with room has PIPE_BUF bytes of
  // it.
  if (__fpending(stream) > 0) AwaitRoom(fileno(stream));
  return std::fflush(stream) == 0 ? 0 : errno;
}

}  // namespace headway::internal
