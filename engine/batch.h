#ifndef HEADWAY_ENGINE_BATCH_H_
#define HEADWAY_ENGINE_BATCH_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "headway/check.h"
#include "headway/comm/block.h"
#include "headway/comm/fabric.h"
#include "headway/engine/batch_string.h"

// A batch is a run of records at one timestamp, in one recycled memory block. `Batch<D>` is the
// batch of the records of a `Stream<D>`: a plain array for most types, columns (bytes and offsets
// in one arena) for strings. A batch belongs to one owner at a time, lives on its worker's thread,
// and must not outlive its worker.
//
// Every batch type has the same few members, so that a step is written once for all of them:
//   size(), empty()       number of records
//   operator[](i)         read record i: `const D&`, or `BatchString` (a std::string_view) for
//   strings Take(i)               consume record i: `D&&`, or `BatchString` for strings
//   TryAppend(record)     adds a record; false when there is no room, or no block yet
//   Allocate(endpoint, record)  gets a block with room for at least that record. REQUIRES: empty
//   CopyFrom(endpoint, batch)   a deep copy. REQUIRES: empty
//   Shrink(endpoint)            moves the records to a block of their size, if they fill less than
//                               half of theirs

namespace headway {

namespace internal {

// The parts of a block's payload that hold a batch: so many bytes from the front, so many up to the
// end. What lies between is not sent to another process.
struct WireParts {
  uint32_t front_bytes = 0;
  uint32_t back_bytes = 0;
};

// Whether records of so many bytes leave more than half of the block unused, and a block of their
// size, which BlockPool::GetTight rounds up to a cache line, would be smaller.
inline bool IsMostlyEmpty(const Block& block, size_t bytes) {
  return bytes < block.capacity / 2 && block.capacity > sizeof(Block);
}

// What all batches share: ownership of one block, and the worker's endpoint to which the block is
// given back.
class BlockOwner {
 public:
  BlockOwner() = default;
  BlockOwner(Endpoint* endpoint, Block* block) : endpoint_(endpoint), block_(block) {}
  BlockOwner(BlockOwner&& other) noexcept
      : endpoint_(other.endpoint_), block_(std::exchange(other.block_, nullptr)) {}
  BlockOwner& operator=(BlockOwner&& other) noexcept {
    std::swap(endpoint_, other.endpoint_);
    std::swap(block_, other.block_);
    return *this;
  }
  ~BlockOwner() {
    if (block_ != nullptr) endpoint_->Recycle(block_);
  }

  void Reset(Endpoint* endpoint, Block* block) {
    if (block_ != nullptr) endpoint_->Recycle(block_);
    endpoint_ = endpoint;
    block_ = block;
  }
  Block* get() const { return block_; }
  Block* Release() { return std::exchange(block_, nullptr); }
  Endpoint* endpoint() const { return endpoint_; }

 private:
  Endpoint* endpoint_ = nullptr;
  Block* block_ = nullptr;
};

}  // namespace internal

// The default batch: an array of records. For trivially copyable records it is plain memory.
template <class D>
class VectorBatch {
 public:
  static_assert(alignof(D) <= 64, "a record type may be aligned to at most 64 bytes");
  using Record = D;

