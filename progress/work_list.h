#ifndef HEADWAY_PROGRESS_WORK_LIST_H_
#define HEADWAY_PROGRESS_WORK_LIST_H_

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <utility>

#include "check.h"

namespace headway::internal {

// A list with a known greatest length, because each of a number of items is in it at most once.
// Adding an item neither checks for room nor allocates: a few instructions instead of a call. Not
// thread safe.
template <class T>
class WorkList {
 public:
  using value_type = T;

  // Makes room for `capacity` items in all, and keeps the present ones.
  void Reserve(size_t capacity) {
    if (capacity <= capacity_) return;
    capacity_ = std::max(capacity, 2 * capacity_);
    auto items = std::make_unique_for_overwrite<T[]>(capacity_);
    std::move(items_.get(), items_.get() + size_, items.get());
    items_ = std::move(items);
  }

  // REQUIRES: there is room.
  void push_back(T item) {
    HEADWAY_DCHECK(size_ < capacity_);
    items_[size_++] = std::move(item);
  }
  // Removes the last item and returns it. REQUIRES: the list is not empty.
  T PopBack() {
    HEADWAY_DCHECK(size_ > 0);
    return std::move(items_[--size_]);
  }
  void clear() { size_ = 0; }

  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }
  const T& operator[](size_t index) const { return items_[index]; }
  const T* begin() const { return items_.get(); }
  const T* end() const { return items_.get() + size_; }
  std::span<const T> span() const { return {items_.get(), size_}; }

 private:
  std::unique_ptr<T[]> items_;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace headway::internal

#endif  // HEADWAY_PROGRESS_WORK_LIST_H_
