#include "operators/io/line_reader.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/runtime/status_macros.h"

namespace headway::internal {
namespace {

constexpr size_t kBufferBytes = size_t{256} << 10;
constexpr size_t kMaxLineBytes = size_t{1} << 30;

// The first bytes of formats that contain compressed text.
struct Compressed {
  std::string_view first_bytes;
  std::string_view name;
};
constexpr Compressed kCompressed[] = {
    {"\x1f\x8b", "gzip"},
    {"BZh91AY&SY", "bzip2"},
    {{"\xfd"
      "7zXZ\0",
      6},
     "xz"},
    {"\x28\xb5\x2f\xfd", "zstd"},
    {"\x04\x22\x4d\x18", "lz4"},
    {"PK\x03\x04", "zip"},
};

}  // namespace

absl::Status LineReader::Open(const std::string& path) {
  path_ = path;
  // Without O_NONBLOCK, a named pipe would block until it has a writer.
  descriptor_ = FileDescriptor(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!descriptor_.is_open()) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot open '", path, "'"));
  }
  struct stat info;
  if (fstat(descriptor_.get(), &info) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot examine '", path, "'"));
  }
  if (S_ISDIR(info.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", path, "' is a directory; list the files in it instead"));
  }
  continues_ = false;
  return absl::OkStatus();
}

absl::Status LineReader::BeginStripe(const FileStripe& stripe, int64_t size) {
  size_ = size;
  open_bytes_ = 0;
  const bool follows = continues_ && stripe.begin == stripe_end_;
  stripe_end_ = stripe.end;
  return follows ? absl::OkStatus() : MoveToFirstLineFrom(stripe.begin);
}

absl::Status LineReader::ContinueStripe(const FileStripe& stripe, int64_t size, LinePosition from) {
  size_ = size;
  open_bytes_ = 0;
  stripe_end_ = stripe.end;
  return from.open_bytes > 0 ? MoveToGrownLine(from) : MoveToFirstLineFrom(from.next);
}

absl::Status LineReader::MoveToGrownLine(LinePosition from) {
  const int64_t end = from.next + from.open_bytes;
  MoveTo(end);
  if (end == size_) {
    open_bytes_ = from.open_bytes;
    continues_ = false;
    return absl::OkStatus();
  }
  char next[2] = {};
  const auto wanted = static_cast<size_t>(std::min<int64_t>(2, size_ - end));
  ssize_t got;
  do {
    got = pread(descriptor_.get(), next, wanted, end);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read '", path_, "'"));
  if (next[0] == '\n') {
    MoveTo(end + 1);
  } else if (next[0] == '\r' && next[1] == '\n') {
    MoveTo(end + 2);
  } else {
    MoveTo(from.next);
  }
  return absl::OkStatus();
}

void LineReader::MoveTo(int64_t position) {
  begin_ = end_ = searched_ = 0;
  position_ = position;
  ended_ = false;
  continues_ = true;
}

absl::Status LineReader::MoveToFirstLineFrom(int64_t position) {
  MoveTo(position);
  if (position == 0) return absl::OkStatus();
  if (position < stripe_end_) {
    absl::StatusOr<bool> found = SkipToFirstLineFrom(position);
    if (!found.ok() || *found) return found.status();
    position_ = stripe_end_;  // no line begins in the stripe, and maybe none in the next
  }
  continues_ = false;
  return absl::OkStatus();
}

// The first line begins after the first line end from the byte before the position on.
absl::StatusOr<bool> LineReader::SkipToFirstLineFrom(int64_t position) {
  position_ = position - 1;
  for (;;) {
    HEADWAY_RETURN_IF_ERROR(Fill().status());
    const char* newline = static_cast<const char*>(std::memchr(buffer_.get(), '\n', end_));
    if (newline != nullptr) {
      begin_ = static_cast<size_t>(newline - buffer_.get()) + 1;
      position_ += static_cast<int64_t>(begin_);
      return true;
    }
    position_ += static_cast<int64_t>(end_);
    begin_ = end_ = 0;
    if (AtEnd() || position_ >= stripe_end_) return false;
  }
}

absl::StatusOr<LineReader::Found> LineReader::Next(std::string_view* line) {
  if (!is_stream() && position_ >= stripe_end_) return Found::kEnd;
  for (;;) {
    const char* start = buffer_.get() + begin_;
    const size_t size = end_ - begin_;
    const char* newline =
        searched_ == size
            ? nullptr
            : static_cast<const char*>(std::memchr(start + searched_, '\n', size - searched_));
    if (newline == nullptr && !AtEnd()) {
      searched_ = size;
      absl::StatusOr<bool> filled = Fill();
      if (!filled.ok()) return filled.status();
      if (!*filled) return Found::kNothingYet;
      continue;
    }
    searched_ = 0;
    if (size == 0) return Found::kEnd;
    size_t length = newline != nullptr ? static_cast<size_t>(newline - start) : size;
    const size_t consumed = length + (newline != nullptr ? 1 : 0);
    if (newline != nullptr && length > 0 && start[length - 1] == '\r') --length;
    *line = std::string_view(start, length);
    begin_ += consumed;
    position_ += static_cast<int64_t>(consumed);
    open_bytes_ = newline != nullptr ? 0 : static_cast<int64_t>(size);
    return Found::kLine;
  }
}

bool LineReader::HasPositions() const {
  if (!is_stream()) return true;
  struct stat info = {};
  if (fstat(descriptor_.get(), &info) != 0 || !S_ISREG(info.st_mode)) return false;
  return info.st_size > 0 || position_ == 0;
}

absl::Status LineReader::MakeRoom() {
  if (begin_ > 0) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ < capacity_) return absl::OkStatus();
  if (capacity_ >= kMaxLineBytes) {
    return absl::InvalidArgumentError(
        absl::StrFormat("the line of '%s' that begins at byte %d is longer than %d bytes", path_,
                        position_, kMaxLineBytes));
  }
  const size_t capacity = std::max(kBufferBytes, 2 * capacity_);
  auto larger = std::make_unique_for_overwrite<char[]>(capacity);
  if (end_ > 0) std::memcpy(larger.get(), buffer_.get(), end_);
  buffer_ = std::move(larger);
  capacity_ = capacity;
  return absl::OkStatus();
}

bool LineReader::HasInput() const {
  pollfd poll_descriptor = {.fd = descriptor_.get(), .events = POLLIN, .revents = 0};
  // A named pipe that had no writer yet is not at its end: read would say so, poll does not.
  return poll(&poll_descriptor, 1, 0) > 0;
}

absl::StatusOr<bool> LineReader::Fill() {
  HEADWAY_RETURN_IF_ERROR(MakeRoom());
  const int64_t offset = position_ + static_cast<int64_t>(end_);
  size_t wanted = capacity_ - end_;
  if (!is_stream()) {
    wanted = std::min(wanted, static_cast<size_t>(std::max<int64_t>(0, size_ - offset)));
  }
  ssize_t got;
  do {
    if (is_stream()) {
      if (!HasInput()) return false;
      got = read(descriptor_.get(), buffer_.get() + end_, wanted);
    } else {
      got = pread(descriptor_.get(), buffer_.get() + end_, wanted, offset);
    }
  } while (got < 0 && errno == EINTR);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
  if (got < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read '", path_, "'"));
  end_ += static_cast<size_t>(got);
  if (got == 0) {
    ended_ = true;
    struct stat info = {};
    // Files of /sys have fewer bytes than their size says. They have not changed.
    if (!is_stream() && fstat(descriptor_.get(), &info) == 0 && info.st_size < size_) {
      return absl::DataLossError(absl::StrFormat(
          "'%s' became shorter while it was read: it had %d bytes, and ends before byte %d now; do "
          "not shorten files that are being read",
          path_, size_, offset));
    }
  }
  if (position_ == 0) HEADWAY_RETURN_IF_ERROR(CheckNotCompressed());
  return true;
}

absl::Status LineReader::CheckNotCompressed() {
  const std::string_view text(buffer_.get(), end_);
  for (const Compressed& format : kCompressed) {
    if (text.starts_with(format.first_bytes)) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "'%s' is compressed (%s), and FileLines reads plain text; decompress it first, for "
          "instance into a named pipe, and read that",
          path_, format.name));
    }
  }
  return absl::OkStatus();
}

}  // namespace headway::internal
