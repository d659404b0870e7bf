#ifndef HEADWAY_ENGINE_BATCH_STRING_ARENA_H_
#define HEADWAY_ENGINE_BATCH_STRING_ARENA_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>
#include <utility>

#include "check.h"
#include "comm/local/fabric.h"
#include "comm/memory/block.h"
#include "engine/batch/batch_string.h"
#include "engine/batch/block_owner.h"

namespace headway::internal {

// The common part of batches of records with strings. The bytes of all strings lie one after
// another at the front of the block. A row for each record grows from the back; it has the end of
// each of the record's strings, and the other elements. Between them is room to read and write
// beyond a string's end.
//
// `Row` is plain memory with a member `std::array<uint32_t, n> ends`, n >= 1. A moved-from arena is
// empty.
template <class Row>
class StringArena {
 public:
  StringArena() = default;
  StringArena(StringArena&& other) noexcept
      : owner_(std::move(other.owner_)),
        bytes_(std::exchange(other.bytes_, nullptr)),
        rows_(std::exchange(other.rows_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        used_(std::exchange(other.used_, 0)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  StringArena& operator=(StringArena&& other) noexcept {
    std::swap(owner_, other.owner_);
    std::swap(bytes_, other.bytes_);
    std::swap(rows_, other.rows_);
    std::swap(size_, other.size_);
    std::swap(used_, other.used_);
    std::swap(capacity_, other.capacity_);
    return *this;
  }
  // Adopts a block that an arena of the same rows released.
  StringArena(Endpoint* endpoint, Block* block) {
    Attach(endpoint, block);
    size_ = block->record_count;
    used_ = StartOf(size_);
  }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  bool has_default_block() const { return owner_.has_default_block(); }

  void CopyFrom(Endpoint& endpoint, const StringArena& other) {
    AllocateBytes(endpoint, other.capacity_);
    Fill(other);
  }

  void Shrink(Endpoint& endpoint) {
    const size_t bytes = used_ + kBeyond + size_ * sizeof(Row);
    if (!IsMostlyEmpty(*owner_.get(), bytes)) return;
    StringArena small;
    small.Attach(&endpoint, endpoint.pool().GetTight(bytes));
    small.Fill(*this);
    *this = std::move(small);
  }

  // Keeps the first `count` records.
  void Truncate(size_t count) {
    used_ = StartOf(count);
    size_ = static_cast<uint32_t>(count);
  }

  // The parts of a released block that another process needs.
  static WireParts PartsOf(const Block& block) {
    const uint32_t rows_bytes = block.record_count * static_cast<uint32_t>(sizeof(Row));
    const auto* rows = reinterpret_cast<const Row*>(block.payload() + RowsEnd(block));
    const ptrdiff_t last = -static_cast<ptrdiff_t>(block.record_count);
    const uint32_t used = block.record_count == 0 ? 0 : rows[last].ends.back();
    return {.front_bytes = used + static_cast<uint32_t>(kBeyond), .back_bytes = rows_bytes};
  }
  // Returns true if a block of another process holds the strings that its rows describe, and the
  // bytes that are read beyond them.
  static bool CheckParts(const Block& block) {
    const size_t capacity = RowsEnd(block);
    if (capacity < kBeyond || block.record_count > (capacity - kBeyond) / sizeof(Row)) return false;
    const auto* rows = reinterpret_cast<const Row*>(block.payload() + capacity);
    const size_t limit = capacity - kBeyond - block.record_count * sizeof(Row);
    uint32_t last = 0;
    for (uint32_t i = 0; i < block.record_count; ++i) {
      for (const uint32_t end : rows[-static_cast<ptrdiff_t>(i) - 1].ends) {
        if (end < last || end > limit) return false;
        last = end;
      }
    }
    return true;
  }

  Block* Release() {
    Block* block = owner_.Release();
    std::memset(bytes_ + used_, 0, kBeyond);  // other processes receive these bytes too
    block->record_count = size_;
    bytes_ = nullptr;
    rows_ = nullptr;
    size_ = used_ = capacity_ = 0;
    return block;
  }

 protected:
  static constexpr size_t kBeyond = BatchString::kReadableBeyond;

  const Row& RowAt(size_t i) const { return rows_[-static_cast<ptrdiff_t>(i) - 1]; }
  // The offset of the first string of record i.
  uint32_t StartOf(size_t i) const { return i == 0 ? 0 : RowAt(i - 1).ends.back(); }
  BatchString StringAt(uint32_t start, uint32_t end) const {
    return BatchString({bytes_ + start, end - start});
  }

  // Returns true if one more record with `bytes` bytes of strings fits behind offset `used`.
  bool HasRoom(uint32_t used, size_t bytes) const {
    return bytes + used + kBeyond + (size_t{size_} + 1) * sizeof(Row) <= capacity_;
  }
  // Writes a string at offset `at` and returns the offset of its end. REQUIRES: room for it.
  uint32_t Write(uint32_t at, std::string_view string) {
    if (!string.empty()) std::memcpy(bytes_ + at, string.data(), string.size());
    return at + static_cast<uint32_t>(string.size());
  }
  uint32_t Write(uint32_t at, BatchString string) {
    if (string.size() <= kBeyond) [[likely]] {
      std::memcpy(bytes_ + at, string.data(), kBeyond);
    } else {
      std::memcpy(bytes_ + at, string.data(), string.size());
    }
    return at + static_cast<uint32_t>(string.size());
  }
  // Adds the row of a record whose strings have been written.
  void AddRow(const Row& row) {
    const uint32_t size = size_ + 1;
    rows_[-static_cast<ptrdiff_t>(size)] = row;
    used_ = row.ends.back();
    size_ = size;
  }

  // Gets a block with room for a record with `bytes` bytes of strings.
  void AllocateFor(Endpoint& endpoint, size_t bytes) {
    AllocateBytes(endpoint, bytes + sizeof(Row) + kBeyond);
  }

  // The offset in the payload where the rows end.
  static size_t RowsEnd(const Block& block) { return block.capacity & ~(alignof(Row) - 1); }

  BlockOwner owner_;
  char* bytes_ = nullptr;
  Row* rows_ = nullptr;  // one past the last slot; slot -1 - i holds record i
  uint32_t size_ = 0;
  uint32_t used_ = 0;
  uint32_t capacity_ = 0;

 private:
  // Rows are read in place in memory that comes from another process.
  static_assert(std::is_trivially_copyable_v<Row> && alignof(Row) <= 8);

  // Copies all records. REQUIRES: room for them; this arena is empty.
  void Fill(const StringArena& other) {
    size_ = other.size_;
    used_ = other.used_;
    if (size_ == 0) return;
    std::memcpy(bytes_, other.bytes_, used_);
    std::memcpy(static_cast<void*>(rows_ - size_), other.rows_ - size_, size_ * sizeof(Row));
  }

  void AllocateBytes(Endpoint& endpoint, size_t bytes) {
    HEADWAY_DCHECK(size_ == 0);
    Attach(&endpoint,
           bytes <= kBlockPayloadBytes ? endpoint.pool().Get() : endpoint.pool().GetAtLeast(bytes));
    size_ = used_ = 0;
  }

  void Attach(Endpoint* endpoint, Block* block) {
    owner_.Reset(endpoint, block);
    bytes_ = reinterpret_cast<char*>(block->payload());
    capacity_ = static_cast<uint32_t>(RowsEnd(*block));
    rows_ = reinterpret_cast<Row*>(bytes_ + capacity_);
  }
};

// Iterates by index, so that a batch works in a range-for.
template <class Batch>
class BatchIterator {
 public:
  BatchIterator(const Batch* batch, size_t i) : batch_(batch), i_(i) {}
  decltype(auto) operator*() const { return (*batch_)[i_]; }
  BatchIterator& operator++() {
    ++i_;
    return *this;
  }
  bool operator!=(const BatchIterator& other) const { return i_ != other.i_; }

 private:
  const Batch* batch_;
  size_t i_;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_BATCH_STRING_ARENA_H_
