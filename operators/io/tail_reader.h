#ifndef HEADWAY_OPERATORS_IO_TAIL_READER_H_
#define HEADWAY_OPERATORS_IO_TAIL_READER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/step/source.h"
#include "operators/io/line_buffer.h"
#include "operators/io/log_file.h"
#include "operators/io/tail_lines.h"

namespace headway::internal {

// Reads the lines of one log: of the file with its name, and of the rotated files that have lines
// which were not read. Move-only.
class TailReader {
 public:
  // `must_exist`: a log without a file is an error at first, and not waited for. Begins at a place
  // of an earlier run, or at the beginning.
  TailReader(std::string path, const TailLinesOptions& options, bool must_exist,
             std::optional<LogPlace> place)
      : path_(std::move(path)), options_(options), must_exist_(must_exist), first_place_(place) {}

  absl::StatusOr<SourceState> Poll(SourceOutput<std::string>& out);
  // Empty: the log has no file yet.
  std::string Snapshot() const;

 private:
  using Found = InputFile::Found;

  // Each of these returns false if the files are being renamed, or there are none yet: try again.
  absl::StatusOr<bool> Begin();
  // Continues at the place, in whichever file has it now.
  absl::StatusOr<bool> Resume(const LogPlace& place, bool was_overwritten);
  // Opens the file that follows the present one, which was read to its end. `last_line`: the bytes
  // behind the last line end, if they are a line.
  absl::StatusOr<bool> OpenNext(std::string& last_line);

  void ContinueIn(LogFile file, const LogPlace& place);
  absl::Status Lost(const LogPlace& place, bool was_overwritten) const;

  absl::StatusOr<Found> Fill();
  // Reads the bytes before the place at which the file is continued.
  absl::StatusOr<Found> ReadKnownBytes();
  // Returns true if the file, of which `added` was read at `end`, does not have the bytes before
  // that are known.
  bool IsOverwritten(int64_t end, std::string_view added);
  absl::StatusOr<Found> LeaveOverwritten();
  // Returns false if another file is to be read before the present one, which is empty so far, and
  // opens it.
  absl::StatusOr<bool> IsFirstUnread();
  LogPlace Place() const;
  // The last bytes before the next line, kKnownBytes at most.
  std::string KnownBytes() const;
  void AddToHead(int64_t offset, std::string_view bytes);

  std::string path_;
  TailLinesOptions options_;
  bool must_exist_;
  std::optional<LogPlace> first_place_;

  std::optional<LogFile> file_;           // nullopt: not open yet
  int64_t next_line_ = 0;                 // the byte at which it begins
  std::optional<LogPlace> continued_at_;  // until the known bytes before it are read
  std::string head_;                      // the first bytes of the file, kKnownBytes at most
  std::string known_;                     // the last bytes before those in the buffer
  LineBuffer buffer_;
  bool was_at_end_ = false;     // of a rotated file, whose writer may still have it open
  int64_t modified_nanos_ = 0;  // the time of the file at the last look
  int64_t seen_nanos_ = 0;      // when the files were modified whose ends were read
  LogFileId prior_;             // the file that was read before
  LogFileId copied_;            // the file whose copy is read, if one is
};

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_IO_TAIL_READER_H_
