#include "operators/io/log_file.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <span>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "comm/codec/stable_hash.h"
#include "engine/runtime/status_macros.h"
#include "operators/io/rotated_files.h"

namespace headway::internal {
namespace {

// Reads until `room` is full or the file ends. A compressed file that is damaged is an error when
// its lines are read.
void ReadFully(InputFile& file, int64_t offset, std::string& room) {
  size_t size = 0;
  while (size < room.size()) {
    const absl::StatusOr<InputFile::Piece> piece =
        file.ReadAt(offset + static_cast<int64_t>(size), room.data() + size, room.size() - size);
    if (!piece.ok() || piece->found != InputFile::Found::kBytes) break;
    size += piece->size;
  }
  room.resize(size);
}

int64_t ModifiedNanos(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return 0;
  constexpr int64_t kNanosPerSecond = 1'000'000'000;
  return info.st_mtim.tv_sec * kNanosPerSecond + info.st_mtim.tv_nsec;
}

// The parts of a stored place, and of an id in it.
constexpr size_t kIdParts = 4;
constexpr size_t kParts = 3 + 2 * kIdParts;

std::string TextOf(const LogFileId& id) {
  return absl::StrCat(id.inode, ":", id.created_nanos, ":", id.head_size, ":", absl::Hex(id.head));
}

bool ParseId(std::span<const std::string> parts, LogFileId& id) {
  return absl::SimpleAtoi(parts[0], &id.inode) && absl::SimpleAtoi(parts[1], &id.created_nanos) &&
         absl::SimpleAtoi(parts[2], &id.head_size) && id.head_size <= kKnownBytes &&
         absl::SimpleHexAtoi(parts[3], &id.head);
}

}  // namespace

uint64_t HashOfBytes(std::string_view bytes) { return StableHash(bytes); }

bool LogPlace::Parse(const std::string& text, LogPlace& place) {
  const std::vector<std::string> parts = absl::StrSplit(text, ':');
  place = LogPlace();
  if (parts.size() != 2 && parts.size() != 3 && parts.size() != kParts) return false;
  if (!absl::SimpleAtoi(parts[0], &place.offset) || place.offset < 0 ||
      !absl::SimpleHexAtoi(parts[1], &place.tail)) {
    return false;
  }
  if (parts.size() < kParts) {
    place.seen_nanos = std::numeric_limits<int64_t>::max();  // no rotated file is new
    return parts.size() == 2 || absl::SimpleAtoi(parts[2], &place.file.inode);
  }
  return ParseId(std::span(parts).subspan(2, kIdParts), place.file) &&
         absl::SimpleAtoi(parts[2 + kIdParts], &place.seen_nanos) &&
         ParseId(std::span(parts).last(kIdParts), place.prior);
}

std::string LogPlace::ToString() const {
  return absl::StrCat(offset, ":", absl::Hex(tail), ":", TextOf(file), ":", seen_nanos, ":",
                      TextOf(prior));
}

absl::StatusOr<LogFile> LogFile::Open(const std::string& path) {
  InputFile input;
  HEADWAY_RETURN_IF_ERROR(input.Open(path));
  if (!input.is_regular()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "'", path, "' is no regular file, which alone can grow; use FileLines for a pipe"));
  }
  LogFile file(std::move(input));
  file.head_.resize(kKnownBytes);
  ReadFully(file.file_, 0, file.head_);
  return file;
}

absl::StatusOr<bool> LogFile::IsAt(const std::string& path) const {
  struct stat present;
  if (stat(path.c_str(), &present) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot examine '", path, "'"));
  }
  return InputFile::Id{present.st_dev, present.st_ino} == file_.id();
}

std::string LogFile::BytesBefore(int64_t offset) {
  const auto count = static_cast<size_t>(std::min(offset, static_cast<int64_t>(kKnownBytes)));
  std::string bytes(count, '\0');
  ReadFully(file_, offset - static_cast<int64_t>(count), bytes);
  return bytes;
}

LogFileId LogFile::Id() const {
  return {.inode = file_.id().inode,
          .created_nanos = file_.FactsNow().created_nanos,
          .head_size = head_.size(),
          .head = HashOfBytes(head_)};
}

bool LogFile::Is(const LogFileId& id) const {
  const int64_t created = file_.FactsNow().created_nanos;
  return file_.id().inode == id.inode &&
         (created == id.created_nanos || created == 0 || id.created_nanos == 0);
}

bool LogFile::BeginsAs(const LogFileId& id) const {
  return head_.size() >= id.head_size &&
         (id.head_size == 0 ||
          HashOfBytes(std::string_view(head_).substr(0, id.head_size)) == id.head);
}

bool LogFile::MayHave(const LogPlace& place) {
  if (place.is_blank() || !BeginsAs(place.file)) return false;
  if (is_compressed()) return place.file.head_size > 0;
  return FactsNow().size >= place.offset && HashOfBytes(BytesBefore(place.offset)) == place.tail;
}

absl::StatusOr<LogFiles> LogFiles::Open(const std::string& path) {
  constexpr int kTries = 3;
  for (int i = 0; i < kTries; ++i) {
    absl::StatusOr<std::vector<std::string>> paths = RotatedFiles(path);
    if (!paths.ok()) return paths.status();
    const std::vector<std::string> rotated = *paths;
    paths->push_back(path);
    LogFiles log;
    bool is_stable = true;
    for (const std::string& name : *paths) {
      absl::StatusOr<LogFile> file = LogFile::Open(name);
      log.has_live = !absl::IsNotFound(file.status());
      if (log.has_live) {
        const int64_t modified = ModifiedNanos(name);
        log.entries.push_back({std::move(file), modified});
      } else if (&name != &paths->back()) {
        is_stable = false;
      }
    }
    // Nothing was renamed between the first look and this one: the files are of one moment.
    paths = RotatedFiles(path);
    is_stable = is_stable && paths.ok() && *paths == rotated;
    for (const Entry& entry : log.entries) {
      const absl::StatusOr<LogFile>& file = entry.file;
      is_stable = is_stable && (!file.ok() || file->IsAt(file->path()).value_or(false));
    }
    if (is_stable) return log;
  }
  return absl::UnavailableError(
      absl::StrCat("the files of the log '", path, "' are being renamed"));
}

}  // namespace headway::internal
