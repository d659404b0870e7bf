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

// Returns the first of `elements` that is not before `time`. REQUIRES: they ascend by TotalLess.
template <class T>
const T* LowerBound(std::span<const T> elements, const T& time) {
  return std::lower_bound(
      elements.data(), elements.data() + elements.size(), time,
      [](const T& a, const T& b) { return TimestampTraits<T>::TotalLess(a, b); });
}

// Returns true iff `time` is one of the elements of an antichain.
template <class T>
bool Contains(std::span<const T> elements, const T& time) {
  constexpr size_t kFew = 8;
  if (elements.size() <= kFew)
    return std::find(elements.begin(), elements.end(), time) != elements.end();
  const T* const found = LowerBound(elements, time);
  return found != elements.data() + elements.size() && *found == time;
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
// The elements ascend by TimestampTraits::TotalLess. Costs of n elements: O(log n) to find one,
// O(n) to insert one, and to compare a time with them.
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
    if constexpr (Traits::kTotallyOrdered) {
      if (LessEqual(time)) return false;
      if (!storage_.empty()) displaced(storage_.span().front());
      storage_.push_back(time);
    } else {
      // Only elements before `time` can be less, and only those behind it can be greater.
      const T* const begin = storage_.begin();
      const T* const found = internal::LowerBound(elements(), time);
      const auto index = static_cast<size_t>(found - begin);
      if (found != storage_.end() && *found == time) return false;
      if (internal::AnyLessEqual(elements().first(index), time)) return false;
      size_t kept = index;
      for (size_t i = index; i < storage_.size(); ++i) {
        const T element = storage_[i];
        if (Traits::LessEqual(time, element)) {
          displaced(element);
        } else {
          storage_[kept++] = element;
        }
      }
      storage_.Truncate(kept);
      storage_.Insert(index, time);
    }
    return true;
  }

  // Removes `time` if it is an element. Returns true iff it was.
  bool Remove(const T& time) {
    if (!Contains(time)) return false;
    if constexpr (Traits::kTotallyOrdered) {
      storage_.clear();
    } else {
      storage_.Erase(
          static_cast<size_t>(internal::LowerBound(elements(), time) - storage_.begin()));
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

  // Ascending by TotalLess. Valid until the antichain changes.
  std::span<const T> elements() const { return storage_.span(); }

  friend bool operator==(const Antichain& a, const Antichain& b) {
    return std::ranges::equal(a.elements(), b.elements());
  }

 private:
  using Traits = TimestampTraits<T>;

  internal::AntichainStorage<T> storage_;
};

}  // namespace headway

#endif  // HEADWAY_PROGRESS_ANTICHAIN_H_
