#include "operators/io/line_locator.h"

#include <algorithm>
#include <cstddef>

namespace headway::internal {
namespace {

constexpr size_t kLocatorBufferBytes = size_t{256} << 10;

}  // namespace

void LineLocator::Start(const std::string& path) {
  file_.emplace();
  offset_ = 0;
  line_ = 1;
  if (!file_->Open(path).ok() || !file_->is_regular()) file_.reset();
  if (buffer_ == nullptr) buffer_ = std::make_unique_for_overwrite<char[]>(kLocatorBufferBytes);
}

int64_t LineLocator::LineAt(const std::string& path, int64_t offset) {
  if (!file_.has_value() || file_->path() != path || offset < offset_) Start(path);
  if (!file_.has_value()) return 0;
  while (offset_ < offset) {
    const auto wanted = std::min(kLocatorBufferBytes, static_cast<size_t>(offset - offset_));
    const absl::StatusOr<InputFile::Piece> piece = file_->ReadAt(offset_, buffer_.get(), wanted);
    if (!piece.ok() || piece->found != InputFile::Found::kBytes) return 0;
    line_ += std::count(buffer_.get(), buffer_.get() + piece->size, '\n');
    offset_ += static_cast<int64_t>(piece->size);
  }
  return line_;
}

}  // namespace headway::internal
