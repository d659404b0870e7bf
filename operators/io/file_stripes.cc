#include "operators/io/file_stripes.h"

#include <sys/stat.h>

#include <algorithm>
#include <limits>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/runtime/status_macros.h"

namespace headway::internal {
namespace {

// Between two looks at a pipe that was empty.
constexpr absl::Duration kPipePoll = absl::Milliseconds(2);

int64_t SizeOf(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return kUnknownFileSize;  // the readers report it
  if (!S_ISREG(info.st_mode) || info.st_size <= 0) return kUnknownFileSize;
  return IsCompressedFile(path) ? kUnknownFileSize : info.st_size;
}

// Stored in snapshots: the byte at which the next line begins, and "+" the bytes of it that were
// read, if it had no end. Empty: the file has no positions.
std::string FormatPosition(LinePosition at) {
  return at.open_bytes == 0 ? absl::StrCat(at.next) : absl::StrCat(at.next, "+", at.open_bytes);
}

bool ParsePosition(const std::string& text, LinePosition& at) {
  const size_t plus = text.find('+');
  at = {};
  if (plus != std::string::npos && !absl::SimpleAtoi(text.substr(plus + 1), &at.open_bytes)) {
    return false;
  }
  return absl::SimpleAtoi(text.substr(0, plus), &at.next) && at.next >= 0 && at.open_bytes >= 0;
}

int64_t StripeBytesOf(FileDivision division) {
  return division == FileDivision::kStripes ? kStripeBytes : std::numeric_limits<int64_t>::max();
}

absl::Status NotAPosition(const std::string& position, const std::string& name) {
  return absl::DataLossError(absl::StrCat("the stored position '", position, "' in partition '",
                                          name, "' is not one of a file"));
}

absl::Status ShorterThanRead(const std::string& path, int64_t size, int64_t read) {
  return absl::DataLossError(absl::StrFormat(
      "'%s' has %d bytes, but the last run had read %d; put the file back that it read, and only "
      "add to it",
      path, size, read));
}

}  // namespace

SourceState StateOf(LineReader::Found found) {
  switch (found) {
    case LineReader::Found::kEnd:
      return SourceState::Done();
    case LineReader::Found::kNothingYet:
      return SourceState::Idle(kPipePoll);
    case LineReader::Found::kLine:
    case LineReader::Found::kBusy:
      break;
  }
  return SourceState::More();
}

std::string StripeReader::Snapshot() const {
  if (is_skipped()) return skipped_at_;
  return lines_->HasPositions() ? FormatPosition(lines_->position()) : std::string();
}

absl::StatusOr<StripeReader> OpenWholeFile(const std::string& path,
                                           std::shared_ptr<LineReader> lines,
                                           std::optional<std::string> position) {
  HEADWAY_RETURN_IF_ERROR(lines->Open(path));
  const int64_t size = SizeOf(path);
  const FileStripe whole{.file = 0, .begin = 0, .end = size};
  if (!position.has_value() || position->empty()) {
    HEADWAY_RETURN_IF_ERROR(lines->BeginStripe(whole, size));
    return StripeReader(std::move(lines));
  }
  LinePosition from;
  if (!ParsePosition(*position, from)) return NotAPosition(*position, path);
  // Only its end tells how many bytes a compressed file has.
  if (size != kUnknownFileSize || !IsCompressedFile(path)) {
    const int64_t read = from.next + from.open_bytes;
    if (read > std::max<int64_t>(size, 0)) {
      return ShorterThanRead(path, std::max<int64_t>(size, 0), read);
    }
    if (from.open_bytes == 0 && read == size) return StripeReader(*std::move(position));
  }
  HEADWAY_RETURN_IF_ERROR(lines->ContinueStripe(whole, size, from));
  return StripeReader(std::move(lines));
}

FileStripes::FileStripes(std::vector<std::string> paths, FileDivision division,
                         size_t max_line_bytes)
    : paths_(std::move(paths)),
      division_(division),
      lines_(std::make_shared<LineReader>(max_line_bytes)) {
  for (size_t file = 0; file < paths_.size(); ++file) {
    std::string name = paths_[file];
    while (!by_name_.emplace(name, file).second) name += " (again)";
    names_.push_back(std::move(name));
  }
}

// A stripe is known by its file and its number in it. A whole file has no number, so that a run
// with the other division sees that the partition is gone.
std::string FileStripes::NameOf(const FileStripe& stripe) const {
  if (division_ == FileDivision::kWhole) return names_[stripe.file];
  return absl::StrCat(names_[stripe.file], ":", stripe.begin / kStripeBytes);
}

std::optional<FileStripe> FileStripes::Find(const std::string& name) const {
  std::string file = name;
  int64_t number = 0;
  if (division_ == FileDivision::kStripes) {
    const size_t colon = name.rfind(':');
    if (colon == std::string::npos || !absl::SimpleAtoi(name.substr(colon + 1), &number)) {
      return std::nullopt;
    }
    file.resize(colon);
  }
  const auto found = by_name_.find(file);
  if (found == by_name_.end()) return std::nullopt;
  return FileStripe{.file = found->second, .begin = number * kStripeBytes};
}

absl::StatusOr<std::vector<std::string>> FileStripes::Partitions() {
  HEADWAY_RETURN_IF_ERROR(CheckFiles());
  std::vector<std::string> sizes;
  for (const std::string& path : paths_) {
    sizes_.push_back(SizeOf(path));
    sizes.push_back(absl::StrCat(sizes_.back()));
  }
  return sizes;
}

absl::StatusOr<std::vector<std::string>> FileStripes::Vanished(
    const std::unordered_map<std::string, std::string>& positions) const {
  std::vector<std::string> vanished;
  for (const auto& [name, position] : positions) {
    const std::optional<FileStripe> stripe = Find(name);
    if (stripe.has_value()) {
      HEADWAY_RETURN_IF_ERROR(CheckNotShorter(*stripe, position));
    } else {
      vanished.push_back(name);
    }
  }
  return vanished;
}

absl::StatusOr<std::vector<std::string>> FileStripes::Divide(
    const SourceContext& context, const std::vector<std::string>& sizes) {
  if (context.worker_index != 0) HEADWAY_RETURN_IF_ERROR(CheckFiles());
  sizes_.clear();
  for (const std::string& size : sizes) {
    sizes_.push_back(kUnknownFileSize);
    if (!absl::SimpleAtoi(size, &sizes_.back())) {
      return absl::InternalError(absl::StrCat("the size '", size, "' of a file is not a number"));
    }
  }
  FileShare share(sizes_, StripeBytesOf(division_), context.worker_index, context.worker_count);
  std::vector<std::string> names;
  while (const std::optional<FileStripe> stripe = share.Next()) names.push_back(NameOf(*stripe));
  return names;
}

absl::StatusOr<StripeReader> FileStripes::Open(const std::string& name,
                                               std::optional<std::string> position) {
  FileStripe stripe = *Find(name);
  const int64_t size = sizes_[stripe.file];
  stripe.end = size == kUnknownFileSize
                   ? size
                   : stripe.begin + std::min(size - stripe.begin, StripeBytesOf(division_));
  LinePosition from;
  const bool continues = position.has_value() && !position->empty();
  if (continues && !ParsePosition(*position, from)) return NotAPosition(*position, name);
  // Most stripes of a file were read to their ends.
  if (continues && from.open_bytes == 0 && from.next >= stripe.end && size != kUnknownFileSize) {
    return StripeReader(*std::move(position));
  }
  HEADWAY_RETURN_IF_ERROR(OpenFile(stripe.file));
  HEADWAY_RETURN_IF_ERROR(continues ? lines_->ContinueStripe(stripe, size, from)
                                    : lines_->BeginStripe(stripe, size));
  if (size == kUnknownFileSize && from.next == 0) {
    // The next run divides the file into stripes. Now it would be one, with the name of the first.
    const absl::StatusOr<bool> has_grown = lines_->HasGrown();
    if (!has_grown.ok()) return has_grown.status();
    if (*has_grown) return StripeReader("0");
  }
  return StripeReader(lines_);
}

// Checks that this worker can read the regular files, so that a missing one is an error even if it
// has nothing to read in it. A pipe has one reader. The first file stays open.
absl::Status FileStripes::CheckFiles() {
  for (size_t file = paths_.size(); file-- > 0;) {
    struct stat info;
    if (stat(paths_[file].c_str(), &info) == 0 && !S_ISREG(info.st_mode) &&
        !S_ISDIR(info.st_mode)) {
      continue;
    }
    HEADWAY_RETURN_IF_ERROR(OpenFile(file));
  }
  return absl::OkStatus();
}

absl::Status FileStripes::CheckNotShorter(const FileStripe& stripe,
                                          const std::string& position) const {
  LinePosition at;
  if (position.empty() || !ParsePosition(position, at)) return absl::OkStatus();
  // Only its end tells how many bytes a compressed file has.
  if (sizes_[stripe.file] == kUnknownFileSize && IsCompressedFile(paths_[stripe.file])) {
    return absl::OkStatus();
  }
  const int64_t size = std::max<int64_t>(sizes_[stripe.file], 0);
  const int64_t read = std::max(at.next + at.open_bytes, stripe.begin);
  if (read <= size && (stripe.begin < size || stripe.begin == 0)) return absl::OkStatus();
  return ShorterThanRead(paths_[stripe.file], size, read);
}

absl::Status FileStripes::OpenFile(size_t file) {
  if (open_file_ == file) return absl::OkStatus();
  open_file_ = file;
  return lines_->Open(paths_[file]);
}

}  // namespace headway::internal
