#include "operators/io/tail_lines.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <unordered_set>

#include "absl/strings/str_cat.h"
#include "engine/runtime/status_macros.h"
#include "operators/io/log_file.h"
#include "operators/io/matching_files.h"
#include "operators/io/rotated_files.h"
#include "operators/io/tail_reader.h"

namespace headway {
namespace {

using internal::LogPlace;

bool IsPattern(const std::string& path) { return path.find_first_of("*?[") != std::string::npos; }

class TailSource {
 public:
  using Record = std::string;
  using Reader = internal::TailReader;

  TailSource(std::vector<std::string> paths, TailLinesOptions options)
      : paths_(std::move(paths)), options_(options) {}

  VanishedPartitions vanished_partitions() const { return options_.vanished; }
  absl::Duration list_interval() const {
    return std::ranges::any_of(paths_, IsPattern) ? options_.watch_interval
                                                  : absl::InfiniteDuration();
  }
  absl::StatusOr<std::vector<std::string>> Partitions(const SourceContext&) {
    if (options_.poll_interval <= absl::ZeroDuration()) {
      return absl::InvalidArgumentError("TailLinesOptions::poll_interval must be positive");
    }
    std::vector<std::string> logs;
    for (const std::string& path : paths_) {
      if (!IsPattern(path)) logs.push_back(path);
    }
    const size_t named = logs.size();
    std::unordered_set<std::string> listed(logs.begin(), logs.end());
    for (const std::string& path : paths_) {
      if (IsPattern(path)) HEADWAY_RETURN_IF_ERROR(AddMatching(path, listed, logs));
    }
    for (size_t i = 0; i < named; ++i) {
      const std::string log = logs[i].substr(0, internal::LogNameLength(logs[i]));
      if (!listed.contains(log)) continue;
      return absl::InvalidArgumentError(absl::StrCat("'", logs[i], "' is a rotated file of '", log,
                                                     "', which is read too; name one of them"));
    }
    return logs;
  }
  // An empty position is of a log that had no file yet.
  absl::StatusOr<Reader> OpenPartition(const SourceContext&, const std::string& path,
                                       const std::optional<std::string>& position) {
    std::optional<LogPlace> place;
    if (position.has_value() && !position->empty() &&
        !LogPlace::Parse(*position, place.emplace())) {
      return absl::DataLossError(absl::StrCat("the stored position '", *position, "' in '", path,
                                              "' is not one of a file"));
    }
    const bool is_named = std::ranges::count(paths_, path) > 0;
    return Reader(path, options_, is_named, place);
  }

 private:
  // Adds the logs of the files that match, and those whose rotated files would match without their
  // endings: for a moment of its rotation, no file has the name of a log.
  absl::Status AddMatching(const std::string& pattern, std::unordered_set<std::string>& listed,
                           std::vector<std::string>& logs) const {
    absl::StatusOr<std::vector<std::string>> files = MatchingFiles(pattern);
    if (!files.ok()) return files.status();
    const absl::StatusOr<std::vector<std::string>> rotated =
        MatchingFiles(pattern + internal::kRotatedPattern);
    if (!rotated.ok()) return rotated.status();
    std::ranges::copy_if(*rotated, std::back_inserter(*files),
                         [](const std::string& file) { return internal::LogNameLength(file) > 0; });
    if (files->empty() && options_.watch_interval == absl::InfiniteDuration()) {
      return absl::NotFoundError(absl::StrCat(
          "no file matches '", pattern,
          "'; correct the pattern, or set TailLinesOptions::watch_interval to wait for files"));
    }
    for (const std::string& file : *files) {
      const size_t length = internal::LogNameLength(file);
      const std::string log = length > 0 ? file.substr(0, length) : file;
      if (listed.insert(log).second) logs.push_back(log);
    }
    return absl::OkStatus();
  }

  std::vector<std::string> paths_;
  TailLinesOptions options_;
};

}  // namespace

Stream<std::string> TailLines::AddTo(Scope<>& scope, std::string_view step_id) const {
  return scope.Input(step_id, TailSource(paths_, options_));
}

}  // namespace headway
