#include "operators/io/file_lines.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/runtime/status_macros.h"
#include "engine/step/source.h"
#include "operators/io/file_share.h"
#include "operators/io/line_reader.h"

namespace headway {
namespace {

using internal::FileShare;
using internal::FileStripe;
using internal::kStripeBytes;
using internal::kUnknownFileSize;
using internal::LinePosition;
using internal::LineReader;

// Between two looks at a pipe that was empty.
constexpr absl::Duration kPipePoll = absl::Milliseconds(2);

int64_t SizeOf(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return kUnknownFileSize;  // the readers report it
  return S_ISREG(info.st_mode) && info.st_size > 0 ? info.st_size : kUnknownFileSize;
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

// The files of a source, with names under which their positions are stored.
class NamedFiles {
 public:
  explicit NamedFiles(std::vector<std::string> paths) : paths_(std::move(paths)) {
    for (size_t file = 0; file < paths_.size(); ++file) {
      std::string name = paths_[file];
      while (!by_name_.emplace(name, file).second) name += " (again)";
      names_.push_back(std::move(name));
    }
  }

  size_t count() const { return paths_.size(); }
  const std::string& path(size_t file) const { return paths_[file]; }

  // A stripe is known by its file and its number in it.
  std::string NameOf(const FileStripe& stripe) const {
    return absl::StrCat(names_[stripe.file], ":", stripe.begin / kStripeBytes);
  }
  // The file and the first byte of a stripe; nullopt if it is of no file.
  std::optional<FileStripe> Find(const std::string& name) const {
    const size_t colon = name.rfind(':');
    int64_t number = 0;
    if (colon == std::string::npos || !absl::SimpleAtoi(name.substr(colon + 1), &number)) {
      return std::nullopt;
    }
    const auto found = by_name_.find(name.substr(0, colon));
    if (found == by_name_.end()) return std::nullopt;
    return FileStripe{.file = found->second, .begin = number * kStripeBytes};
  }

 private:
  std::vector<std::string> paths_;
  std::vector<std::string> names_;
  std::unordered_map<std::string, size_t> by_name_;
};

// The source of FileLines: its partitions are the stripes. A file may grow, and each worker would
// see another size. So the sizes are those that worker 0 sees when the source is opened.
class StripeSource {
 public:
  using Record = std::string;

  StripeSource(std::vector<std::string> paths, FileLinesOptions options)
      : files_(std::move(paths)), options_(options) {}

  // The next stripe most often continues in the buffer of the one before, so one reader is open.
  int max_open_partitions() const { return 1; }
  VanishedPartitions vanished_partitions() const { return options_.vanished; }

  class Reader {
   public:
    // `skipped_at` is the position of a stripe that has no more lines; empty: it has.
    Reader(std::shared_ptr<LineReader> lines, std::string skipped_at)
        : lines_(std::move(lines)), skipped_at_(std::move(skipped_at)) {}

    absl::StatusOr<SourceState> Poll(SourceOutput<std::string>& out) {
      if (!skipped_at_.empty()) return SourceState::Done();
      std::string_view line;
      while (out.WantsMore()) {
        absl::StatusOr<LineReader::Found> found = lines_->Next(&line);
        if (!found.ok()) return found.status();
        switch (*found) {
          case LineReader::Found::kLine:
            out.Emit(line);
            break;
          case LineReader::Found::kEnd:
            return SourceState::Done();
          case LineReader::Found::kNothingYet:
            return SourceState::Idle(kPipePoll);
        }
      }
      return SourceState::More();
    }
    std::string Snapshot() const {
      if (!skipped_at_.empty()) return skipped_at_;
      return lines_->HasPositions() ? FormatPosition(lines_->position()) : std::string();
    }

   private:
    std::shared_ptr<LineReader> lines_;
    std::string skipped_at_;
  };

  // The sizes of the files.
  absl::StatusOr<std::vector<std::string>> Partitions(const SourceContext&) {
    HEADWAY_RETURN_IF_ERROR(CheckFiles());
    std::vector<std::string> sizes;
    for (size_t file = 0; file < files_.count(); ++file) {
      sizes_.push_back(SizeOf(files_.path(file)));
      sizes.push_back(absl::StrCat(sizes_.back()));
    }
    return sizes;
  }

  // REQUIRES: Partitions was called.
  absl::StatusOr<std::vector<std::string>> Vanished(
      const std::unordered_map<std::string, std::string>& positions) const {
    std::vector<std::string> vanished;
    for (const auto& [name, position] : positions) {
      const std::optional<FileStripe> stripe = files_.Find(name);
      if (stripe.has_value()) {
        HEADWAY_RETURN_IF_ERROR(CheckNotShorter(*stripe, position));
      } else {
        vanished.push_back(name);
      }
    }
    return vanished;
  }

  absl::StatusOr<std::vector<std::string>> Divide(const SourceContext& context,
                                                  const std::vector<std::string>& sizes) {
    if (context.worker_index != 0) HEADWAY_RETURN_IF_ERROR(CheckFiles());
    sizes_.clear();
    for (const std::string& size : sizes) {
      sizes_.push_back(kUnknownFileSize);
      if (!absl::SimpleAtoi(size, &sizes_.back())) {
        return absl::InternalError(absl::StrCat("the size '", size, "' of a file is not a number"));
      }
    }
    FileShare share(sizes_, context.worker_index, context.worker_count);
    std::vector<std::string> names;
    while (const std::optional<FileStripe> stripe = share.Next()) {
      names.push_back(files_.NameOf(*stripe));
    }
    return names;
  }

  absl::StatusOr<Reader> OpenPartition(const SourceContext&, const std::string& name,
                                       std::optional<std::string> position) {
    FileStripe stripe = *files_.Find(name);
    const int64_t size = sizes_[stripe.file];
    stripe.end = size == kUnknownFileSize ? size : std::min(size, stripe.begin + kStripeBytes);
    LinePosition from;
    const bool continues = position.has_value() && !position->empty();
    if (continues && !ParsePosition(*position, from)) {
      return absl::DataLossError(absl::StrCat("the stored position '", *position,
                                              "' in partition '", name, "' is not one of a file"));
    }
    // Most stripes of a file were read to their ends.
    if (continues && from.open_bytes == 0 && from.next >= stripe.end && size != kUnknownFileSize) {
      return Reader(nullptr, *std::move(position));
    }
    HEADWAY_RETURN_IF_ERROR(OpenFile(stripe.file));
    HEADWAY_RETURN_IF_ERROR(continues ? lines_->ContinueStripe(stripe, size, from)
                                      : lines_->BeginStripe(stripe, size));
    return Reader(lines_, "");
  }

 private:
  // Checks that this worker can read the regular files, so that a missing one is an error even if
  // it has nothing to read in it. A pipe has one reader. The first file stays open.
  absl::Status CheckFiles() {
    for (size_t file = files_.count(); file-- > 0;) {
      struct stat info;
      if (stat(files_.path(file).c_str(), &info) == 0 && !S_ISREG(info.st_mode) &&
          !S_ISDIR(info.st_mode)) {
        continue;
      }
      HEADWAY_RETURN_IF_ERROR(OpenFile(file));
    }
    return absl::OkStatus();
  }

  absl::Status CheckNotShorter(const FileStripe& stripe, const std::string& position) const {
    LinePosition at;
    if (position.empty() || !ParsePosition(position, at)) return absl::OkStatus();
    const int64_t size = std::max<int64_t>(sizes_[stripe.file], 0);
    const int64_t read = std::max(at.next + at.open_bytes, stripe.begin);
    if (read <= size && (stripe.begin < size || stripe.begin == 0)) return absl::OkStatus();
    return absl::DataLossError(absl::StrFormat(
        "'%s' has %d bytes, but the last run had read %d; put the file back that it read, and only "
        "add to it",
        files_.path(stripe.file), size, read));
  }

  absl::Status OpenFile(size_t file) {
    if (open_file_ == file) return absl::OkStatus();
    open_file_ = file;
    return lines_->Open(files_.path(file));
  }

  NamedFiles files_;
  FileLinesOptions options_;
  std::vector<int64_t> sizes_;
  std::optional<size_t> open_file_;
  std::shared_ptr<LineReader> lines_ = std::make_shared<LineReader>();
};

}  // namespace

Stream<std::string> FileLines::AddTo(Scope<>& scope, std::string_view step_id) const {
  return scope.Input(step_id, StripeSource(paths_, options_));
}

}  // namespace headway
