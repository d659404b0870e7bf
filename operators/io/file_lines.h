#ifndef HEADWAY_OPERATORS_IO_FILE_LINES_H_
#define HEADWAY_OPERATORS_IO_FILE_LINES_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/graph/scope.h"
#include "engine/step/source.h"

namespace headway {

struct FileLinesOptions {
  // Of a file that a run reads no more when it resumes.
  VanishedPartitions vanished = VanishedPartitions::kFail;
};

// The lines of text files, as Stream<std::string>, without their ends ("\n" or "\r\n"). Bytes are
// not interpreted (any encoding). A line has at most 1 GiB, and the last one needs no end.
//
// The workers share the files by bytes: a large file in stripes of 1 MiB, a small one as a whole. A
// line belongs to the stripe in which it begins, so one worker reads it. Worker 0 looks at the
// sizes of all files when the dataflow is built, and tells the other workers. A file that grows
// after that is read up to its size then. The files must be the same for all processes.
//
// A run that resumes reads the lines that the last one did not, with any number of workers, also if
// the last one had read all of them and the files have grown. A last line without an end that was
// read, and has grown since, is read again as a whole. Stripes are the partitions of source.h;
// their names begin with the path.
//
// A file whose size is unknown is read to its end by one worker: a pipe, a device, a file of /proc.
// While a pipe is empty its reader is idle. Such a file has no position.
//
// Files of gzip and zstd are known by their first bytes, and are decompressed in pieces, each by
// one worker. A run that resumes decompresses such a file from its beginning and drops the lines
// that were read.
//
// Errors name the file. NotFound, PermissionDenied and others: it cannot be opened or read.
// InvalidArgument: it is a directory, is compressed in another way (bzip2, xz, lz4, zip, or a pipe
// of gzip or zstd), or has a longer line. DataLoss: it became shorter while it was read, or since
// the last run; compressed bytes are malformed or truncated.
// FailedPrecondition: the last run read a file that is not listed any more.
class FileLines {
 public:
  using Record = std::string;

  explicit FileLines(std::string path, FileLinesOptions options = {})
      : paths_{std::move(path)}, options_(options) {}
  explicit FileLines(std::vector<std::string> paths, FileLinesOptions options = {})
      : paths_(std::move(paths)), options_(options) {}

  // Scope::Input calls it.
  Stream<std::string> AddTo(Scope<>& scope, std::string_view step_id) const;

 private:
  std::vector<std::string> paths_;
  FileLinesOptions options_;
};

}  // namespace headway

#endif  // HEADWAY_OPERATORS_IO_FILE_LINES_H_
