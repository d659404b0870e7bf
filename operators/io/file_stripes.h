#ifndef HEADWAY_OPERATORS_IO_FILE_STRIPES_H_
#define HEADWAY_OPERATORS_IO_FILE_STRIPES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine/step/source.h"
#include "engine/step/source_state.h"
#include "engine/step/step_context.h"
#include "operators/io/file_share.h"
#include "operators/io/line_reader.h"

namespace headway::internal {

// The fate of a read that found no line.
SourceState StateOf(LineReader::Found found);

// Reads the lines of one stripe. The stripes of a worker share the LineReader, so one of them is
// read at a time.
class StripeReader {
 public:
  explicit StripeReader(std::shared_ptr<LineReader> lines) : lines_(std::move(lines)) {}
  // Of a stripe that has no more lines behind the position.
  explicit StripeReader(std::string position) : skipped_at_(std::move(position)) {}

  bool is_skipped() const { return lines_ == nullptr; }
  // REQUIRES: !is_skipped().
  LineReader& lines() { return *lines_; }
  // The position after the last line. Empty: the file has no positions.
  std::string Snapshot() const;

 private:
  std::shared_ptr<LineReader> lines_;
  std::string skipped_at_;
};

// Opens all of a file, up to its size at present, at its beginning or after `position`. The readers
// of a worker may share `lines`, if one of them is read at a time. Errors name the file; DataLoss:
// it is shorter than the position.
absl::StatusOr<StripeReader> OpenWholeFile(const std::string& path,
                                           std::shared_ptr<LineReader> lines,
                                           std::optional<std::string> position);

// How files are divided among workers.
enum class FileDivision {
  kStripes,  // plain files in stripes of kStripeBytes, others as a whole
  kWhole,    // each file is one stripe
};

// The stripes of files, which are the partitions of a source; see FileLines. A file may grow, and
// each worker would see another size. So the sizes are those that worker 0 sees when the source is
// opened. The functions are those that source.h and SourceNodeBase ask of a source.
class FileStripes {
 public:
  FileStripes(std::vector<std::string> paths, FileDivision division, size_t max_line_bytes);

  // The sizes of the files.
  absl::StatusOr<std::vector<std::string>> Partitions();
  // REQUIRES: Partitions was called.
  absl::StatusOr<std::vector<std::string>> Vanished(
      const std::unordered_map<std::string, std::string>& positions) const;
  absl::StatusOr<std::vector<std::string>> Divide(const SourceContext& context,
                                                  const std::vector<std::string>& sizes);
  absl::StatusOr<StripeReader> Open(const std::string& name, std::optional<std::string> position);

 private:
  std::string NameOf(const FileStripe& stripe) const;
  // The file and the first byte of a stripe; nullopt if it is of no file.
  std::optional<FileStripe> Find(const std::string& name) const;
  absl::Status CheckFiles();
  absl::Status CheckNotShorter(const FileStripe& stripe, const std::string& position) const;
  absl::Status OpenFile(size_t file);

  std::vector<std::string> paths_;
  FileDivision division_;
  std::vector<std::string> names_;  // of the files, under which positions are stored
  std::unordered_map<std::string, size_t> by_name_;
  std::vector<int64_t> sizes_;
  std::optional<size_t> open_file_;
  std::shared_ptr<LineReader> lines_;
};

// The part of a source of stripes that does not depend on its readers: they are divided among the
// workers as FileStripes says. A source derives from it and adds OpenPartition.
class StripedSource {
 public:
  StripedSource(FileStripes stripes, VanishedPartitions vanished)
      : stripes_(std::move(stripes)), vanished_(vanished) {}

  // The next stripe most often continues in the buffer of the one before, so one reader is open.
  int max_open_partitions() const { return 1; }
  VanishedPartitions vanished_partitions() const { return vanished_; }

  absl::StatusOr<std::vector<std::string>> Partitions(const SourceContext&) {
    return stripes_.Partitions();
  }
  absl::StatusOr<std::vector<std::string>> Vanished(
      const std::unordered_map<std::string, std::string>& positions) const {
    return stripes_.Vanished(positions);
  }
  absl::StatusOr<std::vector<std::string>> Divide(const SourceContext& context,
                                                  const std::vector<std::string>& sizes) {
    return stripes_.Divide(context, sizes);
  }

 protected:
  FileStripes& stripes() { return stripes_; }

 private:
  FileStripes stripes_;
  VanishedPartitions vanished_;
};

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_IO_FILE_STRIPES_H_
