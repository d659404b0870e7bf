#ifndef HEADWAY_PROGRESS_CHANGE_BATCH_H_
#define HEADWAY_PROGRESS_CHANGE_BATCH_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "headway/progress/inline_vector.h"
#include "headway/progress/timestamp.h"

namespace headway {

// A list of changes (time, delta) that sums them up lazily. Up to two distinct times are summed at
// once and without allocation, which is what an operator produces in one step; a longer list is
// sorted and summed when it has doubled. Not thread safe.
template <Timestamp T>
class ChangeBatch {
 public:
  struct Change {
    T time;
    int64_t delta;

    bool operator==(const Change&) const = default;
  };

  void Update(const T& time, int64_t delta) {
    if (changes_.size() <= kDirect) {
      Change* canceled = nullptr;
      for (Change& change : changes_) {
        if (change.time == time) {
          change.delta += delta;
          return;
        }
        if (change.delta == 0) canceled = &change;
      }
      if (canceled != nullptr) {
        *canceled = {time, delta};
        return;
      }
    }
    changes_.push_back({time, delta});
    if (changes_.size() > kDirect && changes_.size() >= compact_at_) {
      Compact();
      compact_at_ = std::max(kCompactAtLeast, changes_.size() * 2);
    }
  }

  // The net changes, one for each time, none of them zero. Valid until the next non-const call.
  std::span<const Change> Net() {
    if (changes_.size() > kDirect) {
      Compact();
    } else {
      // Update has kept these apart.
      for (size_t i = changes_.size(); i-- > 0;) {
        if (changes_[i].delta == 0) changes_.Erase(i);
      }
    }
    return changes_.span();
  }

  // Whether nothing was recorded since Clear. Changes that cancel may count as recorded.
  bool empty() const { return changes_.empty(); }

  void Clear() {
    changes_.clear();
    compact_at_ = kCompactAtLeast;
  }

 private:
  using Traits = TimestampTraits<T>;
  static constexpr uint32_t kDirect = 2;
  static constexpr uint32_t kCompactAtLeast = 16;

  void Compact() {
    std::sort(changes_.begin(), changes_.end(),
              [](const Change& a, const Change& b) { return Traits::TotalLess(a.time, b.time); });
    size_t kept = 0;
    for (const Change& change : changes_) {
      if (kept > 0 && changes_[kept - 1].time == change.time) {
        changes_[kept - 1].delta += change.delta;
        continue;
      }
      if (kept > 0 && changes_[kept - 1].delta == 0) --kept;
      changes_[kept++] = change;
    }
    if (kept > 0 && changes_[kept - 1].delta == 0) --kept;
    changes_.Truncate(kept);
  }

  internal::InlineVector<Change, kDirect> changes_;
  uint32_t compact_at_ = kCompactAtLeast;
};

}  // namespace headway

#endif  // HEADWAY_PROGRESS_CHANGE_BATCH_H_
