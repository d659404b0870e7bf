#ifndef HEADWAY_OPERATORS_IO_INPUT_FILE_H_
#define HEADWAY_OPERATORS_IO_INPUT_FILE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "comm/system/file_descriptor.h"
#include "operators/io/decompressor.h"

namespace headway::internal {

// The bytes of a file, which are decompressed if it is a gzip or zstd file. Memory is bounded.
// Move-only. Errors name the file.
class InputFile {
 public:
  enum class Found {
    kBytes,
    kEnd,
    kNothingYet,  // a pipe or a device has no more at present
    kBusy,        // bytes before the offset are being decompressed: ask again
  };
  struct Piece {
    Found found = Found::kEnd;
    size_t size = 0;  // of kBytes
  };

  // Opens the file at `path` and closes the one before.
  absl::Status Open(const std::string& path);
  const std::string& path() const { return path_; }

  // Reads up to `capacity` bytes from `offset` on. A pipe or a device has no offsets: the next
  // bytes are read. In a compressed file offsets count decompressed bytes, and an offset that is
  // not where the last piece ended costs decompressing all before it.
  absl::StatusOr<Piece> ReadAt(int64_t offset, char* bytes, size_t capacity);

  bool is_compressed() const { return format_ != nullptr; }
  // Whether it can be read again: it is no pipe and no device.
  bool is_regular() const { return is_regular_; }
  // Identifies the file on this machine, whatever its name is, as long as it is open.
  struct Id {
    uint64_t device = 0;
    uint64_t inode = 0;
    bool operator==(const Id&) const = default;
  };
  const Id& id() const { return id_; }
  // The size in bytes at present, of the compressed file if it is one.
  int64_t SizeNow() const { return FactsNow().size; }
  struct Facts {
    int64_t size = 0;
    int64_t modified_nanos = 0;  // since the epoch of Unix
    int64_t created_nanos = 0;   // 0: the file system does not know it
  };
  Facts FactsNow() const;

 private:
  absl::StatusOr<Piece> ReadPlain(int64_t offset, char* bytes, size_t capacity);
  absl::StatusOr<Piece> Decompress(char* bytes, size_t capacity);
  absl::Status DetectFormat();
  absl::Status CheckPlain(std::string_view first_bytes) const;

  std::string path_;
  FileDescriptor descriptor_;
  Id id_;
  bool is_regular_ = false;

  // Of a compressed file.
  const CompressedFormat* format_ = nullptr;
  std::unique_ptr<Decompressor> decompressor_;
  std::unique_ptr<char[]> compressed_;  // [compressed_begin_, compressed_end_) are not consumed
  size_t compressed_begin_ = 0;
  size_t compressed_end_ = 0;
  int64_t file_offset_ = 0;  // of the bytes behind compressed_
  int64_t offset_ = 0;       // of the next decompressed byte
};

// Returns true if the regular file at `path` is compressed in a format that is read.
bool IsCompressedFile(const std::string& path);

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_IO_INPUT_FILE_H_
