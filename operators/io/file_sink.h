#ifndef HEADWAY_OPERATORS_IO_FILE_SINK_H_
#define HEADWAY_OPERATORS_IO_FILE_SINK_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "engine/step/sink.h"
#include "operators/io/file_syncer.h"
#include "operators/io/line_writer.h"

namespace headway {

// Writes each record on a line of its own to a file, as text (record_text.h). Worker 0 writes the
// file, so it is on the disk of its process.
//
// If the run has a recovery store, the end of an epoch is durable (fdatasync) before it is
// committed, and a run that resumes cuts the file back to its length at the last commit. The file
// is created at the start, also if no record comes.
//
// A non-empty file that the first run finds is refused, replaced, or continued:
// FileSinkOptions::existing. A file that a run with the same recovery store began, and never
// committed, is begun again from the length that it had. An extended attribute of the file has the
// id of the store, that length and the last generation. On a file system without extended
// attributes such a file is refused, and with kAppend its lines may be there twice.
//
// The file is locked while the run writes it. A process of an earlier generation of the run, which
// was given up and is stopped, may still hold the lock. The run continues in a copy then, which
// takes the place of the file: that process writes to a file without a name when it wakes up. The
// sink knows it by the extended attribute; on a file system without them, end the process first.
//
// Errors name the file. FailedPrecondition: it is not empty, or another writer has locked it.
// Aborted: a later generation of the run has taken it over. InvalidArgument: it is a directory or
// no regular file. DataLoss: it is shorter than at the commit from which the run resumes. NotFound,
// PermissionDenied, ResourceExhausted (a full disk) and others: it cannot be opened or written.
class FileSink {
 public:
  using Writer = internal::LineWriter;

  explicit FileSink(std::string path, FileSinkOptions options = {})
      : path_(std::move(path)), options_(options) {}

  absl::StatusOr<Writer> OpenPartition(const SinkContext& context, const std::string&,
                                       std::optional<std::string> position) {
    if (syncer_ == nullptr) syncer_ = std::make_shared<internal::FileSyncer>();
    return Writer::Open(path_, context, options_, position, syncer_);
  }

 private:
  std::string path_;
  FileSinkOptions options_;
  std::shared_ptr<internal::FileSyncer> syncer_;  // of an open sink
};

}  // namespace headway

#endif  // HEADWAY_OPERATORS_IO_FILE_SINK_H_
