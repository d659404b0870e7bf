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
  // Of a log that a run reads no more when it resumes, and of one whose unread lines are in none of
  // its files: kFail is an error, kForget continues with the oldest file of which nothing was read.
  VanishedPartitions vanished = VanishedPartitions::kFail;
  // Whether a log that is read for the first time begins with its rotated files, the oldest first,
  // or with the file that has its name.
  bool reads_rotated = true;
  // The time between two looks for new files that match a pattern. InfiniteDuration: the logs are
  // those at the start.
  absl::Duration watch_interval = absl::InfiniteDuration();
};

// The lines of text files that grow, such as logs, as Stream<std::string>, without their ends ("\n"
// or "\r\n"). The input begins with the lines that are there, and never ends: stop the run. A last
// line is emitted once it has an end, however many pieces it comes in. It has at most 1 GiB.
//
// A path may be a pattern, as MatchingFiles describes it: "/logs/*/app.log" for the logs of many
// servers. Each log is read by one worker; the logs are the partitions of source.h, named by their
// paths. All processes must see the same files.
//
// Logs are followed by their names, over their rotation:
//
//    renamed                  the file is read until it has had no more for a poll interval, then
//                             the next one from its beginning
//    copied and truncated     the rest is read from the copy, then the file from its beginning
//    compressed (gzip, zstd)  the rest is read from the compressed file
//    rotated several times    the files in between are read too, the oldest first
//
// Each line is read once, as long as its file is there under a name of a rotated file: that of the
// log with a number, which is greater for older files, or with a date: "log.1", "log.2.gz",
// "log-20260131", "log.2026-01-31.zst". Such a file belongs to its log, which a pattern finds by it
// too. Numbers elsewhere ("log1", "app.1.log") make no rotated file.
//
// The last line of a rotated file needs no end. Lines that are written between the copy of a file
// and its truncation are lost to every reader, so prefer renaming. As long as no file has the name
// of the log, its newest rotated file is read, or a file is waited for.
//
// A run that resumes continues in the middle of a file, with any number of workers. It knows the
// file again by its inode and the time of its creation, its first 256 bytes, and the last 256 bytes
// that were read, so also a copy or a compressed file. Of a file that was empty it knows the time:
// rotated files that were modified later are read. If no file has the bytes, the run fails, since
// lines would be lost; see TailLinesOptions::vanished. In a compressed file the rest costs
// decompressing all before it.
//
// The cost: a log at its end is looked at once in a poll interval, with 4 system calls. When it was
// rotated, its rotated files are listed, and the first bytes of each are read.
//
// Errors name the file. NotFound and others: it cannot be opened at the start, or read, or no file
// matches and nothing is watched. InvalidArgument: it is no regular file, has a longer line, or is
// compressed in another way (xz, bzip2) and has lines that were not read. DataLoss: it became
// shorter or was overwritten, and no copy has the rest; or a compressed file is damaged.
// FailedPrecondition: the file that the last run read is gone, or its log is not listed.
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
