#include "operators/io/directory_lines.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <optional>
#include <unordered_set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "operators/io/file_stripes.h"
#include "operators/io/line_buffer.h"
#include "operators/io/line_reader.h"
#include "operators/io/matching_files.h"
#include "operators/io/stripe_lines.h"

namespace headway {
namespace {

using internal::LineReader;
using internal::StripeReader;

// The directory's own characters are no pattern.
std::string Escaped(const std::string& directory) {
  std::string escaped;
  for (const char c : directory) {
    if (c == '*' || c == '?' || c == '[' || c == '\\') escaped.push_back('\\');
    escaped.push_back(c);
  }
  return escaped;
}

class DirectorySource {
 public:
  using Record = std::string;

  DirectorySource(std::string directory, DirectoryLinesOptions options)
      : directory_(std::move(directory)), options_(std::move(options)) {}

  int max_open_partitions() const { return 1; }
  VanishedPartitions vanished_partitions() const { return options_.vanished; }
  absl::Duration list_interval() const { return options_.watch_interval; }

  using Reader = internal::StripeLines;

  absl::StatusOr<std::vector<std::string>> Partitions(const SourceContext&) {
    struct stat info;
    if (stat(directory_.c_str(), &info) != 0) {
      return absl::ErrnoToStatus(errno,
                                 absl::StrCat("cannot read the directory '", directory_, "'"));
    }
    if (!S_ISDIR(info.st_mode)) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", directory_, "' is no directory; use FileLines for a file"));
    }
    absl::StatusOr<std::vector<std::string>> files =
        internal::MatchingPaths(absl::StrCat(Escaped(directory_), "/", options_.pattern));
    if (!files.ok()) return files.status();
    // A file is examined once: that is the greater part of the cost of a look at the directory.
    std::erase_if(*files, [this](const std::string& path) {
      return known_.contains(path) || !internal::IsRegularFile(path);
    });
    std::ranges::sort(*files);
    const bool watches = options_.watch_interval != absl::InfiniteDuration();
    if (files->empty() && !watches) {
      return absl::NotFoundError(absl::StrCat(
          "the directory '", directory_, "' has no file that matches '", options_.pattern,
          "'; correct the pattern, or set DirectoryLinesOptions::watch_interval to wait for "
          "files"));
    }
    if (watches) known_.insert(files->begin(), files->end());
    for (std::string& file : *files) file.erase(0, directory_.size() + 1);
    return files;
  }

  absl::StatusOr<Reader> OpenPartition(const SourceContext&, const std::string& name,
                                       std::optional<std::string> position) {
    absl::StatusOr<StripeReader> file =
        internal::OpenWholeFile(absl::StrCat(directory_, "/", name), lines_, std::move(position));
    if (!file.ok()) return file.status();
    return Reader(*std::move(file));
  }

 private:
  std::string directory_;
  DirectoryLinesOptions options_;
  std::unordered_set<std::string> known_;  // paths that were listed, if it watches
  std::shared_ptr<LineReader> lines_ = std::make_shared<LineReader>(internal::kMaxLineBytes);
};

}  // namespace

Stream<std::string> DirectoryLines::AddTo(Scope<>& scope, std::string_view step_id) const {
  return scope.Input(step_id, DirectorySource(directory_, options_));
}

}  // namespace headway
