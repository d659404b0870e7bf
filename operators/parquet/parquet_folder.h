#ifndef HEADWAY_OPERATORS_PARQUET_PARQUET_FOLDER_H_
#define HEADWAY_OPERATORS_PARQUET_PARQUET_FOLDER_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "comm/system/file_descriptor.h"
#include "engine/step/step_context.h"

namespace headway::internal {

// The files that a lane of a sink has published in a folder, each of which is there as a whole or
// not at all. In a run with recovery a file is published together with a mark:
//
//   1. The file is written under a hidden name, and made durable.
//   2. The hidden file `.part-<step>-<store>.mark` with the mark and the generation is replaced.
//   3. The file gets its name, `part-<step>-<store>-<mark>.parquet`.
//
// The second is the commit: a run that resumes and finds the file of the last mark under its hidden
// name does the third. Hidden files of other marks were not committed, and are removed. The mark
// remains when readers move the files away.
//
// A process of an earlier generation that is still there is refused at the second: the marks have
// the generation of the run that opened the folder last, and a lock makes steps two and three one.
class ParquetFolder {
 public:
  // Creates the folder `lane` in the directory, and completes the last commit. Aborted: a later
  // generation has opened it. Unavailable: a process that stands still holds the lock.
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
    std::string writer = "0";  // that committed the mark
    uint64_t generation = 0;   // the last that opened the folder
  };

  absl::StatusOr<FileDescriptor> Lock() const;
  absl::StatusOr<State> ReadState() const;
  absl::Status WriteState(const State& state) const;
  absl::Status CheckGeneration(const State& state) const;
  absl::Status CompleteCommit(const State& state) const;
  absl::Status Rename(const std::string& from, const std::string& to) const;
  std::string NameOf(uint64_t number) const;
  // The hidden name of a file, of this writer or an earlier one.
  std::string HiddenNameOf(uint64_t number, const std::string& writer) const;

  std::string folder_;
  std::string prefix_;  // of the names of files
  bool has_marks_ = false;
  uint64_t generation_ = 0;
  // The generation and a random name: runs on copies of a store do not write to the same file.
  std::string writer_;
  State state_;
  uint64_t published_ = 0;  // files, in a run without recovery
};

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_PARQUET_PARQUET_FOLDER_H_
