#include "operators/io/line_reader.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "engine/runtime/status_macros.h"

namespace headway::internal {
namespace {

constexpr size_t kBufferBytes = size_t{256} << 10;

}  // namespace

absl::Status LineReader::Open(const std::string& path) {
  continues_ = false;
  return file_.Open(path);
}

absl::Status LineReader::BeginStripe(const FileStripe& stripe, int64_t size) {
  size_ = size;
  open_bytes_ = 0;
  continued_ = {};
  const bool follows = continues_ && stripe.begin == stripe_end_;
  stripe_end_ = stripe.end;
  return follows ? absl::OkStatus() : MoveToFirstLineFrom(stripe.begin);
}

absl::Status LineReader::ContinueStripe(const FileStripe& stripe, int64_t size, LinePosition from) {
  size_ = size;
  open_bytes_ = from.open_bytes;
  stripe_end_ = stripe.end;
  continued_ = {.is_pending = from.open_bytes > 0};
  if (!continued_.is_pending) return MoveToFirstLineFrom(from.next);
  MoveTo(from.next + from.open_bytes);
  continues_ = false;
  return absl::OkStatus();
}

absl::StatusOr<InputFile::Found> LineReader::ReturnToOpenLine() {
  while (begin_ == end_ && !AtEnd()) {
    absl::StatusOr<InputFile::Found> filled = Fill();
    if (!filled.ok() || *filled == InputFile::Found::kNothingYet ||
        *filled == InputFile::Found::kBusy) {
      return filled;
    }
  }
  continued_.is_pending = false;
  if (begin_ == end_) return InputFile::Found::kEnd;
  // A line end that was added may be within the quotes of a row: only the whole row tells.
  continued_.bytes = std::exchange(open_bytes_, 0);
  MoveTo(position_ - continued_.bytes);
  return InputFile::Found::kBytes;
}

absl::StatusOr<bool> LineReader::HasGrown() {
  if (!file_.is_regular() || file_.is_compressed()) return false;
  HEADWAY_RETURN_IF_ERROR(Fill().status());
  return end_ > begin_ && file_.SizeNow() > 0;
}

void LineReader::MoveTo(int64_t position) {
  begin_ = end_ = searched_ = 0;
  position_ = position;
  ended_ = false;
  continues_ = true;
}

absl::Status LineReader::MoveToFirstLineFrom(int64_t position) {
  MoveTo(position);
  if (position == 0) return absl::OkStatus();
  if (position < stripe_end_) {
    absl::StatusOr<bool> found = SkipToFirstLineFrom(position);
    if (!found.ok() || *found) return found.status();
    position_ = stripe_end_;  // no line begins in the stripe, and maybe none in the next
  }
  continues_ = false;
  return absl::OkStatus();
}

// The first line begins after the first line end from the byte before the position on.
absl::StatusOr<bool> LineReader::SkipToFirstLineFrom(int64_t position) {
  position_ = position - 1;
  for (;;) {
    HEADWAY_RETURN_IF_ERROR(Fill().status());
    const char* newline = static_cast<const char*>(std::memchr(buffer_.get(), '\n', end_));
    if (newline != nullptr) {
      begin_ = static_cast<size_t>(newline - buffer_.get()) + 1;
      position_ += static_cast<int64_t>(begin_);
      return true;
    }
    position_ += static_cast<int64_t>(end_);
    begin_ = end_ = 0;
    if (AtEnd() || position_ >= stripe_end_) return false;
  }
}

bool LineReader::HasPositions() const {
  if (!is_stream() || file_.is_compressed()) return true;
  return file_.is_regular() && (file_.SizeNow() > 0 || position_ == 0);
}

absl::Status LineReader::MakeRoom() {
  if (begin_ > 0) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ < capacity_) return absl::OkStatus();
  if (capacity_ >= max_line_bytes_) {
    return absl::InvalidArgumentError(
        absl::StrFormat("the line of '%s' that begins at byte %d is longer than %d bytes", path(),
                        position_, max_line_bytes_));
  }
  const size_t capacity = std::max(kBufferBytes, 2 * capacity_);
  auto larger = std::make_unique_for_overwrite<char[]>(capacity + kPadding);
  if (end_ > 0) std::memcpy(larger.get(), buffer_.get(), end_);
  buffer_ = std::move(larger);
  capacity_ = capacity;
  return absl::OkStatus();
}

absl::StatusOr<InputFile::Found> LineReader::Fill() {
  HEADWAY_RETURN_IF_ERROR(MakeRoom());
  const int64_t offset = position_ + static_cast<int64_t>(end_);
  size_t wanted = capacity_ - end_;
  if (!is_stream()) {
    wanted = std::min(wanted, static_cast<size_t>(std::max<int64_t>(0, size_ - offset)));
  }
  absl::StatusOr<InputFile::Piece> piece = file_.ReadAt(offset, buffer_.get() + end_, wanted);
  if (!piece.ok()) return piece.status();
  end_ += piece->size;
  if (piece->found == InputFile::Found::kEnd) {
    ended_ = true;
    HEADWAY_RETURN_IF_ERROR(CheckNotShorter(offset));
  }
  return piece->found;
}

absl::Status LineReader::CheckNotShorter(int64_t end) const {
  // Files of /sys have fewer bytes than their size says. They have not changed.
  if (is_stream() || file_.SizeNow() >= size_) return absl::OkStatus();
  return absl::DataLossError(absl::StrFormat(
      "'%s' became shorter while it was read: it had %d bytes, and ends before byte %d now; do not "
      "shorten files that are being read",
      path(), size_, end));
}

}  // namespace headway::internal
