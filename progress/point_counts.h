#ifndef HEADWAY_PROGRESS_POINT_COUNTS_H_
#define HEADWAY_PROGRESS_POINT_COUNTS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace headway::internal {

// A count for each of some points, which are a location and the words of a time. Points whose count
// is zero take no room.
//
// A hash table with linear probing. Unlike absl::flat_hash_map it survives a lack of memory:
// std::bad_alloc leaves it as it was. In a steady state it does not allocate.
//
// Thread safety: none.
class PointCounts {
 public:
  using Point = std::array<uint64_t, 5>;

  // Adds `delta` to the count of `point`, and returns the count.
  int64_t Add(const Point& point, int64_t delta) {
    if (2 * (size_ + 1) > slots_.size()) Grow();
    const size_t index = Find(point);
    Slot& slot = slots_[index];
    if (slot.count == 0) {
      if (delta != 0) ++size_;
      slot = {point, delta};
      return delta;
    }
    const int64_t count = slot.count += delta;
    if (count == 0) Remove(index);
    return count;
  }

  bool Contains(const Point& point) const { return size_ > 0 && slots_[Find(point)].count != 0; }

  // The number of points.
  size_t size() const { return size_; }

 private:
  struct Slot {
    Point point;
    int64_t count;  // zero: the slot is free
  };

  size_t mask() const { return slots_.size() - 1; }

  size_t HomeOf(const Point& point) const {
    uint64_t hash = 0;
    for (const uint64_t word : point) {
      hash = (hash ^ word) * 0x9E3779B97F4A7C15;
      hash ^= hash >> 32;
    }
    return static_cast<size_t>(hash) & mask();
  }

  // The slot of the point, or the free one for it.
  size_t Find(const Point& point) const {
    size_t index = HomeOf(point);
    while (slots_[index].count != 0 && slots_[index].point != point) index = (index + 1) & mask();
    return index;
  }

  // Frees a slot, and closes the gap in the slots behind it, so that Find needs no marks.
  void Remove(size_t gap) {
    --size_;
    slots_[gap].count = 0;
    for (size_t index = (gap + 1) & mask(); slots_[index].count != 0;
         index = (index + 1) & mask()) {
      const size_t home = HomeOf(slots_[index].point);
      if (((index - home) & mask()) < ((index - gap) & mask())) continue;
      slots_[gap] = slots_[index];
      slots_[index].count = 0;
      gap = index;
    }
  }

  void Grow() {
    constexpr size_t kFirstSlots = 16;
    std::vector<Slot> former(slots_.empty() ? kFirstSlots : 2 * slots_.size());
    former.swap(slots_);
    for (const Slot& slot : former) {
      if (slot.count != 0) slots_[Find(slot.point)] = slot;
    }
  }

  std::vector<Slot> slots_;  // a power of two
  size_t size_ = 0;
};

}  // namespace headway::internal

#endif  // HEADWAY_PROGRESS_POINT_COUNTS_H_
