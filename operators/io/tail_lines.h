#ifndef HEADWAY_OPERATORS_IO_TAIL_LINES_H_
#define HEADWAY_OPERATORS_IO_TAIL_LINES_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "engine/graph/scope.h"
#include "engine/step/source.h"

namespace headway {

struct TailLinesOptions {
  // The time between two looks at a file that had no more lines.
  absl::Duration poll_interval = absl::Milliseconds(100);
  // Of a file that a run reads no more when it resumes, and of one that was replaced since then:
  // kFail is an error, kForget reads the new file from its beginning.
  VanishedPartitions vanished = VanishedPartitions::kFail;
};

// The lines of text files that grow, such as logs, as Stream<std::string>, without their ends ("\n"
// or "\r\n"). The input begins with the lines that are there, and never ends: stop the run. Each
// file is read by one worker; the files are the partitions of source.h, named by their paths. A
// last line is emitted once it has an end, however many pieces it comes in. It has at most 1 GiB.
//
// Files are followed by their names. If a file is renamed and another one gets its name (rotation),
// the old one is read until it has had no more for a poll interval; then the new one is read from
// its beginning. The last line of the old one needs no end. As long as no file has the name, the
// old one is read, or waited for. Of a file that is rotated twice within a poll interval, the one
// in between is not read: rotate less often than that.
//
// A run that resumes continues in the middle of a file, with any number of workers. It knows the
// file by its last bytes that were read, up to 256, and by its inode if these were fewer. If the
// file was rotated meanwhile, the run fails, since the rest of the old file would be lost; see
// TailLinesOptions::vanished.
//
// Errors name the file. NotFound and others: it cannot be opened at the start, or read.
// InvalidArgument: it is no regular file, or has a longer line. DataLoss: it became shorter while
// it was read; rotate by renaming, not by truncation. FailedPrecondition: it is not the file that
// the last run read, or the last run read a file that is not listed any more.
class TailLines {
 public:
  using Record = std::string;

  explicit TailLines(std::string path, TailLinesOptions options = {})
      : paths_{std::move(path)}, options_(options) {}
  explicit TailLines(std::vector<std::string> paths, TailLinesOptions options = {})
      : paths_(std::move(paths)), options_(options) {}

  // Scope::Input calls it.
  Stream<std::string> AddTo(Scope<>& scope, std::string_view step_id) const;

 private:
  std::vector<std::string> paths_;
  TailLinesOptions options_;
};

}  // namespace headway

#endif  // HEADWAY_OPERATORS_IO_TAIL_LINES_H_
