#include "operators/io/stdin_lines.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <span>
#include <string_view>

#include "absl/strings/str_format.h"
#include "operators/io/read_bytes.h"

namespace headway {
namespace {

constexpr absl::Duration kFirstWait = absl::Milliseconds(1);
constexpr absl::Duration kLongestWait = absl::Milliseconds(50);

}  // namespace

absl::StatusOr<SourceState> StdinLines::Reader::Poll(SourceOutput<std::string>& out) {
  if (!reads_) return SourceState::Done();
  std::string_view line;
  while (out.WantsMore()) {
    if (buffer_.Next(&line)) {
      out.Emit(line);
      wait_ = absl::ZeroDuration();
      continue;
    }
    if (buffer_.Rest().size() >= internal::kMaxLineBytes) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "a line of the standard input is longer than %d bytes", internal::kMaxLineBytes));
    }
    ssize_t got = -1;
    errno = EAGAIN;
    if (internal::HasInput(STDIN_FILENO)) {
      const std::span<char> room = buffer_.Room();
      got = read(STDIN_FILENO, room.data(), room.size());
    }
    if (got > 0) {
      buffer_.Add(static_cast<size_t>(got));
    } else if (got == 0) {
      if (!buffer_.Rest().empty()) out.Emit(buffer_.Rest());
      reads_ = false;
      return SourceState::Done();
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      wait_ = std::clamp(2 * wait_, kFirstWait, kLongestWait);
      return SourceState::Idle(wait_);
    } else if (errno != EINTR) {
      return absl::ErrnoToStatus(errno, "cannot read the standard input");
    }
  }
  return SourceState::More();
}

}  // namespace headway
