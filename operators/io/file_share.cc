#include "operators/io/file_share.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace headway::internal {

FileShare::FileShare(std::vector<int64_t> sizes, int64_t stripe_bytes, int worker_index,
                     int worker_count)
    : sizes_(std::move(sizes)), stripe_bytes_(stripe_bytes), worker_index_(worker_index) {
  // Ascending, and so a heap.
  for (int worker = 0; worker < worker_count; ++worker) loads_.push_back({0, worker});
}

std::optional<FileStripe> FileShare::Next() {
  while (file_ < sizes_.size()) {
    const int64_t size = sizes_[file_];
    FileStripe stripe{.file = file_, .begin = begin_, .end = size};
    // A file of unknown size counts like one of a stripe.
    int64_t bytes = kStripeBytes;
    if (size != kUnknownFileSize) {
      stripe.end = begin_ + std::min(size - begin_, stripe_bytes_);
      bytes = stripe.end - stripe.begin;
    }
    begin_ = stripe.end;
    if (begin_ == size) {
      ++file_;
      begin_ = 0;
    }
    std::pop_heap(loads_.begin(), loads_.end(), std::greater<>());
    Load& least = loads_.back();
    const bool is_mine = least.worker == worker_index_;
    least.bytes += bytes;
    std::push_heap(loads_.begin(), loads_.end(), std::greater<>());
    if (is_mine) return stripe;
  }
  return std::nullopt;
}

}  // namespace headway::internal
