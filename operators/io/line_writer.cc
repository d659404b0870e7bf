#include "operators/io/line_writer.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string_view>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "comm/system/output.h"
#include "engine/runtime/status_macros.h"

namespace headway::internal {
namespace {

// The extended attribute of a file whose value is the id of the recovery store of its run.
constexpr char kMark[] = "user.headway.store";

}  // namespace

absl::StatusOr<LineWriter> LineWriter::Open(const std::string& path, const StepContext& context,
                                            ExistingFile existing,
                                            const std::optional<std::string>& position) {
  LineWriter writer;
  writer.path_ = path;
  writer.durable_ = !context.store_id.empty();
  HEADWAY_RETURN_IF_ERROR(writer.OpenFile());
  HEADWAY_RETURN_IF_ERROR(writer.Prepare(context, existing, position));
  return writer;
}

absl::Status LineWriter::OpenFile() {
  struct stat info = {};
  // Before the file is opened, which would block for a pipe.
  const bool exists = stat(path_.c_str(), &info) == 0;
  if (exists && S_ISDIR(info.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", path_, "' is a directory; name a file in it"));
  }
  if (exists && !S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "'", path_, "' is no regular file; for a pipe or a device, redirect StdOutSink"));
  }
  descriptor_ = FileDescriptor(open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
  if (!descriptor_.is_open()) return ErrnoError("open");
  if (flock(descriptor_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return ErrnoError("lock");
    return absl::FailedPreconditionError(
        absl::StrCat("'", path_,
                     "' is being written by another sink or run; end that one first, "
                     "or write to another file"));
  }
  return absl::OkStatus();
}

absl::Status LineWriter::Prepare(const StepContext& context, ExistingFile existing,
                                 const std::optional<std::string>& position) {
  struct stat info = {};
  if (fstat(descriptor_.get(), &info) != 0) return ErrnoError("examine");
  const int64_t size = info.st_size;
  entry_is_durable_ = position.has_value();
  if (position.has_value()) {
    if (!absl::SimpleAtoi(*position, &length_) || length_ < 0) {
      return absl::DataLossError(
          absl::StrCat("the stored position '", *position, "' in '", path_, "' is not a length"));
    }
    if (size < length_) {
      return absl::DataLossError(absl::StrFormat(
          "'%s' has %d bytes, but had %d at the commit from which the run resumes; put the file "
          "back that the last run wrote",
          path_, size, length_));
    }
  } else if (existing == ExistingFile::kAppend) {
    length_ = size;
  } else if (size > 0 && existing == ExistingFile::kRefuse && !IsMarked(context.store_id)) {
    return absl::FailedPreconditionError(
        absl::StrCat("'", path_,
                     "' exists and is not empty; remove it, name another file, or "
                     "allow ExistingFile::kOverwrite or kAppend"));
  }
  HEADWAY_RETURN_IF_ERROR(Mark(context.store_id));
  if (size > length_ && ftruncate(descriptor_.get(), length_) != 0) return ErrnoError("shorten");
  if (lseek(descriptor_.get(), length_, SEEK_SET) < 0) return ErrnoError("write to");
  flushed_ = length_;
  return absl::OkStatus();
}

bool LineWriter::IsMarked(const std::string& store_id) const {
  if (store_id.empty()) return false;
  std::string mark(store_id.size() + 1, '\0');
  const ssize_t size = fgetxattr(descriptor_.get(), kMark, mark.data(), mark.size());
  return size == static_cast<ssize_t>(store_id.size()) && mark.starts_with(store_id);
}

// Before the first line is written. On a file system without extended attributes the file stays
// unmarked, and a run that was lost before its first commit leaves a file that the next one
// refuses.
absl::Status LineWriter::Mark(const std::string& store_id) const {
  if (store_id.empty() || IsMarked(store_id)) return absl::OkStatus();
  if (fsetxattr(descriptor_.get(), kMark, store_id.data(), store_id.size(), 0) == 0 ||
      errno == ENOTSUP || errno == EPERM) {
    return absl::OkStatus();
  }
  return ErrnoError("mark");
}

absl::Status LineWriter::WriteText() {
  const int error = WriteAll(descriptor_.get(), text_);
  if (error != 0) {
    errno = error;
    return ErrnoError("write to");
  }
  length_ += static_cast<int64_t>(text_.size());
  text_.clear();
  return absl::OkStatus();
}

absl::Status LineWriter::Flush() {
  HEADWAY_RETURN_IF_ERROR(WriteText());
  if (durable_) HEADWAY_RETURN_IF_ERROR(Sync());
  flushed_ = length_;
  return absl::OkStatus();
}

absl::Status LineWriter::Sync() {
  if (fdatasync(descriptor_.get()) != 0) return ErrnoError("write to");
  if (std::exchange(entry_is_durable_, true)) return absl::OkStatus();
  std::string directory = std::filesystem::path(path_).parent_path().string();
  if (directory.empty()) directory = ".";
  const FileDescriptor opened(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened.is_open() || fsync(opened.get()) != 0) {
    return absl::ErrnoToStatus(
        errno, absl::StrCat("cannot make the entry of '", path_, "' in its directory durable"));
  }
  return absl::OkStatus();
}

absl::Status LineWriter::ErrnoError(const char* verb) const {
  const int error = errno;
  std::string message = absl::StrCat("cannot ", verb, " '", path_, "'");
  if (error == ENOSPC || error == EDQUOT) message += " (make room, and start the run again)";
  return absl::ErrnoToStatus(error, message);
}

}  // namespace headway::internal
