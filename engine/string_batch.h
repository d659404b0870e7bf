#ifndef HEADWAY_ENGINE_STRING_BATCH_H_
#define HEADWAY_ENGINE_STRING_BATCH_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "headway/check.h"
#include "headway/comm/block.h"
#include "headway/comm/fabric.h"
#include "headway/engine/batch_string.h"
#include "headway/engine/block_owner.h"

namespace headway {

// Strings in columns: the bytes of all strings, one after another, from the front of the block; the
// end of each from the back, and between them room to read and write beyond a string's end. Records
// are seen as `BatchString`, a std::string_view which is valid as long as the batch is; what is
// kept is copied.
class StringBatch {
 public:
  using Record = std::string;

  StringBatch() = default;
  StringBatch(StringBatch&& other) noexcept
      : owner_(std::move(other.owner_)),
        bytes_(std::exchange(other.bytes_, nullptr)),
        ends_(std::exchange(other.ends_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        used_(std::exchange(other.used_, 0)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  StringBatch& operator=(StringBatch&& other) noexcept {
    std::swap(owner_, other.owner_);
    std::swap(bytes_, other.bytes_);
    std::swap(ends_, other.ends_);
    std::swap(size_, other.size_);
    std::swap(used_, other.used_);
    std::swap(capacity_, other.capacity_);
    return *this;
  }
  StringBatch(internal::Endpoint* endpoint, internal::Block* block) {
    Attach(endpoint, block);
    size_ = block->record_count;
    used_ = size_ == 0 ? 0 : End(size_ - 1);
  }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  BatchString operator[](size_t i) const {
    uint32_t start = i == 0 ? 0 : End(i - 1);
    return BatchString({bytes_ + start, End(i) - start});
  }
  BatchString Take(size_t i) { return (*this)[i]; }

  bool TryAppend(std::string_view record) {
    const uint32_t used = used_;
    if (!HasRoom(used, record.size())) [[unlikely]] {
      return false;
    }
    if (!record.empty()) std::memcpy(bytes_ + used, record.data(), record.size());
    AddEnd(used + static_cast<uint32_t>(record.size()));
    return true;
  }
  bool TryAppend(BatchString record) {
    const uint32_t used = used_;
    if (!HasRoom(used, record.size())) [[unlikely]] {
      return false;
    }
    char* to = bytes_ + used;
    if (record.size() <= kBeyond) [[likely]] {
      std::memcpy(to, record.data(), kBeyond);
    } else {
      std::memcpy(to, record.data(), record.size());
    }
    AddEnd(used + static_cast<uint32_t>(record.size()));
    return true;
  }

  void Allocate(internal::Endpoint& endpoint, std::string_view record) {
    AllocateBytes(endpoint, record.size() + sizeof(uint32_t) + kBeyond);
  }

  void CopyFrom(internal::Endpoint& endpoint, const StringBatch& other) {
    AllocateBytes(endpoint, other.capacity_);
    for (size_t i = 0; i < other.size(); ++i) TryAppend(other[i]);
  }

  void Shrink(internal::Endpoint& endpoint) {
    const size_t ends_bytes = size_ * sizeof(uint32_t);
    const size_t bytes = used_ + kBeyond + ends_bytes;
    if (!internal::IsMostlyEmpty(*owner_.get(), bytes)) return;
    StringBatch small;
    small.Attach(&endpoint, endpoint.pool().GetTight(bytes));
    std::memcpy(small.bytes_, bytes_, used_);
    std::memcpy(small.ends_ - size_, ends_ - size_, ends_bytes);
    small.size_ = size_;
    small.used_ = used_;
    *this = std::move(small);
  }

  // Keeps the first `count` records.
  void Truncate(size_t count) {
    used_ = count == 0 ? 0 : End(count - 1);
    size_ = static_cast<uint32_t>(count);
  }
  void Clear() { Truncate(0); }

  // What another process needs of a block that a batch released, and whether a block from there
  // holds the strings that it says, and what is read beyond them.
  static internal::WireParts PartsOf(const internal::Block& block) {
    const uint32_t ends_bytes = block.record_count * static_cast<uint32_t>(sizeof(uint32_t));
    return {.front_bytes = block.byte_count - ends_bytes + static_cast<uint32_t>(kBeyond),
            .back_bytes = ends_bytes};
  }
  static bool CheckParts(const internal::Block& block) {
    const uint32_t capacity = block.capacity & ~uint32_t{3};
    if (capacity < kBeyond || block.record_count > (capacity - kBeyond) / sizeof(uint32_t)) {
      return false;
    }
    const auto* ends = reinterpret_cast<const uint32_t*>(block.payload() + capacity);
    const uint32_t limit = capacity - static_cast<uint32_t>(kBeyond) -
                           block.record_count * static_cast<uint32_t>(sizeof(uint32_t));
    uint32_t last = 0;
    for (uint32_t i = 0; i < block.record_count; ++i) {
      const uint32_t end = ends[-static_cast<ptrdiff_t>(i) - 1];
      if (end < last || end > limit) return false;
      last = end;
    }
    return true;
  }

  internal::Block* Release() {
    internal::Block* block = owner_.Release();
    std::memset(bytes_ + used_, 0, kBeyond);  // goes to other processes, too
    block->record_count = size_;
    block->byte_count = used_ + size_ * static_cast<uint32_t>(sizeof(uint32_t));
    bytes_ = nullptr;
    ends_ = nullptr;
    size_ = used_ = capacity_ = 0;
    return block;
  }

  // How many strings of up to kShortMax bytes there is room for, at least.
  static constexpr size_t kShortMax = BatchString::kReadableBeyond;
  size_t room_for_short() const {
    const size_t taken = used_ + kBeyond + size_ * sizeof(uint32_t);
    return taken >= capacity_ ? 0 : (capacity_ - taken) / (kShortMax + sizeof(uint32_t));
  }

  // Appends short strings in a loop that keeps what it needs in registers: the batch could be
  // changed by any of the characters that are written, as far as the compiler knows.
  class ShortWriter {
   public:
    explicit ShortWriter(const StringBatch& batch)
        : bytes_(batch.bytes_), ends_(batch.ends_), size_(batch.size_), used_(batch.used_) {}
    // Writes a string, and keeps it if `keep` is 1; otherwise (0) the next takes its place.
    // REQUIRES: record.size() <= kShortMax, and room for it.
    void Write(BatchString record, uint32_t keep) {
      const auto size = static_cast<uint32_t>(record.size());
      std::memcpy(bytes_ + used_, record.data(), kShortMax);
      ends_[-static_cast<ptrdiff_t>(size_) - 1] = used_ + size;
      size_ += keep;
      used_ += size & (0 - keep);
    }
    // What was kept belongs to the batch.
    void Finish(StringBatch& batch) const {
      batch.size_ = size_;
      batch.used_ = used_;
    }

   private:
    char* const bytes_;
    uint32_t* const ends_;
    uint32_t size_;
    uint32_t used_;
  };

  // Iteration, so that a batch can stand in a range-for.
  class Iterator {
   public:
    Iterator(const StringBatch* batch, size_t i) : batch_(batch), i_(i) {}
    BatchString operator*() const { return (*batch_)[i_]; }
    Iterator& operator++() {
      ++i_;
      return *this;
    }
    bool operator!=(const Iterator& other) const { return i_ != other.i_; }

   private:
    const StringBatch* batch_;
    size_t i_;
  };
  Iterator begin() const { return {this, 0}; }
  Iterator end() const { return {this, size_}; }

 private:
  static constexpr size_t kBeyond = BatchString::kReadableBeyond;

  bool HasRoom(uint32_t used, size_t bytes) const {
    return bytes + used + kBeyond + (size_t{size_} + 1) * sizeof(uint32_t) <= capacity_;
  }
  void AddEnd(uint32_t end) {
    const uint32_t size = size_ + 1;
    ends_[-static_cast<ptrdiff_t>(size)] = end;
    used_ = end;
    size_ = size;
  }
  uint32_t End(size_t i) const { return ends_[-static_cast<ptrdiff_t>(i) - 1]; }

  void AllocateBytes(internal::Endpoint& endpoint, size_t bytes) {
    HEADWAY_DCHECK(size_ == 0);
    Attach(&endpoint, bytes <= internal::kBlockPayloadBytes ? endpoint.pool().Get()
                                                            : endpoint.pool().GetAtLeast(bytes));
    size_ = used_ = 0;
  }

  void Attach(internal::Endpoint* endpoint, internal::Block* block) {
    owner_.Reset(endpoint, block);
    bytes_ = reinterpret_cast<char*>(block->payload());
    capacity_ = block->capacity & ~uint32_t{3};
    ends_ = reinterpret_cast<uint32_t*>(bytes_ + capacity_);
  }

  internal::BlockOwner owner_;
  char* bytes_ = nullptr;
  uint32_t* ends_ = nullptr;  // one past the last slot; slot -1 - i holds the end of record i
  uint32_t size_ = 0;
  uint32_t used_ = 0;
  uint32_t capacity_ = 0;
};

}  // namespace headway

#endif  // HEADWAY_ENGINE_STRING_BATCH_H_
