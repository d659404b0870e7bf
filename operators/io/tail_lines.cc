#include "operators/io/tail_lines.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "comm/codec/stable_hash.h"
#include "comm/system/file_descriptor.h"
#include "engine/runtime/status_macros.h"
#include "operators/io/line_buffer.h"
#include "operators/io/read_bytes.h"

namespace headway {
namespace {

using internal::FileDescriptor;
using internal::LineBuffer;

// A file is known by this many bytes before the position; by its inode too, if it has fewer.
constexpr int64_t kKnownBytes = 256;

// Reads up to `room` bytes from `offset` on. Returns the number; 0: the end of the file.
absl::StatusOr<int64_t> ReadAt(int descriptor, const std::string& path, std::span<char> room,
                               int64_t offset) {
  const ssize_t got = internal::ReadBytesAt(descriptor, room, offset);
  if (got < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read '", path, "'"));
  return got;
}

// The hash of the last bytes before `offset`.
absl::StatusOr<uint64_t> HashBefore(int descriptor, const std::string& path, int64_t offset) {
  std::array<char, kKnownBytes> bytes;
  const int64_t count = std::min(offset, kKnownBytes);
  int64_t read = 0;
  while (read < count) {
    const absl::StatusOr<int64_t> got = ReadAt(
        descriptor, path,
        std::span(bytes).subspan(static_cast<size_t>(read), static_cast<size_t>(count - read)),
        offset - count + read);
    if (!got.ok()) return got.status();
    if (*got == 0) break;
    read += *got;
  }
  return StableHash(std::string_view(bytes.data(), static_cast<size_t>(read)));
}

class TailReader {
 public:
  TailReader(std::string path, const TailLinesOptions& options)
      : path_(std::move(path)), options_(options) {}

  absl::Status Open() {
    absl::StatusOr<OpenedFile> opened = OpenPath();
    if (!opened.ok()) return opened.status();
    Begin(*std::move(opened));
    return absl::OkStatus();
  }

  // Continues the open file at a position, or begins it if it is another one and that is allowed.
  absl::Status Continue(const std::string& position) {
    const std::vector<std::string> parts = absl::StrSplit(position, ':');
    int64_t offset = 0;
    uint64_t hash = 0;
    uint64_t inode = file_.status.st_ino;  // earlier versions have stored none
    if (parts.size() < 2 || parts.size() > 3 || !absl::SimpleAtoi(parts[0], &offset) ||
        offset < 0 || !absl::SimpleHexAtoi(parts[1], &hash) ||
        (parts.size() == 3 && !absl::SimpleAtoi(parts[2], &inode))) {
      return absl::DataLossError(absl::StrCat("the stored position '", position, "' in '", path_,
                                              "' is not one of a file"));
    }
    const absl::StatusOr<uint64_t> present = HashBefore(file_.descriptor.get(), path_, offset);
    if (!present.ok()) return present.status();
    const bool is_known = offset >= kKnownBytes || inode == file_.status.st_ino;
    if (is_known && *present == hash && offset <= file_.status.st_size) {
      next_line_ = offset;
    } else if (options_.vanished == VanishedPartitions::kFail) {
      return absl::FailedPreconditionError(absl::StrFormat(
          "'%s' is not the file that the last run read up to byte %d: it was replaced or changed; "
          "put that file back, or allow VanishedPartitions::kForget to begin the new one",
          path_, offset));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<SourceState> Poll(SourceOutput<std::string>& out) {
    std::string_view line;
    while (out.WantsMore()) {
      const size_t waiting = buffer_.Rest().size();
      if (buffer_.Next(&line)) {
        next_line_ += static_cast<int64_t>(waiting - buffer_.Rest().size());
        out.Emit(line);
        continue;
      }
      const absl::StatusOr<bool> filled = Fill();
      if (!filled.ok()) return filled.status();
      if (*filled) continue;
      const absl::StatusOr<bool> replaced = IsReplaced();
      if (!replaced.ok()) return replaced.status();
      // The writer of the old file may not know yet that it was renamed.
      if (!*replaced || !std::exchange(knows_replaced_, true)) {
        return SourceState::Idle(options_.poll_interval);
      }
      absl::StatusOr<OpenedFile> opened = OpenPath();
      // It was renamed too. Until another file has the name, the old one is read.
      if (absl::IsNotFound(opened.status())) return SourceState::Idle(options_.poll_interval);
      if (!opened.ok()) return opened.status();
      if (!buffer_.Rest().empty()) out.Emit(buffer_.Rest());
      Begin(*std::move(opened));
    }
    return SourceState::More();
  }

  std::string Snapshot() const {
    const absl::StatusOr<uint64_t> hash = HashBefore(file_.descriptor.get(), path_, next_line_);
    // A file that cannot be read now fails at the next poll.
    return absl::StrCat(next_line_, ":", absl::Hex(hash.value_or(0)), ":", file_.status.st_ino);
  }

 private:
  struct OpenedFile {
    FileDescriptor descriptor;
    struct stat status = {};
  };

  absl::StatusOr<OpenedFile> OpenPath() const {
    OpenedFile file{.descriptor = FileDescriptor(
                        open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY))};
    if (!file.descriptor.is_open()) {
      return absl::ErrnoToStatus(errno, absl::StrCat("cannot open '", path_, "'"));
    }
    if (fstat(file.descriptor.get(), &file.status) != 0) {
      return absl::ErrnoToStatus(errno, absl::StrCat("cannot examine '", path_, "'"));
    }
    if (!S_ISREG(file.status.st_mode)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "'", path_, "' is no regular file, which alone can grow; use FileLines for a pipe"));
    }
    return file;
  }
  void Begin(OpenedFile file) {
    file_ = std::move(file);
    next_line_ = 0;
    buffer_.Clear();
    knows_replaced_ = false;
  }
  // Returns false at the present end of the file.
  absl::StatusOr<bool> Fill() {
    const int64_t end = next_line_ + static_cast<int64_t>(buffer_.Rest().size());
    if (buffer_.Rest().size() >= internal::kMaxLineBytes) {
      return absl::InvalidArgumentError(
          absl::StrFormat("the line of '%s' that begins at byte %d is longer than %d bytes", path_,
                          next_line_, internal::kMaxLineBytes));
    }
    const absl::StatusOr<int64_t> got = ReadAt(file_.descriptor.get(), path_, buffer_.Room(), end);
    if (!got.ok()) return got.status();
    if (*got > 0) {
      buffer_.Add(static_cast<size_t>(*got));
      knows_replaced_ = false;
      return true;
    }
    struct stat present;
    if (fstat(file_.descriptor.get(), &present) == 0 && present.st_size < end) {
      return absl::DataLossError(absl::StrFormat(
          "'%s' became shorter while it was read: %d bytes were read, and it has %d now; rename a "
          "log file to rotate it, and do not truncate it",
          path_, end, present.st_size));
    }
    return false;
  }

  // Returns true if another file has the path now.
  absl::StatusOr<bool> IsReplaced() const {
    struct stat present;
    if (stat(path_.c_str(), &present) == 0) {
      return present.st_ino != file_.status.st_ino || present.st_dev != file_.status.st_dev;
    }
    if (errno == ENOENT) return false;
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot examine '", path_, "'"));
  }

  std::string path_;
  TailLinesOptions options_;
  OpenedFile file_;
  int64_t next_line_ = 0;  // the byte at which it begins
  LineBuffer buffer_;
  bool knows_replaced_ = false;  // and nothing was read since
};

class TailSource {
 public:
  using Record = std::string;
  using Reader = TailReader;

  TailSource(std::vector<std::string> paths, TailLinesOptions options)
      : paths_(std::move(paths)), options_(options) {}

  VanishedPartitions vanished_partitions() const { return options_.vanished; }
  absl::StatusOr<std::vector<std::string>> Partitions(const SourceContext&) {
    if (options_.poll_interval <= absl::ZeroDuration()) {
      return absl::InvalidArgumentError("TailLinesOptions::poll_interval must be positive");
    }
    return paths_;
  }
  absl::StatusOr<Reader> OpenPartition(const SourceContext&, const std::string& path,
                                       const std::optional<std::string>& position) {
    TailReader reader(path, options_);
    HEADWAY_RETURN_IF_ERROR(reader.Open());
    if (position.has_value()) HEADWAY_RETURN_IF_ERROR(reader.Continue(*position));
    return reader;
  }

 private:
  std::vector<std::string> paths_;
  TailLinesOptions options_;
};

}  // namespace

Stream<std::string> TailLines::AddTo(Scope<>& scope, std::string_view step_id) const {
  return scope.Input(step_id, TailSource(paths_, options_));
}

}  // namespace headway
