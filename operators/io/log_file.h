#ifndef HEADWAY_OPERATORS_IO_LOG_FILE_H_
#define HEADWAY_OPERATORS_IO_LOG_FILE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "operators/io/input_file.h"

namespace headway::internal {

// A file is known by so many of its first bytes, and of the last bytes that were read.
inline constexpr size_t kKnownBytes = 256;

uint64_t HashOfBytes(std::string_view bytes);

// Identifies a file of a log, also when it was compressed.
struct LogFileId {
  uint64_t inode = 0;         // 0: unknown
  int64_t created_nanos = 0;  // an inode is used again; 0: unknown
  uint64_t head_size = 0;     // of the first bytes, kKnownBytes at most
  uint64_t head = 0;          // their hash
};

// The place of a reader in a log, whichever file has it now.
struct LogPlace {
  // Parses the text of ToString. Earlier versions stored only the offset, the tail and the inode,
  // or only the first two.
  static bool Parse(const std::string& text, LogPlace& place);
  std::string ToString() const;

  // Nothing of the file was seen.
  bool is_blank() const { return offset == 0 && file.head_size == 0; }
  // No other file has the same bytes by chance.
  bool is_certain() const { return offset >= static_cast<int64_t>(kKnownBytes); }

  int64_t offset = 0;  // of the next line, in decompressed bytes
  uint64_t tail = 0;   // the hash of the bytes before it, kKnownBytes at most
  LogFileId file;
  // Files of the log that were modified later have lines that were not read, except the file that
  // was read before this one: a writer may have it open still.
  int64_t seen_nanos = 0;
  LogFileId prior;
};

// A file of a log: the one that has the name of the log, or a rotated one, which may be compressed.
// Offsets count decompressed bytes. Move-only. Errors name the file.
class LogFile {
 public:
  // InvalidArgument: it is no regular file, or compressed in a format that is not read.
  static absl::StatusOr<LogFile> Open(const std::string& path);

  // The path at which it was opened.
  const std::string& path() const { return file_.path(); }
  bool is_compressed() const { return file_.is_compressed(); }
  // Its id, whose first bytes are those at the time when it was opened.
  LogFileId Id() const;
  // Returns true if the id is that of this file. A compressed file has another one than the file
  // that was compressed.
  bool Is(const LogFileId& id) const;
  bool IsSameAs(const LogFile& other) const { return file_.id() == other.file_.id(); }
  // The first bytes at the time when it was opened, kKnownBytes at most.
  const std::string& head() const { return head_; }
  InputFile::Facts FactsNow() const { return file_.FactsNow(); }
  // Returns true if the path leads to this file, false if to another one. NotFound: to none.
  absl::StatusOr<bool> IsAt(const std::string& path) const;

  absl::StatusOr<InputFile::Piece> ReadAt(int64_t offset, char* bytes, size_t capacity) {
    return file_.ReadAt(offset, bytes, capacity);
  }
  // The last bytes before the offset, kKnownBytes at most; fewer if the file is shorter, or cannot
  // be read. REQUIRES: it is not compressed.
  std::string BytesBefore(int64_t offset);
  // Returns true if the first bytes are those of the file with the id.
  bool BeginsAs(const LogFileId& id) const;
  // Returns true if the file has the content before the place, as far as it can be said without
  // decompressing more than the first bytes.
  bool MayHave(const LogPlace& place);

 private:
  explicit LogFile(InputFile file) : file_(std::move(file)) {}

  InputFile file_;
  std::string head_;
};

// The files of a log at one moment: the rotated ones, the oldest first, then the live one, which
// has the name of the log.
struct LogFiles {
  struct Entry {
    absl::StatusOr<LogFile> file;  // an error if it cannot be opened
    int64_t modified_nanos = 0;
  };

  // Unavailable: the files are being renamed.
  static absl::StatusOr<LogFiles> Open(const std::string& path);

  bool IsLive(size_t i) const { return has_live && i + 1 == entries.size(); }

  std::vector<Entry> entries;
  bool has_live = false;
};

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_IO_LOG_FILE_H_
