#include "operators/io/line_writer.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
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

// The extended attribute of a file: the id of the recovery store of its run, a space, and the
// length that the file had when the first run with that store opened it.
constexpr char kMark[] = "user.headway.store";

}  // namespace

absl::StatusOr<LineWriter> LineWriter::Open(const std::string& path, const StepContext& context,
                                            const FileSinkOptions& options,
                                            const std::optional<std::string>& position,
                                            std::shared_ptr<FileSyncer> syncer) {
  LineWriter writer;
  writer.path_ = path;
  writer.activator_ = context.activator;
  if (!context.store_id.empty()) writer.syncer_ = std::move(syncer);
  HEADWAY_RETURN_IF_ERROR(writer.OpenFile());
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
  file_ =
      std::make_shared<FileDescriptor>(open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
  if (!file_->is_open()) return ErrnoError("open", errno);
  if (flock(file_->get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return ErrnoError("lock", errno);
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
  if (fstat(file_->get(), &info) != 0) return ErrnoError("examine", errno);
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
  } else if (const std::optional<int64_t> length = LengthAtBegin(context.store_id)) {
    // A run with this store began the file, and was lost before its first commit.
    length_ = std::min(*length, size);
  } else if (existing == ExistingFile::kAppend) {
    length_ = size;
  } else if (size > 0 && existing == ExistingFile::kRefuse) {
    return absl::FailedPreconditionError(
        absl::StrCat("'", path_,
                     "' exists and is not empty; remove it, name another file, or "
                     "allow ExistingFile::kOverwrite or kAppend"));
  }
  if (!position.has_value()) HEADWAY_RETURN_IF_ERROR(MarkBegin(context.store_id));
  if (size > length_ && ftruncate(file_->get(), length_) != 0) return ErrnoError("shorten", errno);
  if (lseek(file_->get(), length_, SEEK_SET) < 0) return ErrnoError("write to", errno);
  flushed_ = length_;
  return absl::OkStatus();
}

std::optional<int64_t> LineWriter::LengthAtBegin(const std::string& store_id) const {
  if (store_id.empty()) return std::nullopt;
  std::string mark(store_id.size() + 24, '\0');
  const ssize_t size = fgetxattr(file_->get(), kMark, mark.data(), mark.size());
  if (size < 0) return std::nullopt;
  mark.resize(static_cast<size_t>(size));
  int64_t length = 0;
  const bool is_ours = mark.starts_with(store_id + " ") &&
                       absl::SimpleAtoi(mark.substr(store_id.size() + 1), &length) && length >= 0;
  return is_ours ? std::optional(length) : std::nullopt;
}

// Before the first line is written. On a file system without extended attributes the file stays
// unmarked, and a run that was lost before its first commit leaves a file that the next one
// refuses, or continues with kAppend.
absl::Status LineWriter::MarkBegin(const std::string& store_id) const {
  if (store_id.empty() || LengthAtBegin(store_id).has_value()) return absl::OkStatus();
  const std::string mark = absl::StrCat(store_id, " ", length_);
  if (fsetxattr(file_->get(), kMark, mark.data(), mark.size(), 0) == 0 || errno == ENOTSUP ||
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
    if (directory.empty()) directory = ".";
  }
  sync_ = syncer_->Start(file_, std::move(directory), activator_);
}

absl::Status LineWriter::ErrnoError(const char* verb, int error) const {
  std::string message = absl::StrCat("cannot ", verb, " '", path_, "'");
  if (error == ENOSPC || error == EDQUOT) message += " (make room, and start the run again)";
  return absl::ErrnoToStatus(error, message);
}

}  // namespace headway::internal
