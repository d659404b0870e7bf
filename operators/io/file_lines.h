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
// share a file: it is divided into stripes, and a line belongs to the stripe in which it begins, so
// one worker reads it. Bytes are not interpreted (any encoding). A line has at most 1 GiB, and the
// last one needs no end.
//
// Errors name the file. NotFound, PermissionDenied and others: it cannot be opened or read.
// InvalidArgument: it is not a regular file (a directory, a pipe), or has a longer line. DataLoss:
// it became shorter while it was read.
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

    // Sets `line` to the next line; returns false at the end of this worker's share.
    absl::StatusOr<bool> Next(std::string_view* line);
    absl::Status OpenFile();
    // Moves to the first line that begins in the current stripe; returns false if no line does.
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
