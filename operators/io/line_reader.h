#ifndef HEADWAY_OPERATORS_IO_LINE_READER_H_
#define HEADWAY_OPERATORS_IO_LINE_READER_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "operators/io/file_share.h"
#include "operators/io/input_file.h"

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
    kBusy,        // a compressed file is being read up to the position: ask again
  };

  // At least this many bytes behind a line may be read.
  static constexpr size_t kPadding = 64;

  explicit LineReader(size_t max_line_bytes) : max_line_bytes_(max_line_bytes) {}

  // Opens the file at `path` and closes the one before. The stripes that follow are of this file.
  absl::Status Open(const std::string& path);
  const std::string& path() const { return file_.path(); }
  bool is_regular() const { return file_.is_regular(); }

  // Moves to the first line of the stripe. `size` is that of the file.
  absl::Status BeginStripe(const FileStripe& stripe, int64_t size);
  // Moves to the first line of the stripe that was not read before the position. A line that was
  // read without an end is read again, whole, if it has grown.
  absl::Status ContinueStripe(const FileStripe& stripe, int64_t size, LinePosition from);

  // For a file of unknown size, at its beginning: returns true if it is no file of /proc, but was
  // empty when it was examined, and has grown.
  absl::StatusOr<bool> HasGrown();

  // Sets `line` to the next line, which is valid until the next call.
  absl::StatusOr<Found> Next(std::string_view* line) {
    return Next(line, [](const char* bytes, size_t searched, size_t size) {
      return static_cast<const char*>(std::memchr(bytes + searched, '\n', size - searched));
    });
  }
  // The same for lines that not each '\n' ends. find_end(bytes, searched, size) returns the '\n'
  // that ends the line at `bytes`, or null: it is not in the `size` bytes. A call before, with the
  // same bytes, has not found it in the first `searched` ones.
  template <class FindEnd>
  absl::StatusOr<Found> Next(std::string_view* line, FindEnd&& find_end);

  // Whether the error of Next is that of a line beyond the limit.
  bool line_is_too_long() const { return end_ - begin_ >= max_line_bytes_; }
  // The byte at which the last line of Next begins.
  int64_t line_begin() const { return line_begin_; }
  // Whether a later run can continue at a position: not in a pipe, and not in a file of /proc.
  bool HasPositions() const;
  LinePosition position() const {
    // The reader may have moved back to a line that the run before has read already.
    if (continued_.bytes > 0) return {position_, continued_.bytes};
    return {position_ - open_bytes_, open_bytes_};
  }

 private:
  // Of a pipe, of a file of /proc, or of a compressed file.
  bool is_stream() const { return size_ == kUnknownFileSize; }
  // Whether the buffer holds the last bytes of the file.
  bool AtEnd() const {
    return ended_ || (!is_stream() && position_ + static_cast<int64_t>(end_ - begin_) >= size_);
  }
  void MoveTo(int64_t position);
  absl::Status MoveToFirstLineFrom(int64_t position);
  absl::StatusOr<bool> SkipToFirstLineFrom(int64_t position);
  // Moves to the beginning of the line that ended the file before, if the file has grown.
  absl::StatusOr<InputFile::Found> ReturnToOpenLine();
  // Reads more bytes, or sees the end.
  absl::StatusOr<InputFile::Found> Fill();
  absl::Status MakeRoom();
  absl::Status CheckNotShorter(int64_t end) const;
  static Found NotFound(InputFile::Found why) {
    return why == InputFile::Found::kBusy ? Found::kBusy : Found::kNothingYet;
  }

  // The last line of the run before, if it had no end.
  struct Continued {
    bool is_pending = false;  // whether it has grown is not known yet
    int64_t bytes = 0;        // that it had, if it is the next line
  };

  size_t max_line_bytes_;
  InputFile file_;
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
  int64_t line_begin_ = 0;  // of the last line
  int64_t open_bytes_ = 0;  // of the last line, if it had no end
  Continued continued_;
};

template <class FindEnd>
absl::StatusOr<LineReader::Found> LineReader::Next(std::string_view* line, FindEnd&& find_end) {
  if (continued_.is_pending) {
    absl::StatusOr<InputFile::Found> returned = ReturnToOpenLine();
    if (!returned.ok()) return returned.status();
    if (continued_.is_pending) return NotFound(*returned);
  }
  for (;;) {
    if (!is_stream() && position_ >= stripe_end_) return Found::kEnd;
    const char* start = buffer_.get() + begin_;
    const size_t size = end_ - begin_;
    const char* newline = searched_ == size ? nullptr : find_end(start, searched_, size);
    if (newline == nullptr && !AtEnd()) {
      searched_ = size;
      absl::StatusOr<InputFile::Found> filled = Fill();
      if (!filled.ok()) return filled.status();
      if (*filled == InputFile::Found::kNothingYet || *filled == InputFile::Found::kBusy) {
        return NotFound(*filled);
      }
      continue;
    }
    searched_ = 0;
    if (size == 0) return Found::kEnd;
    size_t length = newline != nullptr ? static_cast<size_t>(newline - start) : size;
    const size_t consumed = length + (newline != nullptr ? 1 : 0);
    if (newline != nullptr && length > 0 && start[length - 1] == '\r') --length;
    *line = std::string_view(start, length);
    begin_ += consumed;
    line_begin_ = position_;
    position_ += static_cast<int64_t>(consumed);
    open_bytes_ = newline != nullptr ? 0 : static_cast<int64_t>(size);
    if (const int64_t known = std::exchange(continued_.bytes, 0); known > 0) [[unlikely]] {
      // Only its end was added. A carriage return before that may have been there.
      const auto bytes = static_cast<int64_t>(consumed);
      if (newline != nullptr && (known == bytes - 1 || known == static_cast<int64_t>(length))) {
        continue;
      }
    }
    return Found::kLine;
  }
}

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_IO_LINE_READER_H_
