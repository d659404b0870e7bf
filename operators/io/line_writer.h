#ifndef HEADWAY_OPERATORS_IO_LINE_WRITER_H_
#define HEADWAY_OPERATORS_IO_LINE_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "comm/system/file_descriptor.h"
#include "engine/step/step_context.h"
#include "operators/io/record_text.h"

namespace headway {

// The fate of a file that is not empty when its sink opens it for the first time.
enum class ExistingFile {
  kRefuse,     // the run fails
  kOverwrite,  // its content is lost
  kAppend,     // lines are added behind its content
};

namespace internal {

// Writes records to a file, a line each, and can be continued at a position. Move-only. Errors name
// the file.
class LineWriter {
 public:
  // `position` is the result of Snapshot at the commit from which the run resumes.
  static absl::StatusOr<LineWriter> Open(const std::string& path, const StepContext& context,
                                         ExistingFile existing,
                                         const std::optional<std::string>& position);

  template <class D>
  absl::Status Write(const D& record) {
    constexpr bool kPrints = IsPrintable<D>();
    static_assert(kPrints,
                  "FileSink and DirectorySink: the record cannot be printed: it must be a number, "
                  "a string, or a std type of these, or have a function std::string ToString(const "
                  "Record&) beside it; or turn it into a string with Map");
    if constexpr (kPrints) AppendText(text_, record);
    text_.push_back('\n');
    return text_.size() < kWriteBytes ? absl::OkStatus() : WriteText();
  }
  // Writes all lines; if the run recovers, they are durable then.
  absl::Status Flush();
  // The length of the file after the last flush.
  std::string Snapshot() const { return std::to_string(flushed_); }

 private:
  static constexpr size_t kWriteBytes = 64 * 1024;

  absl::Status Prepare(const StepContext& context, ExistingFile existing,
                       const std::optional<std::string>& position);
  absl::Status OpenFile();
  // Whether a run with this recovery store began the file, and the mark that says so.
  bool IsMarked(const std::string& store_id) const;
  absl::Status Mark(const std::string& store_id) const;
  absl::Status WriteText();
  absl::Status Sync();
  absl::Status ErrnoError(const char* verb) const;

  std::string path_;
  FileDescriptor descriptor_;
  std::string text_;               // not written yet
  int64_t length_ = 0;             // of the file
  int64_t flushed_ = 0;            // its length after the last flush
  bool durable_ = false;           // flushes make the lines durable
  bool entry_is_durable_ = false;  // the file's entry in its directory
};

}  // namespace internal

}  // namespace headway

#endif  // HEADWAY_OPERATORS_IO_LINE_WRITER_H_
