#include "operators/io/tail_reader.h"

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/runtime/status_macros.h"

namespace headway::internal {
namespace {

std::string_view LastBytes(std::string_view text) {
  return text.substr(text.size() - std::min(text.size(), kKnownBytes));
}

// The file that has the place. The same file is preferred; then a copy, which may be compressed. Of
// several the oldest that was modified since the place was there.
std::optional<size_t> FindPlace(LogFiles& log, const LogPlace& place) {
  for (size_t i = 0; i < log.entries.size(); ++i) {
    absl::StatusOr<LogFile>& file = log.entries[i].file;
    if (file.ok() && file->Is(place.file) && file->MayHave(place)) return i;
  }
  std::optional<size_t> last;
  for (size_t i = 0; i < log.entries.size(); ++i) {
    absl::StatusOr<LogFile>& file = log.entries[i].file;
    // The live file is no copy. A new log often begins as the one before it did.
    if (!file.ok() || (log.IsLive(i) && !place.is_certain() && place.file.inode != 0)) continue;
    if (!file->MayHave(place)) continue;
    if (log.entries[i].modified_nanos >= place.seen_nanos) return i;
    last = i;
  }
  return last;
}

// The oldest file of which nothing was read, if no file has the place, or the place is blank.
// Nullopt: there is no file.
std::optional<size_t> FirstUnread(const LogFiles& log, const LogPlace& place) {
  for (size_t i = 0; i < log.entries.size(); ++i) {
    const LogFiles::Entry& entry = log.entries[i];
    if (log.IsLive(i)) return i;
    if (entry.file.ok()) {
      if (place.is_blank() && entry.file->Is(place.file)) return i;
      const bool may_be_prior =
          entry.file->is_compressed() ? place.prior.head_size > 0 : entry.file->Is(place.prior);
      if (may_be_prior && entry.file->BeginsAs(place.prior)) continue;
    }
    if (entry.modified_nanos > place.seen_nanos) return i;
  }
  return std::nullopt;
}

}  // namespace

std::string TailReader::Snapshot() const {
  if (file_.has_value()) return Place().ToString();
  return first_place_.has_value() ? first_place_->ToString() : "";
}

absl::StatusOr<SourceState> TailReader::Poll(SourceOutput<std::string>& out) {
  if (!file_.has_value()) {
    const absl::StatusOr<bool> begun = Begin();
    if (!begun.ok()) return begun.status();
    if (!*begun) return SourceState::Idle(options_.poll_interval);
  }
  std::string_view line;
  while (out.WantsMore()) {
    const size_t waiting = buffer_.Rest().size();
    if (buffer_.Next(&line)) {
      next_line_ += static_cast<int64_t>(waiting - buffer_.Rest().size());
      out.Emit(line);
      continue;
    }
    const absl::StatusOr<Found> found = Fill();
    if (!found.ok()) return found.status();
    if (*found == Found::kBytes) continue;
    if (*found == Found::kBusy) return SourceState::More();
    if (*found == Found::kNothingYet) return SourceState::Idle(options_.poll_interval);
    const absl::StatusOr<bool> is_live = file_->IsAt(path_);
    if (!is_live.ok() && !absl::IsNotFound(is_live.status())) return is_live.status();
    // The writer of the old file may not know yet that it was renamed.
    if (is_live.value_or(false) || !std::exchange(was_at_end_, true)) {
      return SourceState::Idle(options_.poll_interval);
    }
    std::string last_line;
    const absl::StatusOr<bool> is_next = OpenNext(last_line);
    if (!is_next.ok()) return is_next.status();
    if (!*is_next) return SourceState::Idle(options_.poll_interval);
    if (!last_line.empty()) out.Emit(last_line);
  }
  return SourceState::More();
}

absl::StatusOr<bool> TailReader::Begin() {
  if (first_place_.has_value()) return Resume(*first_place_, /*was_overwritten=*/false);
  absl::StatusOr<LogFiles> log = LogFiles::Open(path_);
  if (absl::IsUnavailable(log.status())) return false;
  if (!log.ok()) return log.status();
  std::vector<LogFiles::Entry>& entries = log->entries;
  if (entries.empty() || (!log->has_live && !options_.reads_rotated)) {
    if (!must_exist_) return false;
    return LogFile::Open(path_).status();
  }
  size_t first = 0;
  if (!options_.reads_rotated) {
    first = entries.size() - 1;
    for (size_t i = 0; i < first; ++i) {
      seen_nanos_ = std::max(seen_nanos_, entries[i].modified_nanos);
    }
  }
  absl::StatusOr<LogFile>& file = entries[first].file;
  if (!file.ok()) return file.status();
  ContinueIn(*std::move(file), LogPlace());
  return true;
}

absl::StatusOr<bool> TailReader::Resume(const LogPlace& place, bool was_overwritten) {
  absl::StatusOr<LogFiles> log = LogFiles::Open(path_);
  if (absl::IsUnavailable(log.status())) return false;
  if (!log.ok()) return log.status();
  if (log->entries.empty()) {
    if (!must_exist_) return false;
    return LogFile::Open(path_).status();
  }
  seen_nanos_ = std::max(seen_nanos_, place.seen_nanos);
  prior_ = place.prior;
  if (const std::optional<size_t> found = FindPlace(*log, place)) {
    LogFile& file = *log->entries[*found].file;
    copied_ = file.Is(place.file) ? LogFileId() : place.file;
    ContinueIn(std::move(file), place);
    return true;
  }
  if (!place.is_blank() && options_.vanished == VanishedPartitions::kFail) {
    return Lost(place, was_overwritten);
  }
  const std::optional<size_t> first = FirstUnread(*log, place);
  if (!first.has_value()) return false;
  absl::StatusOr<LogFile>& file = log->entries[*first].file;
  if (!file.ok()) return file.status();
  ContinueIn(*std::move(file), LogPlace());
  return true;
}

absl::Status TailReader::Lost(const LogPlace& place, bool was_overwritten) const {
  if (!was_overwritten) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "'%s' is not the file that the last run read up to byte %d, nor is a rotated one, such as "
        "'%s.1': it was replaced or changed; put that file back, or allow "
        "VanishedPartitions::kForget to begin the new one",
        path_, place.offset, path_));
  }
  return absl::DataLossError(absl::StrFormat(
      "'%s' became shorter or was overwritten while it was read: %d bytes were read, and it has %d "
      "now; no copy of it, such as '%s.1', has them; rename a log file to rotate it, or allow "
      "VanishedPartitions::kForget to begin it anew",
      file_->path(), place.offset + static_cast<int64_t>(buffer_.Rest().size()),
      file_->FactsNow().size, path_));
}

