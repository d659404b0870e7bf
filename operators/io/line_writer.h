#ifndef HEADWAY_OPERATORS_IO_LINE_WRITER_H_
#define HEADWAY_OPERATORS_IO_LINE_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "comm/system/file_descriptor.h"
#include "engine/step/flush_state.h"
#include "engine/step/step_context.h"
#include "operators/io/file_syncer.h"
#include "operators/record_text.h"

namespace headway {

// The fate of a file that is not empty when its sink opens it for the first time.
enum class ExistingFile {
  kRefuse,     // the run fails
  kOverwrite,  // its content is lost
  kAppend,     // lines are added behind its content
};

struct FileSinkOptions {
  ExistingFile existing = ExistingFile::kRefuse;
};

namespace internal {

// Writes records to a file, a line each, and can be continued at a position. Move-only. Errors name
// the file.
class LineWriter {
 public:
  // `position` is the result of Snapshot at the commit from which the run resumes. If the run has a
  // recovery store, `syncer` makes the lines durable.
  static absl::StatusOr<LineWriter> Open(const std::string& path, const StepContext& context,
                                         const FileSinkOptions& options,
                                         const std::optional<std::string>& position,
                                         std::shared_ptr<FileSyncer> syncer);
  // The same for the file of that name in a directory.
  static absl::StatusOr<LineWriter> OpenNamed(const std::string& directory, const std::string& name,
                                              const StepContext& context,
                                              const FileSinkOptions& options,
                                              const std::optional<std::string>& position,
                                              std::shared_ptr<FileSyncer> syncer);

  template <class D>
  absl::Status Write(const D& record) {
    constexpr bool kPrints = IsPrintable<D>();
    static_assert(kPrints,
                  "FileSink and DirectorySink: the record cannot be printed: it must be a number, "
                  "a string, or a std type of these, or have a function std::string ToString(const "
                  "Record&) beside it; or turn it into a string with Map");
    if constexpr (kPrints) AppendText(text_, record);
    return EndLine();
  }
  // The same in two parts: the caller appends the line to text() and ends it.
  std::string& text() { return text_; }
  absl::Status EndLine() {
    text_.push_back('\n');
    return text_.size() < kWriteBytes ? absl::OkStatus() : WriteText();
  }
  // Returns true if the file has no lines yet.
  bool is_at_beginning() const { return length_ == 0 && text_.empty(); }
  // Writes all lines. If the run has a recovery store, it is done when they are durable.
  absl::StatusOr<FlushState> Flush();
  // The length of the file after the last flush.
  std::string Snapshot() const { return std::to_string(flushed_); }

 private:
  static constexpr size_t kWriteBytes = 64 * 1024;

  // The extended attribute of a file that runs with a recovery store write.
  struct Mark {
    std::string store_id = {};
    int64_t first_length = 0;  // of the file, when the first run with that store opened it
    uint64_t generation = 0;   // the last that opened it
  };

  // Opens the file, and locks it unless a lost process of an earlier generation has the lock.
  absl::Status OpenFile(const StepContext& context, const std::optional<std::string>& position);
  absl::Status Prepare(const StepContext& context, ExistingFile existing,
                       const std::optional<std::string>& position);
  // Continues in a copy of the first length_ bytes, which takes the place of the file.
  absl::Status ReplaceFile(const Mark& mark);
  bool IsAtPath() const;
  // The mark, if the file has one of this store.
  std::optional<Mark> ReadMark(const std::string& store_id) const;
  absl::Status WriteMark(const Mark& mark) const;
  absl::Status LockedError() const;
  absl::Status WriteText();
  void StartSync();
  absl::Status ErrnoError(const char* verb, int error) const;

  std::string path_;
  bool has_lock_ = false;  // of the file
  std::shared_ptr<FileDescriptor> file_;
  std::string text_;                              // not written yet
  int64_t length_ = 0;                            // of the file
  int64_t flushed_ = 0;                           // its length after the last flush
  std::shared_ptr<FileSyncer> syncer_;            // null: lines need not be durable
  std::shared_ptr<const FileSyncer::Sync> sync_;  // that is pending, or null
  bool entry_is_durable_ = false;                 // the file's entry in its directory
  ThreadActivator activator_;
};

}  // namespace internal

}  // namespace headway

#endif  // HEADWAY_OPERATORS_IO_LINE_WRITER_H_
