#include "comm/local/broadcast_log.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "check.h"

namespace headway::internal {
namespace {

// A buffer above this size does not survive a much smaller entry. Otherwise one burst would keep
// its memory in every slot.
constexpr size_t kKeptBufferBytes = 64 * 1024;

}  // namespace

BroadcastLog::BroadcastLog(int readers, size_t frames)
    : frame_count_(frames),
      reader_count_(readers),
      frames_(std::make_unique<Frame[]>(frames)),
      readers_(std::make_unique<Reader[]>(static_cast<size_t>(readers))),
      buffers_(std::make_unique<Buffer[]>(frames)) {
  HEADWAY_CHECK(std::has_single_bit(frames));
  for (int i = 0; i < readers; ++i) readers_[i].log_ = this;
}

bool BroadcastLog::TryPublish(uint32_t dataflow, std::span<const std::byte> bytes) {
  HEADWAY_CHECK(bytes.size() <= std::numeric_limits<uint32_t>::max());
  if (reader_count_ == 0) return true;
  if (!SlotIsFree()) return false;
  const size_t slot = position_ & (frame_count_ - 1);
  Frame& frame = frames_[slot];
  std::byte* large = ResizeBuffer(&buffers_[slot], bytes.size());
  if (large == nullptr) {
    if (!bytes.empty()) std::memcpy(frame.data, bytes.data(), bytes.size());
  } else {
    std::memcpy(large, bytes.data(), bytes.size());
    std::memcpy(frame.data, &large, sizeof(large));
  }
  frame.dataflow = dataflow;
  frame.size = static_cast<uint32_t>(bytes.size());
  frame.sequence.store(++position_, std::memory_order_release);
  return true;
}

// The readers' cursors are read only when the ring wraps around to the slowest position known.
bool BroadcastLog::SlotIsFree() {
  if (position_ < slowest_ + frame_count_) return true;
  uint64_t slowest = position_;
  for (int i = 0; i < reader_count_; ++i) {
    slowest = std::min(slowest, readers_[i].passed_.load(std::memory_order_acquire));
  }
  slowest_ = slowest;
  return position_ < slowest_ + frame_count_;
}

// Returns where an entry of `size` bytes goes, or null when it goes into the frame itself.
std::byte* BroadcastLog::ResizeBuffer(Buffer* buffer, size_t size) {
  if (buffer->capacity > kKeptBufferBytes && size <= buffer->capacity / 4) *buffer = Buffer{};
  if (size <= kInlineBytes) return nullptr;
  if (buffer->capacity < size) {
    const size_t capacity = std::bit_ceil(size);
    buffer->data = std::make_unique_for_overwrite<std::byte[]>(capacity);
    buffer->capacity = capacity;
  }
  return buffer->data.get();
}

bool BroadcastLog::Reader::TryRead(uint32_t* dataflow, std::span<const std::byte>* bytes) const {
  if (empty()) return false;
  const Frame& frame = log_->frames_[position_ & (log_->frame_count_ - 1)];
  const std::byte* data = frame.data;
  if (frame.size > kInlineBytes) std::memcpy(&data, frame.data, sizeof(data));
  *dataflow = frame.dataflow;
  *bytes = {data, frame.size};
  return true;
}

bool BroadcastLog::Reader::empty() const {
  const Frame& frame = log_->frames_[position_ & (log_->frame_count_ - 1)];
  return frame.sequence.load(std::memory_order_acquire) != position_ + 1;
}

}  // namespace headway::internal
