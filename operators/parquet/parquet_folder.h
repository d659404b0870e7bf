#ifndef HEADWAY_OPERATORS_PARQUET_PARQUET_FOLDER_H_
#define HEADWAY_OPERATORS_PARQUET_PARQUET_FOLDER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/step/step_context.h"

namespace headway::internal {

// The files that a lane of a sink has published in a folder, each of which is there as a whole or
// not at all. In a run with recovery a file is published together with a mark. The hidden folder
// `.part-<step>-<store>` in it is the memory of the sink. A writer is `<generation>-<random name>`.
//
//   mark                           the last mark, and the writer that committed it
//   <writer>.writer                a writer that has opened the folder
//   <mark>.<writer>.unfinished     a file that has no other name yet
//   <writer>.commit                the mark that the writer commits next
//
// A file is published in three steps:
//
//   1. The file is written under its hidden name, and the mark to `<writer>.commit`. Both are made
//      durable.
//   2. `<writer>.commit` is renamed to `mark`, unless a writer of a later generation is there.
//   3. The file gets its name, `part-<step>-<store>-<mark>.parquet`.
//
// The second is the commit: a run that resumes and finds the file of the last mark under its hidden
// name does the third. Hidden files of other marks were not committed, and are removed. The mark
// remains when readers move the files away.
//
// A process of an earlier generation may still be there, and may have been stopped anywhere. It
// holds nobody up, since there is no lock, and it cannot commit: the process that takes over first
// makes its file `.writer`, then removes each file `.commit` of earlier generations, and then reads
// the mark. An earlier process has made its file `.commit` before that, and cannot rename it any
// more, or makes it later, and finds the file `.writer`.
class ParquetFolder {
 public:
  // Creates the folder `lane` in the directory, and completes the last commit. Aborted: a later
  // generation has opened it.
  static absl::StatusOr<ParquetFolder> Open(const std::string& directory, const std::string& lane,
                                            const StepContext& context);

  std::optional<uint64_t> last_mark() const { return state_.mark; }

  // Publishes the file that write(path) makes. The mark has a value in a run with recovery.
  absl::Status Publish(std::optional<uint64_t> mark,
                       absl::FunctionRef<absl::Status(const std::string& path)> write);

 private:
  // The content of the file of the mark.
  struct State {
    std::optional<uint64_t> mark = {};
    std::string writer = {};  // that committed the mark
  };

  absl::Status TakeOver();
  absl::Status Commit(uint64_t mark);
  // Gives the file of the mark its name.
  absl::Status NameFile(uint64_t number, const std::string& writer) const;
  absl::StatusOr<State> ReadState() const;
  // Aborted: one of the hidden files is a writer of a later generation.
  absl::Status CheckIsLast(const std::vector<std::string>& names) const;
  // A file that is gone was taken by a later generation, or somebody has removed it.
  absl::Status Explain(absl::Status status) const;
  // The names of the hidden files.
  absl::StatusOr<std::vector<std::string>> HiddenFiles() const;
  std::string HiddenPath(const std::string& name) const;
  std::string UnfinishedPath(uint64_t number, const std::string& writer) const;

  std::string folder_;
  std::string hidden_;  // the hidden folder, in a run with recovery
  std::string prefix_;  // of the names of files
  uint64_t generation_ = 0;
  // The random name keeps runs on copies of a store from writing to the same file.
  std::string writer_;
  State state_;
  uint64_t published_ = 0;  // files, in a run without recovery
};

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_PARQUET_PARQUET_FOLDER_H_