absl::StatusOr<bool> TailReader::OpenNext(std::string& last_line) {
  const LogPlace place = Place();
  absl::StatusOr<LogFiles> log = LogFiles::Open(path_);
  if (absl::IsUnavailable(log.status())) return false;
  if (!log.ok()) return log.status();
  std::vector<LogFiles::Entry>& entries = log->entries;
  const auto same = std::ranges::find_if(entries, [this](const LogFiles::Entry& entry) {
    return entry.file.ok() && entry.file->IsSameAs(*file_);
  });
  std::optional<size_t> next;
  if (same != entries.end()) {
    next = static_cast<size_t>(same - entries.begin()) + 1;
  } else if (const std::optional<size_t> copy = FindPlace(*log, place)) {
    next = *copy + 1;  // it was compressed meanwhile
  } else {
    next = FirstUnread(*log, place);  // it was removed
  }
  // Until another file has the name, the old one is read.
  if (next.value_or(entries.size()) >= entries.size()) return false;
  absl::StatusOr<LogFile>& file = entries[*next].file;
  if (!file.ok()) return file.status();
  prior_ = place.file;
  // If the present file is a copy, the original may not be truncated yet.
  if (log->IsLive(*next) && file->Is(copied_) && place.is_certain() && file->MayHave(place)) {
    ContinueIn(*std::move(file), place);
  } else {
    last_line = buffer_.Rest();
    ContinueIn(*std::move(file), LogPlace());
  }
  if (log->IsLive(*next)) copied_ = LogFileId();
  return true;
}

void TailReader::ContinueIn(LogFile file, const LogPlace& place) {
  file_.emplace(std::move(file));
  next_line_ = place.offset;
  continued_at_.reset();
  if (place.offset > 0) continued_at_ = place;
  modified_nanos_ = file_->FactsNow().modified_nanos;
  head_ = file_->head();
  known_.clear();
  buffer_.Clear();
  was_at_end_ = false;
}

