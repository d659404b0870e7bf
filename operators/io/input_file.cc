#include "operators/io/input_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/runtime/status_macros.h"
#include "operators/io/read_bytes.h"

namespace headway::internal {
namespace {

constexpr size_t kCompressedBytes = size_t{128} << 10;

int64_t NanosOf(const statx_timestamp& time) {
  constexpr int64_t kNanosPerSecond = 1'000'000'000;
  return time.tv_sec * kNanosPerSecond + time.tv_nsec;
}

}  // namespace

absl::Status InputFile::Open(const std::string& path) {
  path_ = path;
  format_ = nullptr;
  decompressor_ = nullptr;
  // Without O_NONBLOCK, a named pipe would block until it has a writer.
  descriptor_ = FileDescriptor(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!descriptor_.is_open()) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot open '", path, "'"));
  }
  struct stat info;
  if (fstat(descriptor_.get(), &info) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot examine '", path, "'"));
  }
  if (S_ISDIR(info.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", path, "' is a directory; list the files in it instead"));
  }
  id_ = {info.st_dev, info.st_ino};
  is_regular_ = S_ISREG(info.st_mode);
  return is_regular_ ? DetectFormat() : absl::OkStatus();
}

absl::Status InputFile::DetectFormat() {
  char first[16];
  const ssize_t got = ReadBytesAt(descriptor_.get(), first, 0);
  if (got < 0) return absl::OkStatus();  // the first read reports it
  const std::string_view bytes(first, static_cast<size_t>(got));
  const CompressedFormat* const format = FindCompressedFormat(bytes);
  if (format == nullptr || !format->is_read) return CheckPlain(bytes);
  format_ = format;
  return absl::OkStatus();
}

absl::Status InputFile::CheckPlain(std::string_view first_bytes) const {
  const CompressedFormat* const format = FindCompressedFormat(first_bytes);
  if (format == nullptr) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat(
      "'%s' is compressed (%s), and sources read only plain text and files of gzip and zstd; "
      "decompress it first, for instance into a named pipe, and read that",
      path_, format->name));
}

InputFile::Facts InputFile::FactsNow() const {
  struct statx info = {};
  constexpr unsigned kWanted = STATX_SIZE | STATX_MTIME | STATX_BTIME;
  if (statx(descriptor_.get(), "", AT_EMPTY_PATH, kWanted, &info) != 0) return {};
  const bool knows_creation = (info.stx_mask & STATX_BTIME) != 0;
  return {.size = static_cast<int64_t>(info.stx_size),
          .modified_nanos = NanosOf(info.stx_mtime),
          .created_nanos = knows_creation ? NanosOf(info.stx_btime) : 0};
}

absl::StatusOr<InputFile::Piece> InputFile::ReadAt(int64_t offset, char* bytes, size_t capacity) {
  if (!is_compressed()) {
    absl::StatusOr<Piece> piece = ReadPlain(offset, bytes, capacity);
    if (offset == 0 && !is_regular_ && piece.ok()) {
      HEADWAY_RETURN_IF_ERROR(CheckPlain({bytes, piece->size}));
    }
    return piece;
  }
  if (decompressor_ == nullptr || offset < offset_) {
    decompressor_ = MakeDecompressor(*format_);
    if (compressed_ == nullptr) {
      compressed_ = std::make_unique_for_overwrite<char[]>(kCompressedBytes);
    }
    compressed_begin_ = compressed_end_ = 0;
    file_offset_ = offset_ = 0;
  }
  if (offset == offset_) return Decompress(bytes, capacity);
  const auto wanted =
      static_cast<size_t>(std::min<int64_t>(offset - offset_, static_cast<int64_t>(capacity)));
  absl::StatusOr<Piece> skipped = Decompress(bytes, wanted);
  if (!skipped.ok()) return skipped.status();
  if (skipped->found == Found::kBytes) return Piece{Found::kBusy};
  return absl::DataLossError(absl::StrFormat(
      "'%s' has %d bytes when it is decompressed, but the last run had read %d; put the file back "
      "that it read, and only add to it",
      path_, offset_, offset));
}

absl::StatusOr<InputFile::Piece> InputFile::ReadPlain(int64_t offset, char* bytes,
                                                      size_t capacity) {
  ssize_t got;
  if (is_regular_) {
    got = ReadBytesAt(descriptor_.get(), {bytes, capacity}, offset);
  } else {
    if (!HasInput(descriptor_.get())) return Piece{Found::kNothingYet};
    got = read(descriptor_.get(), bytes, capacity);
  }
  const bool has_none = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
  if (got < 0 && has_none) return Piece{Found::kNothingYet};
  if (got < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read '", path_, "'"));
  return Piece{got == 0 ? Found::kEnd : Found::kBytes, static_cast<size_t>(got)};
}

absl::StatusOr<InputFile::Piece> InputFile::Decompress(char* bytes, size_t capacity) {
  for (;;) {
    const std::string_view input(compressed_.get() + compressed_begin_,
                                 compressed_end_ - compressed_begin_);
    // Also without input: the decompressor may have bytes that did not fit into the last piece.
    absl::StatusOr<Decompressor::Progress> progress =
        decompressor_->Decompress(input, bytes, capacity);
    const int64_t consumed_to = file_offset_ - static_cast<int64_t>(input.size());
    if (!progress.ok()) {
      return absl::DataLossError(absl::StrFormat(
          "'%s' is malformed: its %s data behind byte %d cannot be decompressed (%s); replace it "
          "with an undamaged copy",
          path_, format_->name, consumed_to, progress.status().message()));
    }
    compressed_begin_ += progress->consumed;
    offset_ += static_cast<int64_t>(progress->produced);
    if (progress->produced > 0) return Piece{Found::kBytes, progress->produced};
    if (compressed_begin_ < compressed_end_) continue;
    absl::StatusOr<Piece> read = ReadPlain(file_offset_, compressed_.get(), kCompressedBytes);
    if (!read.ok()) return read.status();
    compressed_begin_ = 0;
    compressed_end_ = read->size;
    file_offset_ += static_cast<int64_t>(read->size);
    if (read->found == Found::kBytes) continue;
    if (decompressor_->IsBetweenStreams()) return Piece{Found::kEnd};
    return absl::DataLossError(absl::StrFormat(
        "'%s' is truncated: it ends at byte %d, before the end of its %s data; replace it with a "
        "complete copy",
        path_, file_offset_, format_->name));
  }
}

bool IsCompressedFile(const std::string& path) {
  InputFile file;
  return file.Open(path).ok() && file.is_compressed();
}

}  // namespace headway::internal
