#ifndef HEADWAY_PROGRESS_ANTICHAIN_H_
#define HEADWAY_PROGRESS_ANTICHAIN_H_

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <span>

#include "progress/inline_vector.h"
#include "progress/timestamp.h"

namespace headway {

namespace internal {

// At most one element: an antichain of totally ordered times has no more.
template <class T>
class SingleElement {
 public:
  bool empty() const { return !present_; }
  std::span<const T> span() const { return {&value_, present_ ? size_t{1} : size_t{0}}; }
  void clear() { present_ = false; }
  void push_back(const T& value) {
    value_ = value;
    present_ = true;
  }

 private:
  T value_{};
  bool present_ = false;
};

template <class T>
using AntichainStorage =
    std::conditional_t<TimestampTraits<T>::kTotallyOrdered, SingleElement<T>, InlineVector<T, 2>>;

// Returns true iff some element is less than or equal to `time`.
template <class T>
bool AnyLessEqual(std::span<const T> elements, const T& time) {
  for (const T& element : elements) {
    if (TimestampTraits<T>::LessEqual(element, time)) return true;
  }
  return false;
}

// Returns true iff some element is less than `time`, and not equal to it.
template <class T>
bool AnyLessThan(std::span<const T> elements, const T& time) {
  for (const T& element : elements) {
    if (TimestampTraits<T>::LessEqual(element, time) && !(element == time)) return true;
  }
  return false;
}

template <class T>
bool Contains(std::span<const T> elements, const T& time) {
  for (const T& element : elements) {
    if (element == time) return true;
  }
  return false;
}

}  // namespace internal

// A set of incomparable times. A frontier represents the times that may still appear: all times
// that are greater than or equal to one of its elements. No time may appear after an empty
// frontier.
//
//   Antichain<Product<Epoch, uint64_t>> frontier{{1, 4}, {2, 3}};
//   frontier.LessEqual({2, 5});   // true: may still appear
//   frontier.LessEqual({1, 3});   // false: complete
//
// Not thread safe. A value type; it does not allocate for up to two elements.
template <Timestamp T>
class Antichain {
 public:
  Antichain() = default;
  Antichain(std::initializer_list<T> times) {
    for (const T& time : times) Insert(time);
  }

  // Adds `time` unless an element is less than or equal to it, and removes the elements that are
  // greater. Returns true iff the antichain changed.
  bool Insert(const T& time) {
    return Insert(time, [](const T&) {});
  }

  // The same. Calls `displaced` with each element that it removes.
  template <class Displaced>
  bool Insert(const T& time, Displaced&& displaced) {
    if (LessEqual(time)) return false;
    if constexpr (Traits::kTotallyOrdered) {
      if (!storage_.empty()) displaced(storage_.span().front());
    } else {
      size_t kept = 0;
      for (const T& element : storage_) {
        if (Traits::LessEqual(time, element)) {
          displaced(element);
        } else {
          storage_[kept++] = element;
        }
      }
      storage_.Truncate(kept);
    }
    storage_.push_back(time);
    return true;
  }

  // Removes `time` if it is an element. Returns true iff it was.
  bool Remove(const T& time) {
    if (!Contains(time)) return false;
    if constexpr (Traits::kTotallyOrdered) {
      storage_.clear();
    } else {
      storage_.Erase(static_cast<size_t>(std::find(storage_.begin(), storage_.end(), time) -
                                         storage_.begin()));
    }
    return true;
  }

  // Returns true iff some element is less than `time`, and not equal to it.
  bool LessThan(const T& time) const { return internal::AnyLessThan(elements(), time); }

  // Returns true iff some element is less than or equal to `time`. For a frontier: iff `time` may
  // still appear.
  bool LessEqual(const T& time) const { return internal::AnyLessEqual(elements(), time); }

  bool Contains(const T& time) const { return internal::Contains(elements(), time); }

  bool empty() const { return storage_.empty(); }
  void Clear() { storage_.clear(); }

  // In no particular order. Valid until the antichain changes.
  std::span<const T> elements() const { return storage_.span(); }

  // Equal as sets.
  friend bool operator==(const Antichain& a, const Antichain& b) {
    if (a.elements().size() != b.elements().size()) return false;
    for (const T& time : a.elements()) {
      if (!b.Contains(time)) return false;
    }
    return true;
  }

 private:
  using Traits = TimestampTraits<T>;

  internal::AntichainStorage<T> storage_;
};

}  // namespace headway

#endif  // HEADWAY_PROGRESS_ANTICHAIN_H_
