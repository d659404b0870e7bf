#ifndef HEADWAY_ENGINE_BATCH_BATCH_H_
#define HEADWAY_ENGINE_BATCH_BATCH_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "check.h"
#include "comm/local/fabric.h"
#include "comm/memory/block.h"
#include "engine/batch/batch_string.h"
#include "engine/batch/block_owner.h"
#include "engine/batch/string_batch.h"
#include "engine/batch/tuple_batch.h"

// A batch is a run of records at one timestamp, in one recycled memory block. `Batch<D>` is the
// batch of the records of a `Stream<D>`: a plain array for most types, columns (bytes and offsets
// in one arena) for strings and for pairs and tuples that contain some. A batch belongs to one
// owner at a time, lives on its worker's thread, and must not outlive its worker.
//
// Every batch type has the same few members, so that a step is written once for all of them:
//   size(), empty()       number of records
//   operator[](i)         read record i: `const D&`; of columns, `BatchString` (a std::string_view)
//                         or a pair or tuple with that in the place of strings, by value
//   Take(i)               consume record i: `D&&`; of columns, the same as operator[]
//   TryAppend(record)     adds a record; false if there is no room, or no block yet
//   Allocate(endpoint, record)  gets a block with room for at least that record. REQUIRES: empty
//   CopyFrom(endpoint, batch)   a deep copy. REQUIRES: empty
//   Shrink(endpoint)            moves the records to a block of their size if they fill less than
//                               half of the present one
//   has_default_block()         whether its block has the default size and is not part of memory
//                               that was received from another process. REQUIRES: not empty

namespace headway {

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
  ~VectorBatch() { Truncate(0); }

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
  bool has_default_block() const { return owner_.has_default_block(); }
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

  // Adds `count` records that a loop has written in place from end() on. REQUIRES: count <= room().
  void Grow(size_t count) { size_ += static_cast<uint32_t>(count); }

  // The parts of a released block of plain records that another process needs.
  static internal::WireParts PartsOf(const internal::Block& block) {
    return {.front_bytes = static_cast<uint32_t>(block.record_count * sizeof(D))};
  }
  // Returns true if a block of another process has room for the number of records that it claims.
  static bool CheckParts(const internal::Block& block) {
    return block.record_count <= block.capacity / sizeof(D);
  }

  // Gives up the block with its records; the batch that adopts it owns them.
  internal::Block* Release() {
    internal::Block* block = owner_.Release();
    block->record_count = size_;
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

// Selects the container of a record type. Specialize it to give a type of your own another batch.
template <class D>
struct BatchTraits {
  using Batch = VectorBatch<D>;
};
template <>
struct BatchTraits<std::string> {
  using Batch = StringBatch;
};
template <ColumnarTuple D>
struct BatchTraits<D> {
  using Batch = TupleBatch<D>;
};
template <class D>
using Batch = typename BatchTraits<D>::Batch;

// The type by which a function on Stream<D> consumes a record (`D&&`, or a view), and reads one.
template <class D>
using TakeType = decltype(std::declval<Batch<D>&>().Take(0));
template <class D>
using ReadType = decltype(std::declval<const Batch<D>&>()[0]);

// The record type of a stream whose function returns R: views of strings become strings, also in
// pairs and tuples, and the integer types that promotion produces become the fixed-width ones.
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
template <class A, class B>
struct RecordOf<std::pair<A, B>> {
  using type = std::pair<RecordOfT<A>, RecordOfT<B>>;
};
template <class... Ts>
struct RecordOf<std::tuple<Ts...>> {
  using type = std::tuple<RecordOfT<Ts>...>;
};

// The type of a key that a function read from a record of a batch, for use while the batch lives. A
// reference into the batch stays one; every other key becomes a value. Pairs and tuples in columns
// are assembled when they are read, so that only references to their strings stay valid.
template <class D, class Key>
using KeyInBatch = std::conditional_t<
    std::is_lvalue_reference_v<Key> && std::is_reference_v<ReadType<D>>, Key,
    std::conditional_t<ColumnarTuple<D> && !std::is_same_v<std::remove_cvref_t<Key>, BatchString>,
                       RecordOfT<Key>, std::decay_t<Key>>>;

}  // namespace headway

#endif  // HEADWAY_ENGINE_BATCH_BATCH_H_