  VectorBatch() = default;
  VectorBatch(VectorBatch&& other) noexcept
      : owner_(std::move(other.owner_)),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  VectorBatch& operator=(VectorBatch&& other) noexcept {
    std::swap(owner_, other.owner_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    return *this;
  }
  ~VectorBatch() { Clear(); }

  // Adopts a block that a batch of the same type released.
  VectorBatch(internal::Endpoint* endpoint, internal::Block* block)
      : owner_(endpoint, block),
        data_(std::launder(reinterpret_cast<D*>(block->payload()))),
        size_(block->record_count),
        capacity_(static_cast<uint32_t>(block->capacity / sizeof(D))) {
    block->destroy_records = nullptr;
  }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  size_t room() const { return capacity_ - size_; }
  D* begin() { return data_; }
  D* end() { return data_ + size_; }
  const D* begin() const { return data_; }
  const D* end() const { return data_ + size_; }
  const D& operator[](size_t i) const { return data_[i]; }
  D&& Take(size_t i) { return std::move(data_[i]); }

  template <class U>
  bool TryAppend(U&& record) {
    if (size_ == capacity_) [[unlikely]] {
      return false;
    }
    new (data_ + size_) D(std::forward<U>(record));
    ++size_;
    return true;
  }

  template <class U>
  void Allocate(internal::Endpoint& endpoint, const U&) {
    AllocateRoom(endpoint);
  }
  void AllocateRoom(internal::Endpoint& endpoint) {
    HEADWAY_DCHECK(size_ == 0);
    Attach(endpoint, sizeof(D) <= internal::kBlockPayloadBytes
                         ? endpoint.pool().Get()
                         : endpoint.pool().GetAtLeast(sizeof(D)));
  }

  void CopyFrom(internal::Endpoint& endpoint, const VectorBatch& other) {
    static_assert(std::is_copy_constructible_v<D>,
                  "a stream that is used twice needs records that can be copied");
    AllocateRoom(endpoint);
    if constexpr (std::is_trivially_copyable_v<D>) {
      std::memcpy(static_cast<void*>(data_), other.data_, other.size_ * sizeof(D));
      size_ = other.size_;
    } else {
      for (const D& record : other) TryAppend(record);
    }
  }

  void Shrink(internal::Endpoint& endpoint) {
    const size_t bytes = size_ * sizeof(D);
    if (!internal::IsMostlyEmpty(*owner_.get(), bytes)) return;
    VectorBatch small;
    small.Attach(endpoint, endpoint.pool().GetTight(bytes));
    if constexpr (std::is_trivially_copyable_v<D>) {
      std::memcpy(static_cast<void*>(small.data_), data_, bytes);
      small.size_ = size_;
    } else {
      for (D& record : *this) small.TryAppend(std::move(record));
    }
    *this = std::move(small);
  }

  // Keeps the first `count` records.
  void Truncate(size_t count) {
    if constexpr (!std::is_trivially_destructible_v<D>) {
      for (size_t i = count; i < size_; ++i) data_[i].~D();
    }
    size_ = static_cast<uint32_t>(count);
  }
  void Clear() { Truncate(0); }

  // For loops that write records in place: after filling `count` records from end() on. REQUIRES:
  // count <= room().
  void Grow(size_t count) { size_ += static_cast<uint32_t>(count); }

  // What another process needs of a block that a batch of plain records released, and whether a
  // block from there holds as many records as it says.
  static internal::WireParts PartsOf(const internal::Block& block) {
    return {.front_bytes = static_cast<uint32_t>(block.record_count * sizeof(D))};
  }
  static bool CheckParts(const internal::Block& block) {
    return block.record_count <= block.capacity / sizeof(D);
  }

  // Gives up the block; the records in it go to who adopts it.
  internal::Block* Release() {
    internal::Block* block = owner_.Release();
    block->record_count = size_;
    block->byte_count = static_cast<uint32_t>(size_ * sizeof(D));
    if constexpr (!std::is_trivially_destructible_v<D>) {
      block->destroy_records = [](internal::Block* b) {
        D* records = std::launder(reinterpret_cast<D*>(b->payload()));
        for (uint32_t i = 0; i < b->record_count; ++i) records[i].~D();
      };
    }
    data_ = nullptr;
    size_ = capacity_ = 0;
    return block;
  }

 private:
  // Takes an empty block.
  void Attach(internal::Endpoint& endpoint, internal::Block* block) {
    owner_.Reset(&endpoint, block);
    data_ = reinterpret_cast<D*>(block->payload());
    capacity_ = static_cast<uint32_t>(block->capacity / sizeof(D));
  }

  internal::BlockOwner owner_;
  D* data_ = nullptr;
  uint32_t size_ = 0;
  uint32_t capacity_ = 0;
};

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
    std::memcpy(bytes_ + used, record.data(), record.size());
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
  // holds the strings that it says.
  static internal::WireParts PartsOf(const internal::Block& block) {
    const uint32_t ends_bytes = block.record_count * static_cast<uint32_t>(sizeof(uint32_t));
    return {.front_bytes = block.byte_count - ends_bytes, .back_bytes = ends_bytes};
  }
  static bool CheckParts(const internal::Block& block) {
    const uint32_t capacity = block.capacity & ~uint32_t{3};
    if (block.record_count > capacity / sizeof(uint32_t)) return false;
    const auto* ends = reinterpret_cast<const uint32_t*>(block.payload() + capacity);
    const uint32_t limit = capacity - block.record_count * static_cast<uint32_t>(sizeof(uint32_t));
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

// Decides the container of a record type; specialize it to give a type of yours a batch of its own.
template <class D>
struct BatchTraits {
  using Batch = VectorBatch<D>;
};
template <>
struct BatchTraits<std::string> {
  using Batch = StringBatch;
};
template <class D>
using Batch = typename BatchTraits<D>::Batch;

// How a function on Stream<D> receives a record (`D&&`, or `BatchString`), and how it reads one.
template <class D>
using TakeType = decltype(std::declval<Batch<D>&>().Take(0));
template <class D>
using ReadType = decltype(std::declval<const Batch<D>&>()[0]);

// The record type of a stream whose function returns R: views of strings become strings, and the
// integer types that promotion produces become the fixed-width ones.
template <class R>
struct RecordOf {
  using type = R;
};
template <>
struct RecordOf<std::string_view> {
  using type = std::string;
};
template <>
struct RecordOf<BatchString> {
  using type = std::string;
};
template <>
struct RecordOf<const char*> {
  using type = std::string;
};
template <>
struct RecordOf<unsigned long long> {
  using type = uint64_t;
};
template <>
struct RecordOf<long long> {
  using type = int64_t;
};
template <class R>
using RecordOfT = typename RecordOf<std::remove_cvref_t<R>>::type;

}  // namespace headway

#endif  // HEADWAY_ENGINE_BATCH_H_
