#ifndef HEADWAY_OPERATORS_IO_LINE_READER_H_
#define HEADWAY_OPERATORS_IO_LINE_READER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "comm/system/file_descriptor.h"
#include "operators/io/file_share.h"

namespace headway::internal {

// Where the lines of a stripe continue. The last line of a file may have no end; then the file may
// grow, and the line with it.
struct LinePosition {
  int64_t next = 0;        // the byte at which the next line begins, or before its beginning
  int64_t open_bytes = 0;  // that were read of the line at `next`, which had no end
};

// Reads the lines of the stripes of one file after the other. A line belongs to the stripe in which
// it begins. Move-only. Errors name the file.
class LineReader {
 public:
  enum class Found {
    kLine,
    kEnd,         // of the stripe
    kNothingYet,  // a pipe or a device has no more at present
  };

  // Opens the file at `path` and closes the one before. The stripes that follow are of this file.
  absl::Status Open(const std::string& path);
  const std::string& path() const { return path_; }

  // Moves to the first line of the stripe. `size` is that of the file.
  absl::Status BeginStripe(const FileStripe& stripe, int64_t size);
  // Moves to the first line of the stripe that was not read before the position. A line that was
  // read without an end is read again, whole, if it has grown.
  absl::Status ContinueStripe(const FileStripe& stripe, int64_t size, LinePosition from);

  // Sets `line` to the next line, which is valid until the next call.
  absl::StatusOr<Found> Next(std::string_view* line);

  // Whether a later run can continue at a position: not in a pipe, and not in a file of /proc.
  bool HasPositions() const;
  LinePosition position() const { return {position_ - open_bytes_, open_bytes_}; }

 private:
  bool is_stream() const { return size_ == kUnknownFileSize; }
  // Whether the buffer holds the last bytes of the file.
  bool AtEnd() const {
    return ended_ || (!is_stream() && position_ + static_cast<int64_t>(end_ - begin_) >= size_);
  }
  void MoveTo(int64_t position);
  absl::Status MoveToFirstLineFrom(int64_t position);
  absl::StatusOr<bool> SkipToFirstLineFrom(int64_t position);
  // Moves behind the end of the line that ended the file before, or to the line if it has grown.
  absl::Status MoveToGrownLine(LinePosition from);
  // Reads more bytes, or sees the end. Returns false if there are none at present.
  absl::StatusOr<bool> Fill();
  absl::Status MakeRoom();
  bool HasInput() const;
  absl::Status CheckNotCompressed();

  std::string path_;
  FileDescriptor descriptor_;
  int64_t size_ = 0;        // kUnknownFileSize: the end tells it
  int64_t stripe_end_ = 0;  // kUnknownFileSize: the end of the file
  bool continues_ = false;  // the buffer may hold the beginning of the stripe that follows
  bool ended_ = false;      // the end was seen
  // buffer_[begin_, end_) holds the bytes of the file from position_ on.
  std::unique_ptr<char[]> buffer_;
  size_t capacity_ = 0;
  size_t begin_ = 0;
  size_t end_ = 0;
  size_t searched_ = 0;  // bytes of the buffer without a line end
  int64_t position_ = 0;
  int64_t open_bytes_ = 0;  // of the last line, if it had no end
};

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_IO_LINE_READER_H_
