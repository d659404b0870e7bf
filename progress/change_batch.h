#ifndef HEADWAY_PROGRESS_CHANGE_BATCH_H_
#define HEADWAY_PROGRESS_CHANGE_BATCH_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "progress/timestamp.h"

namespace headway {

// A list of changes (time, delta) with lazy summation. An operator mostly produces up to two
// distinct times in one step: those are summed at once and without allocation. A longer list is
// sorted and summed whenever it has doubled. Not thread safe.
template <Timestamp T>
class ChangeBatch {
 public:
  struct Change {
    T time;
    int64_t delta;

    bool operator==(const Change&) const = default;
  };

  void Update(const T& time, int64_t delta) {
    if (many_.empty()) [[likely]] {
      for (uint32_t i = 0; i < few_count_; ++i) {
        if (few_[i].time == time) {
          few_[i].delta += delta;
          return;
        }
      }
      if (few_count_ < kFew) {
        few_[few_count_++] = {time, delta};
        return;
      }
    }
    UpdateMany(time, delta);
  }

  // The same as Update(from, -1) and Update(to, 1), for two different times.
  void Move(const T& from, const T& to) {
    if (empty()) [[likely]] {
      few_ = {Change{from, -1}, Change{to, 1}};
      few_count_ = 2;
      return;
    }
    Update(from, -1);
    Update(to, 1);
  }

  // The net changes, one for each time, none of them zero. Valid until the next non-const call.
  std::span<const Change> Net() {
    if (!many_.empty()) {
      Compact();
      return many_;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < few_count_; ++i) {
      if (few_[i].delta == 0) continue;
      if (kept != i) few_[kept] = few_[i];
      ++kept;
    }
    few_count_ = kept;
    return {few_.data(), few_count_};
  }

  // Returns true iff no change was recorded since Clear. Changes that cancel may count as recorded.
  bool empty() const { return few_count_ == 0 && many_.empty(); }

  void Clear() {
    few_count_ = 0;
    many_.clear();
    compact_at_ = kCompactAtLeast;
  }

 private:
  using Traits = TimestampTraits<T>;
  static constexpr uint32_t kFew = 2;
  static constexpr size_t kCompactAtLeast = 16;

  // The times do not fit into few_, unless one of those there has canceled.
  [[gnu::noinline]] void UpdateMany(const T& time, int64_t delta) {
    if (many_.empty()) {
      for (Change& change : few_) {
        if (change.delta == 0) {
          change = {time, delta};
          return;
        }
      }
      many_.assign(few_.begin(), few_.end());
      few_count_ = 0;
    }
    many_.push_back({time, delta});
    if (many_.size() >= compact_at_) {
      Compact();
      compact_at_ = std::max(kCompactAtLeast, many_.size() * 2);
    }
  }

  void Compact() {
    std::sort(many_.begin(), many_.end(),
              [](const Change& a, const Change& b) { return Traits::TotalLess(a.time, b.time); });
    size_t kept = 0;
    for (const Change& change : many_) {
      if (kept > 0 && many_[kept - 1].time == change.time) {
        many_[kept - 1].delta += change.delta;
        continue;
      }
      if (kept > 0 && many_[kept - 1].delta == 0) --kept;
      many_[kept++] = change;
    }
    if (kept > 0 && many_[kept - 1].delta == 0) --kept;
    many_.resize(kept);
  }

  // Up to two distinct times. With more, all changes are in many_.
  std::array<Change, kFew> few_{};
  uint32_t few_count_ = 0;
  std::vector<Change> many_;
  size_t compact_at_ = kCompactAtLeast;
};

}  // namespace headway

#endif  // HEADWAY_PROGRESS_CHANGE_BATCH_H_
