#ifndef HEADWAY_PROGRESS_INLINE_VECTOR_H_
#define HEADWAY_PROGRESS_INLINE_VECTOR_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

#include "check.h"

namespace headway::internal {

// A vector of trivially copyable elements that stores up to `kInline` of them inline. It never
// shrinks its capacity, so a structure in a steady state does not allocate. Elements must be
// aligned to 8 bytes or less.
template <class T, uint32_t kInline>
class InlineVector {
  static_assert(std::is_trivially_copyable_v<T> && alignof(T) <= 8 && kInline > 0);

 public:
  InlineVector() = default;
  InlineVector(const InlineVector& other) { Assign(other); }
  InlineVector(InlineVector&& other) noexcept { Steal(other); }
  InlineVector& operator=(const InlineVector& other) {
    if (this != &other) {
      size_ = 0;
      Assign(other);
    }
    return *this;
  }
  InlineVector& operator=(InlineVector&& other) noexcept {
    if (this != &other) {
      Release();
      Steal(other);
    }
    return *this;
  }
  ~InlineVector() { Release(); }

  T* data() { return reinterpret_cast<T*>(capacity_ == kInline ? storage_.local : storage_.heap); }
  const T* data() const {
    return reinterpret_cast<const T*>(capacity_ == kInline ? storage_.local : storage_.heap);
  }
  uint32_t size() const { return size_; }
  uint32_t capacity() const { return capacity_; }
  bool empty() const { return size_ == 0; }
  T* begin() { return data(); }
  T* end() { return data() + size_; }
  const T* begin() const { return data(); }
  const T* end() const { return data() + size_; }
  T& operator[](size_t index) { return data()[index]; }
  const T& operator[](size_t index) const { return data()[index]; }
  std::span<const T> span() const { return {data(), size_}; }

  void clear() { size_ = 0; }

  void push_back(const T& value) {
    const T copy = value;  // `value` may be an element
    if (size_ == capacity_) Grow();
    ::new (static_cast<void*>(data() + size_)) T(copy);
    ++size_;
  }

  // Inserts before `index`.
  void Insert(size_t index, const T& value) {
    HEADWAY_DCHECK(index <= size_);
    const T copy = value;
    if (size_ == capacity_) Grow();
    Move(index + 1, index, size_ - index);
    ::new (static_cast<void*>(data() + index)) T(copy);
    ++size_;
  }

  // Removes `count` elements from `index` on.
  void Erase(size_t index, size_t count = 1) {
    HEADWAY_DCHECK(index + count <= size_);
    Move(index, index + count, size_ - index - count);
    size_ -= static_cast<uint32_t>(count);
  }

  // Drops the elements from `size` on.
  void Truncate(size_t size) {
    HEADWAY_DCHECK(size <= size_);
    size_ = static_cast<uint32_t>(size);
  }

  // Copies `count` elements within the vector; the ranges may overlap.
  void Move(size_t to, size_t from, size_t count) {
    if (count == 0) return;
    std::memmove(static_cast<void*>(data() + to), static_cast<const void*>(data() + from),
                 count * sizeof(T));
  }

 private:
  void Grow() { Reserve(capacity_ * 2); }

  void Reserve(uint32_t capacity) {
    if (capacity <= capacity_) return;
    auto* heap = static_cast<std::byte*>(::operator new(size_t{capacity} * sizeof(T)));
    std::memcpy(heap, static_cast<const void*>(data()), size_ * sizeof(T));
    Release();
    storage_.heap = heap;
    capacity_ = capacity;
  }

  void Assign(const InlineVector& other) {
    Reserve(other.size_);
    if (other.capacity_ == kInline) {
      std::memcpy(static_cast<void*>(data()), other.storage_.local, sizeof(other.storage_.local));
    } else {
      std::memcpy(static_cast<void*>(data()), other.storage_.heap, other.size_ * sizeof(T));
    }
    size_ = other.size_;
  }

  void Steal(InlineVector& other) noexcept {
    std::memcpy(static_cast<void*>(&storage_), static_cast<const void*>(&other.storage_),
                sizeof(storage_));
    size_ = std::exchange(other.size_, 0);
    capacity_ = std::exchange(other.capacity_, kInline);
  }

  void Release() noexcept {
    if (capacity_ != kInline) ::operator delete(storage_.heap);
  }

  uint32_t size_ = 0;
  uint32_t capacity_ = kInline;  // kInline iff the elements are local
  union Storage {
    alignas(8) std::byte local[kInline * sizeof(T)];
    std::byte* heap;
  } storage_{};
};

}  // namespace headway::internal

#endif  // HEADWAY_PROGRESS_INLINE_VECTOR_H_
