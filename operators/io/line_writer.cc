#include "operators/io/line_writer.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "comm/system/output.h"
#include "engine/runtime/status_macros.h"

namespace headway::internal {
namespace {

// The extended attribute of a file. Its value is the members of a Mark, with spaces between them.
constexpr char kMark[] = "user.headway.store";

// Copies the first `size` bytes. Returns false and sets errno on failure.
bool CopyBytes(int from, int to, int64_t size) {
  while (size > 0) {
    const ssize_t count = sendfile(to, from, nullptr, static_cast<size_t>(size));
    if (count == 0) errno = EIO;  // the file became shorter
    if (count == 0 || (count < 0 && errno != EINTR)) return false;
    size -= std::max<ssize_t>(count, 0);
  }
  return true;
}

}  // namespace

absl::StatusOr<LineWriter> LineWriter::Open(const std::string& path, const StepContext& context,
                                            const FileSinkOptions& options,
                                            const std::optional<std::string>& position,
                                            std::shared_ptr<FileSyncer> syncer) {
  LineWriter writer;
  writer.path_ = path;
  writer.activator_ = context.activator;
  if (!context.store_id.empty()) writer.syncer_ = std::move(syncer);
  HEADWAY_RETURN_IF_ERROR(writer.OpenFile(context, position));
  HEADWAY_RETURN_IF_ERROR(writer.Prepare(context, options.existing, position));
  return writer;
}

absl::StatusOr<LineWriter> LineWriter::OpenNamed(const std::string& directory,
                                                 const std::string& name,
                                                 const StepContext& context,
                                                 const FileSinkOptions& options,
                                                 const std::optional<std::string>& position,
                                                 std::shared_ptr<FileSyncer> syncer) {
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos ||
      name.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the partition '", name, "' of a record is no name of a file in '", directory,
        "'; let the function return a name that is not empty, '.' or '..', and has no '/'"));
  }
  const std::string path = (std::filesystem::path(directory) / name).string();
  return Open(path, context, options, position, std::move(syncer));
}

absl::Status LineWriter::OpenFile(const StepContext& context,
                                  const std::optional<std::string>& position) {
  struct stat info = {};
  // Before the file is opened, which would block for a pipe.
  const bool exists = stat(path_.c_str(), &info) == 0;
  if (!exists && errno == ENOENT && position.value_or("0") != "0") {
    return absl::DataLossError(absl::StrFormat(
        "'%s' does not exist, but had %s bytes at the commit from which the run resumes; put the "
        "file back that the last run wrote",
        path_, *position));
  }
  if (exists && S_ISDIR(info.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", path_, "' is a directory; name a file in it"));
  }
  if (exists && !S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "'", path_, "' is no regular file; for a pipe or a device, redirect StdOutSink"));
  }
  for (;;) {
    file_ =
        std::make_shared<FileDescriptor>(open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
    if (!file_->is_open()) return ErrnoError("open", errno);
    has_lock_ = flock(file_->get(), LOCK_EX | LOCK_NB) == 0;
    if (!has_lock_ && errno != EWOULDBLOCK) return ErrnoError("lock", errno);
    const std::optional<Mark> mark = ReadMark(context.store_id);
    if (mark.has_value() && mark->generation > context.generation) {
      return absl::AbortedError(
          absl::StrCat("a later generation of the run has taken over '", path_, "'"));
    }
    if (!has_lock_ && !(mark.has_value() && mark->generation < context.generation)) {
      return LockedError();
    }
    // Otherwise the file was replaced after it was opened.
    if (IsAtPath()) return absl::OkStatus();
  }
}

absl::Status LineWriter::LockedError() const {
  return absl::FailedPreconditionError(
      absl::StrCat("'", path_,
                   "' is being written by another sink or run; end that one first, "
                   "or write to another file"));
}

absl::Status LineWriter::Prepare(const StepContext& context, ExistingFile existing,
                                 const std::optional<std::string>& position) {
  struct stat info = {};
  if (fstat(file_->get(), &info) != 0) return ErrnoError("examine", errno);
  const int64_t size = info.st_size;
  const std::optional<Mark> mark = ReadMark(context.store_id);
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
  } else if (mark.has_value()) {
    // A run with this store began the file, and was lost before its first commit.
    length_ = std::min(mark->first_length, size);
  } else if (existing == ExistingFile::kAppend) {
    length_ = size;
  } else if (size > 0 && existing == ExistingFile::kRefuse) {
    return absl::FailedPreconditionError(
        absl::StrCat("'", path_,
                     "' exists and is not empty; remove it, name another file, or "
                     "allow ExistingFile::kOverwrite or kAppend"));
  }
  const Mark own_mark = {context.store_id, mark.has_value() ? mark->first_length : length_,
                         context.generation};
  if (!has_lock_) {
    HEADWAY_RETURN_IF_ERROR(ReplaceFile(own_mark));
  } else {
    HEADWAY_RETURN_IF_ERROR(WriteMark(own_mark));
    if (size > length_ && ftruncate(file_->get(), length_) != 0) {
      return ErrnoError("shorten", errno);
    }
  }
  if (lseek(file_->get(), length_, SEEK_SET) < 0) return ErrnoError("write to", errno);
  flushed_ = length_;
  return absl::OkStatus();
}

