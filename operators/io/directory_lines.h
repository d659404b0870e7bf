#ifndef HEADWAY_OPERATORS_IO_DIRECTORY_LINES_H_
#define HEADWAY_OPERATORS_IO_DIRECTORY_LINES_H_

#include <string>
#include <string_view>
#include <utility>

#include "absl/time/time.h"
#include "engine/graph/scope.h"
#include "engine/step/source.h"

namespace headway {

struct DirectoryLinesOptions {
  // The files that are read, as MatchingFiles describes patterns, from the directory on: "*.txt",
  // or "*/*.txt" for those of its subdirectories. Names that begin with a dot match only a pattern
  // that says so.
  std::string pattern = "*";
  // The time between two looks for new files. InfiniteDuration: the files are those at the start.
  absl::Duration watch_interval = absl::InfiniteDuration();
  // Of a file that the last run read, and that is gone when a run resumes.
  VanishedPartitions vanished = VanishedPartitions::kFail;
};

// The lines of the files in a directory, as Stream<std::string>, without their ends. Lines and
// compressed files are as FileLines has them; here a file is read by one worker. The files are the
// partitions of source.h, named by their paths within the directory, and the workers get them in
// turn. Each worker reads one file after the other, those of the start in the order of their names.
//
// With a watch interval, files that appear during the run are read too, and the input never ends:
// stop the run. A file is read up to its size at the time when it is opened, so it must be whole
// when it gets its name: write it under a name with a leading dot, then rename it. A later run
// reads the lines that were added. A look for new files costs worker 0 about 2 microseconds for
// each file of the directory. All processes must see the same directory.
//
// A run that resumes continues in the middle of files, with any number of workers.
//
// A directory without a matching file is an error (NotFound), unless it is watched. Other errors
// name the file: it is gone when its turn comes, cannot be read, has a line of more than 1 GiB, or
// became shorter while it was read (with the byte) or since the last run. An open file that is
// deleted is read to its end. FailedPrecondition: a file of the last run is gone.
class DirectoryLines {
 public:
  using Record = std::string;

  explicit DirectoryLines(std::string directory, DirectoryLinesOptions options = {})
      : directory_(std::move(directory)), options_(std::move(options)) {}

  // Scope::Input calls it.
  Stream<std::string> AddTo(Scope<>& scope, std::string_view step_id) const;

 private:
  std::string directory_;
  DirectoryLinesOptions options_;
};

}  // namespace headway

#endif  // HEADWAY_OPERATORS_IO_DIRECTORY_LINES_H_
