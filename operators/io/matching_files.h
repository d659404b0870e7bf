#ifndef HEADWAY_OPERATORS_IO_MATCHING_FILES_H_
#define HEADWAY_OPERATORS_IO_MATCHING_FILES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace headway {

// The paths of the regular files that match a pattern of the shell, sorted: "logs/2026-*.txt",
// "data/*/part-[0-9]*". '*' and '?' match no '/', and no '.' at the beginning of a name. Links are
// followed. For sources that take a list of files:
//
//   absl::StatusOr<std::vector<std::string>> files = MatchingFiles("logs/*.txt");
//   ... scope.Input("lines", FileLines(*files)) ...
//
// No match is an empty list. Errors name the directory: it cannot be read.
absl::StatusOr<std::vector<std::string>> MatchingFiles(const std::string& pattern);

namespace internal {

// The same with directories, pipes and others, unsorted.
absl::StatusOr<std::vector<std::string>> MatchingPaths(const std::string& pattern);
// Links are followed. False too if there is nothing at the path.
bool IsRegularFile(const std::string& path);

}  // namespace internal

}  // namespace headway

#endif  // HEADWAY_OPERATORS_IO_MATCHING_FILES_H_