absl::StatusOr<TailReader::Found> TailReader::Fill() {
  if (buffer_.Rest().size() >= kMaxLineBytes) {
    return absl::InvalidArgumentError(
        absl::StrFormat("the line of '%s' that begins at byte %d is longer than %d bytes",
                        file_->path(), next_line_, kMaxLineBytes));
  }
  const int64_t end = next_line_ + static_cast<int64_t>(buffer_.Rest().size());
  // Before the read: lines that are added after this moment are not seen, whatever is read.
  const InputFile::Facts facts = file_->FactsNow();
  const bool may_change = !file_->is_compressed();
  const bool was_modified = may_change && facts.modified_nanos != modified_nanos_;
  if (may_change && facts.size < std::max(end, static_cast<int64_t>(head_.size()))) {
    return LeaveOverwritten();
  }
  if (continued_at_.has_value()) return ReadKnownBytes();
  if (was_modified && end == 0 && head_.empty()) {
    const absl::StatusOr<bool> is_first = IsFirstUnread();
    if (!is_first.ok()) return is_first.status();
    if (!*is_first) return Found::kNothingYet;
  }
  known_ = KnownBytes();
  const std::span<char> room = buffer_.Room();
  const absl::StatusOr<InputFile::Piece> piece = file_->ReadAt(end, room.data(), room.size());
  if (!piece.ok()) return piece.status();
  const std::string_view bytes(room.data(), piece->size);
  // After the read: the file may have been truncated and written anew before it.
  if ((was_modified || piece->size > 0) && IsOverwritten(end, bytes)) return LeaveOverwritten();
  if (piece->found == Found::kBytes) {
    AddToHead(end, bytes);
    buffer_.Add(piece->size);
    was_at_end_ = false;
  }
  modified_nanos_ = facts.modified_nanos;
  seen_nanos_ = std::max(seen_nanos_, facts.modified_nanos);
  return piece->found;
}

bool TailReader::IsOverwritten(int64_t end, std::string_view added) {
  if (file_->is_compressed()) return false;
  if (end == 0) return !added.starts_with(std::string_view(head_).substr(0, added.size()));
  const std::string_view rest = buffer_.Rest();
  const std::string expected = absl::StrCat(known_, absl::string_view(rest.data(), rest.size()));
  return file_->BytesBefore(end) != LastBytes(expected);
}

// Of an empty file only the time tells that it had lines, and was copied and truncated.
absl::StatusOr<bool> TailReader::IsFirstUnread() {
  absl::StatusOr<LogFiles> log = LogFiles::Open(path_);
  if (absl::IsUnavailable(log.status())) return false;
  if (!log.ok()) return log.status();
  const std::optional<size_t> first = FirstUnread(*log, Place());
  if (!first.has_value()) return true;
  absl::StatusOr<LogFile>& file = log->entries[*first].file;
  if (!file.ok()) return file.status();
  if (file->IsSameAs(*file_)) return true;
  ContinueIn(*std::move(file), LogPlace());
  return false;
}

absl::StatusOr<TailReader::Found> TailReader::ReadKnownBytes() {
  const auto count = static_cast<size_t>(std::min(next_line_, static_cast<int64_t>(kKnownBytes)));
  std::array<char, kKnownBytes> bytes;
  const int64_t begin = next_line_ - static_cast<int64_t>(count - known_.size());
  const absl::StatusOr<InputFile::Piece> piece =
      file_->ReadAt(begin, bytes.data(), count - known_.size());
  if (!piece.ok()) return piece.status();
  if (piece->found == Found::kBusy) return Found::kBusy;
  known_.append(bytes.data(), piece->size);
  const bool is_whole = known_.size() == count;
  if (piece->found == Found::kBytes && !is_whole) return Found::kBytes;
  if (is_whole && HashOfBytes(known_) == continued_at_->tail) {
    continued_at_.reset();
    return Found::kBytes;
  }
  if (!file_->is_compressed()) return LeaveOverwritten();
  return absl::DataLossError(absl::StrFormat(
      "'%s' begins as the file that was read up to byte %d, but differs from it before that byte; "
      "put that file back, or remove this one and allow VanishedPartitions::kForget",
      file_->path(), next_line_));
}

// The file was copied and truncated. Its rest is in the copy.
absl::StatusOr<TailReader::Found> TailReader::LeaveOverwritten() {
  const absl::StatusOr<bool> resumed = Resume(Place(), /*was_overwritten=*/true);
  if (!resumed.ok()) return resumed.status();
  return *resumed ? Found::kBytes : Found::kNothingYet;
}

LogPlace TailReader::Place() const {
  LogFileId id = file_->Id();
  id.head_size = head_.size();
  id.head = HashOfBytes(head_);
  return {.offset = next_line_,
          .tail = continued_at_.has_value() ? continued_at_->tail : HashOfBytes(KnownBytes()),
          .file = id,
          .seen_nanos = seen_nanos_,
          .prior = prior_};
}

std::string TailReader::KnownBytes() const {
  const std::string_view taken = LastBytes(buffer_.Taken());
  const size_t before = std::min(known_.size(), kKnownBytes - taken.size());
  return absl::StrCat(absl::string_view(known_).substr(known_.size() - before),
                      absl::string_view(taken.data(), taken.size()));
}

void TailReader::AddToHead(int64_t offset, std::string_view bytes) {
  const size_t begin = head_.size();
  if (begin == kKnownBytes || offset > static_cast<int64_t>(begin)) return;
  const auto skipped = begin - static_cast<size_t>(offset);
  if (skipped < bytes.size()) head_.append(bytes.substr(skipped, kKnownBytes - begin));
}

}  // namespace headway::internal
