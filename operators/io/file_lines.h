#ifndef HEADWAY_OPERATORS_IO_FILE_LINES_H_
#define HEADWAY_OPERATORS_IO_FILE_LINES_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/step/source.h"

namespace headway {

// The lines of text files, as Stream<std::string>, without their ends ("\n" or "\r\n"). The workers
// share the reading: a file is cut into stripes, and a line belongs to the stripe in which it
// begins, so that each line is read by one worker. Bytes are taken as they are (any encoding),
// lines may be of any length up to 1 GiB, and the last line needs no end.
//
// Errors, naming the file: NotFound, PermissionDenied and the like when it cannot be opened or
// read; InvalidArgument for what is no regular file (a directory, a
// pipe), and for a longer line; DataLoss when the file became shorter while it was read.
class FileLines {
 public:
  using Record = std::string;

  explicit FileLines(std::string path) : paths_{std::move(path)} {}
  explicit FileLines(std::vector<std::string> paths) : paths_(std::move(paths)) {}

  class Reader {
   public:
    Reader(Reader&&) noexcept;
    Reader& operator=(Reader&&) noexcept;
    ~Reader();

    absl::StatusOr<SourceState> Poll(SourceOutput<std::string>& out);
    std::string Snapshot() const;

   private:
    friend class FileLines;
    Reader(std::vector<std::string> paths, const SourceContext& context);

    // Makes `line` the next line; false when the share of this worker is read.
    absl::StatusOr<bool> Next(std::string_view* line);
    absl::Status OpenFile();
    // Goes to the first line that begins in the current stripe; false when it has none.
    absl::StatusOr<bool> BeginStripe();
    absl::Status Fill();

    std::vector<std::string> paths_;
    int worker_index_;
    int worker_count_;
    size_t file_ = 0;  // index into paths_
    int descriptor_ = -1;
    int64_t file_size_ = 0;
    int64_t stripe_ = 0;
    bool in_stripe_ = false;
    // buffer_[begin_, end_) holds the bytes of the file from position_ on.
    std::unique_ptr<char[]> buffer_;
    size_t capacity_ = 0;
    size_t begin_ = 0;
    size_t end_ = 0;
    int64_t position_ = 0;
  };

  absl::StatusOr<Reader> Open(const SourceContext& context,
                              std::optional<std::string> resume_state);

 private:
  std::vector<std::string> paths_;
};

}  // namespace headway

#endif  // HEADWAY_OPERATORS_IO_FILE_LINES_H_