// The lost process may wake up and write. Its file has no name any more then.
absl::Status LineWriter::ReplaceFile(const Mark& mark) {
  std::error_code error;
  // The file itself, not a link to it.
  const std::string file = std::filesystem::canonical(path_, error).string();
  const std::string copy_path = absl::StrCat(file, ".headway-new");
  unlink(copy_path.c_str());
  const FileDescriptor old(open(file.c_str(), O_RDONLY | O_CLOEXEC));
  auto copy = std::make_shared<FileDescriptor>(
      open(copy_path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!old.is_open() || !copy->is_open()) return ErrnoError("replace", errno);
  absl::Cleanup remove = [&copy_path] { unlink(copy_path.c_str()); };
  struct stat info = {};
  if (flock(copy->get(), LOCK_EX | LOCK_NB) != 0 || fstat(old.get(), &info) != 0 ||
      !CopyBytes(old.get(), copy->get(), length_) ||
      fchmod(copy->get(), info.st_mode & 07777) != 0 || fsync(copy->get()) != 0) {
    return ErrnoError("replace", errno);
  }
  if (!IsAtPath()) return LockedError();
  file_ = std::move(copy);
  HEADWAY_RETURN_IF_ERROR(WriteMark(mark));
  if (rename(copy_path.c_str(), file.c_str()) != 0) return ErrnoError("replace", errno);
  std::move(remove).Cancel();
  has_lock_ = true;
  entry_is_durable_ = false;
  return absl::OkStatus();
}

bool LineWriter::IsAtPath() const {
  struct stat at_path = {};
  struct stat opened = {};
  return stat(path_.c_str(), &at_path) == 0 && fstat(file_->get(), &opened) == 0 &&
         at_path.st_dev == opened.st_dev && at_path.st_ino == opened.st_ino;
}

std::optional<LineWriter::Mark> LineWriter::ReadMark(const std::string& store_id) const {
  if (store_id.empty()) return std::nullopt;
  std::string text(store_id.size() + 64, '\0');
  const ssize_t size = fgetxattr(file_->get(), kMark, text.data(), text.size());
  text.resize(static_cast<size_t>(std::max<ssize_t>(size, 0)));
  Mark mark;
  const std::vector<std::string> parts = absl::StrSplit(text, ' ');
  const bool is_ours = parts.size() == 3 && parts[0] == store_id &&
                       absl::SimpleAtoi(parts[1], &mark.first_length) && mark.first_length >= 0 &&
                       absl::SimpleAtoi(parts[2], &mark.generation);
  if (!is_ours) return std::nullopt;
  mark.store_id = store_id;
  return mark;
}

// Before the first line is written. On a file system without extended attributes the file stays
// unmarked. A run that was lost before its first commit leaves a file that the next one refuses, or
// continues with kAppend; a lost process that has the lock keeps it.
absl::Status LineWriter::WriteMark(const Mark& mark) const {
  if (mark.store_id.empty()) return absl::OkStatus();
  const std::string text =
      absl::StrCat(mark.store_id, " ", mark.first_length, " ", mark.generation);
  if (fsetxattr(file_->get(), kMark, text.data(), text.size(), 0) == 0 || errno == ENOTSUP ||
      errno == EPERM) {
    return absl::OkStatus();
  }
  return ErrnoError("mark", errno);
}

absl::Status LineWriter::WriteText() {
  const int error = WriteAll(file_->get(), text_);
  if (error != 0) return ErrnoError("write to", error);
  length_ += static_cast<int64_t>(text_.size());
  text_.clear();
  return absl::OkStatus();
}

absl::StatusOr<FlushState> LineWriter::Flush() {
  if (sync_ == nullptr) {
    HEADWAY_RETURN_IF_ERROR(WriteText());
    if (syncer_ != nullptr) StartSync();
  }
  if (sync_ != nullptr) {
    if (!sync_->done()) return FlushState::Pending(absl::InfiniteDuration());
    if (sync_->error() != 0) return ErrnoError("make durable", sync_->error());
    sync_ = nullptr;
  }
  flushed_ = length_;
  return FlushState::Done();
}

void LineWriter::StartSync() {
  std::string directory;
  if (!std::exchange(entry_is_durable_, true)) {
    directory = std::filesystem::path(path_).parent_path().string();
    if (directory.empty()) directory.assign(1, '.');
  }
  sync_ = syncer_->Start(file_, std::move(directory), activator_);
}

absl::Status LineWriter::ErrnoError(const char* verb, int error) const {
  std::string message = absl::StrCat("cannot ", verb, " '", path_, "'");
  if (error == ENOSPC || error == EDQUOT) message += " (make room, and start the run again)";
  return absl::ErrnoToStatus(error, message);
}

}  // namespace headway::internal
