#include "operators/io/matching_files.h"

#include <glob.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "absl/strings/str_cat.h"

namespace headway {
namespace {

// Of the call of glob on this thread that found a directory that it cannot read.
struct Unreadable {
  std::string path;
  int error = 0;
};
thread_local Unreadable unreadable;

int NoteError(const char* path, int error) {
  // A path whose directories do not exist, or are files, matches nothing.
  if (error == ENOENT || error == ENOTDIR) return 0;
  unreadable = {path, error};
  return 1;
}

}  // namespace

namespace internal {

absl::StatusOr<std::vector<std::string>> MatchingPaths(const std::string& pattern) {
  glob_t found = {};
  const std::unique_ptr<glob_t, decltype(&globfree)> release(&found, globfree);
  unreadable = {};
  const int result = glob(pattern.c_str(), GLOB_NOSORT, NoteError, &found);
  if (result == GLOB_ABORTED) {
    return absl::ErrnoToStatus(unreadable.error,
                               absl::StrCat("cannot read the directory '", unreadable.path, "'"));
  }
  if (result == GLOB_NOSPACE) {
    return absl::ResourceExhaustedError(
        absl::StrCat("out of memory for the files that match '", pattern, "'"));
  }
  return std::vector<std::string>(found.gl_pathv, found.gl_pathv + found.gl_pathc);
}

bool IsRegularFile(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

}  // namespace internal

absl::StatusOr<std::vector<std::string>> MatchingFiles(const std::string& pattern) {
  absl::StatusOr<std::vector<std::string>> paths = internal::MatchingPaths(pattern);
  if (!paths.ok()) return paths.status();
  std::erase_if(*paths, [](const std::string& path) { return !internal::IsRegularFile(path); });
  std::ranges::sort(*paths);  // by bytes: glob sorts by the locale
  return paths;
}

}  // namespace headway
