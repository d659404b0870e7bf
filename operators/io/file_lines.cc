#include "operators/io/file_lines.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace headway {
namespace {

constexpr int64_t kStripeBytes = int64_t{1} << 20;
constexpr size_t kBufferBytes = size_t{256} << 10;
constexpr size_t kMaxLineBytes = size_t{1} << 30;

}  // namespace

absl::StatusOr<FileLines::Reader> FileLines::Open(
    const SourceContext& context,
    std::optional<std::string>) {  // NOLINT(performance-unnecessary-value-param): as all sources
  Reader reader(paths_, context);
  // Every worker opens every file, so that a missing one is an error even on a worker that has
  // nothing to read in it.
  while (reader.file_ < reader.paths_.size()) {
    if (absl::Status status = reader.OpenFile(); !status.ok()) return status;
    ++reader.file_;
  }
  reader.file_ = 0;
  if (!reader.paths_.empty()) {
    if (absl::Status status = reader.OpenFile(); !status.ok()) return status;
  }
  return reader;
}

FileLines::Reader::Reader(std::vector<std::string> paths, const SourceContext& context)
    : paths_(std::move(paths)),
      worker_index_(context.worker_index),
      worker_count_(context.worker_count) {}

FileLines::Reader::Reader(Reader&& other) noexcept { *this = std::move(other); }

FileLines::Reader& FileLines::Reader::operator=(Reader&& other) noexcept {
  paths_ = std::move(other.paths_);
  worker_index_ = other.worker_index_;
  worker_count_ = other.worker_count_;
  file_ = other.file_;
  if (descriptor_ >= 0) close(descriptor_);
  descriptor_ = std::exchange(other.descriptor_, -1);
  file_size_ = other.file_size_;
  stripe_ = other.stripe_;
  in_stripe_ = other.in_stripe_;
  buffer_ = std::move(other.buffer_);
  capacity_ = other.capacity_;
  begin_ = other.begin_;
  end_ = other.end_;
  position_ = other.position_;
  return *this;
}

FileLines::Reader::~Reader() {
  if (descriptor_ >= 0) close(descriptor_);
}

absl::Status FileLines::Reader::OpenFile() {
  if (descriptor_ >= 0) close(descriptor_);
  const std::string& path = paths_[file_];
  descriptor_ = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor_ < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open '", path, "'"));
  struct stat info;
  if (fstat(descriptor_, &info) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot examine '", path, "'"));
  }
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "'", path, "' is not a regular file, and only those can be shared among workers"));
  }
  file_size_ = info.st_size;
  stripe_ = worker_index_;
  in_stripe_ = false;
  return absl::OkStatus();
}

absl::Status FileLines::Reader::Fill() {
  if (begin_ > 0) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ == capacity_) {
    if (capacity_ >= kMaxLineBytes) {
      return absl::InvalidArgumentError(
          absl::StrFormat("the line of '%s' that begins at byte %d is longer than %d bytes",
                          paths_[file_], position_, kMaxLineBytes));
    }
    const size_t capacity = std::max(kBufferBytes, 2 * capacity_);
    auto larger = std::make_unique_for_overwrite<char[]>(capacity);
    if (end_ > 0) std::memcpy(larger.get(), buffer_.get(), end_);
    buffer_ = std::move(larger);
    capacity_ = capacity;
  }
  const int64_t offset = position_ + static_cast<int64_t>(end_);
  const size_t wanted =
      std::min(capacity_ - end_, static_cast<size_t>(std::max<int64_t>(0, file_size_ - offset)));
  ssize_t got;
  do {
    got = pread(descriptor_, buffer_.get() + end_, wanted, offset);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read '", paths_[file_], "'"));
  if (got == 0) {
    return absl::DataLossError(
        absl::StrFormat("'%s' became shorter while it was read: it had %d bytes, and ends before "
                        "byte %d now; do not change files that "
                        "are being read",
                        paths_[file_], file_size_, offset));
  }
  end_ += static_cast<size_t>(got);
  return absl::OkStatus();
}

absl::StatusOr<bool> FileLines::Reader::BeginStripe() {
  const int64_t start = stripe_ * kStripeBytes;
  begin_ = end_ = 0;
  position_ = start;
  in_stripe_ = true;
  if (start == 0) return true;
  // The stripe's first line begins after the first line end from the byte before the stripe on.
  position_ = start - 1;
  for (;;) {
    if (absl::Status status = Fill(); !status.ok()) return status;
    const char* newline = static_cast<const char*>(std::memchr(buffer_.get(), '\n', end_));
    if (newline != nullptr) {
      begin_ = static_cast<size_t>(newline - buffer_.get()) + 1;
      position_ += static_cast<int64_t>(begin_);
      return true;
    }
    position_ += static_cast<int64_t>(end_);
    begin_ = end_ = 0;
    if (position_ >= file_size_ || position_ >= start + kStripeBytes) return false;
  }
}

absl::StatusOr<bool> FileLines::Reader::Next(std::string_view* line) {
  for (;;) {
    if (file_ == paths_.size()) return false;
    if (stripe_ * kStripeBytes >= file_size_) {
      if (++file_ == paths_.size()) return false;
      if (absl::Status status = OpenFile(); !status.ok()) return status;
      continue;
    }
    if (!in_stripe_) {
      absl::StatusOr<bool> begun = BeginStripe();
      if (!begun.ok()) return begun;
      if (!*begun) position_ = file_size_;
    }
    if (position_ >= std::min(file_size_, (stripe_ + 1) * kStripeBytes)) {
      stripe_ += worker_count_;
      // With one worker the stripes follow one another, and the buffer continues.
      in_stripe_ = worker_count_ == 1;
      continue;
    }
    size_t searched = 0;
    for (;;) {
      const char* start = buffer_.get() + begin_;
      const char* newline = begin_ + searched == end_
                                ? nullptr
                                : static_cast<const char*>(std::memchr(start + searched, '\n',
                                                                       end_ - begin_ - searched));
      const bool at_end = position_ + static_cast<int64_t>(end_ - begin_) >= file_size_;
      if (newline == nullptr && !at_end) {
        searched = end_ - begin_;
        if (absl::Status status = Fill(); !status.ok()) return status;
        continue;
      }
      size_t length = newline != nullptr ? static_cast<size_t>(newline - start) : end_ - begin_;
      const size_t consumed = length + (newline != nullptr ? 1 : 0);
      if (newline != nullptr && length > 0 && start[length - 1] == '\r') --length;
      *line = std::string_view(start, length);
      begin_ += consumed;
      position_ += static_cast<int64_t>(consumed);
      return true;
    }
  }
}

absl::StatusOr<SourceState> FileLines::Reader::Poll(SourceOutput<std::string>& out) {
  std::string_view line;
  while (out.WantsMore()) {
    absl::StatusOr<bool> found = Next(&line);
    if (!found.ok()) return found.status();
    if (!*found) return SourceState::Done();
    out.Emit(line);
  }
  return SourceState::More();
}

std::string FileLines::Reader::Snapshot() const {
  return absl::StrCat(file_, ":", stripe_, ":", position_);
}

}  // namespace headway
