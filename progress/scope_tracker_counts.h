#ifndef HEADWAY_PROGRESS_SCOPE_TRACKER_COUNTS_H_
#define HEADWAY_PROGRESS_SCOPE_TRACKER_COUNTS_H_

// Counting: member functions of ScopeTracker that take what the locations hold and write it for the
// other workers. Included by scope_tracker.h only.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <vector>

#include "progress/scope_tracker.h"

namespace headway {

template <Timestamp T>
void ScopeTracker<T>::Encode(LocationId location, const T& time, int64_t delta, std::byte* to) {
  HEADWAY_CHECK(delta >= std::numeric_limits<int32_t>::min() &&
                delta <= std::numeric_limits<int32_t>::max());
  const auto delta32 = static_cast<int32_t>(delta);
  std::memcpy(to, &location, 4);
  std::memcpy(to + internal::kDeltaOffset, &delta32, sizeof(delta32));
  std::memcpy(to + internal::kTimeOffset, &time, sizeof(T));
  std::memset(to + internal::kTimeOffset + sizeof(T), 0,
              kEncodedChangeBytes - internal::kTimeOffset - sizeof(T));
}

template <Timestamp T>
bool ScopeTracker<T>::PublishPending(std::vector<std::byte>* encoded) {
  bool any = false;
  for (const uint32_t index : pending_places_) {
    Place& place = places_[index];
    place.flags &= static_cast<Flags>(~kPending);
    const auto changes = pending_[index].Net();
    if (!changes.empty()) {
      any = true;
      if (encoded != nullptr) {
        size_t at = encoded->size();
        encoded->resize(at + changes.size() * kEncodedChangeBytes);
        for (const auto& change : changes) {
          Encode(place.id, change.time, change.delta, encoded->data() + at);
          at += kEncodedChangeBytes;
        }
      }
      CountAll(index, changes);
    }
    pending_[index].Clear();
  }
  pending_places_.clear();
  return any;
}

template <Timestamp T>
void ScopeTracker<T>::EncodeCounts(std::vector<std::byte>* encoded) const {
  for (size_t index = 0; index < places_.size(); ++index) {
    for (const auto& entry : counts_[index].outstanding.entries()) {
      const size_t at = encoded->size();
      encoded->resize(at + kEncodedChangeBytes);
      Encode(places_[index].id, entry.time, entry.count, encoded->data() + at);
    }
  }
}

template <Timestamp T>
size_t ScopeTracker<T>::ApplyRun(std::span<const std::byte> encoded) {
  size_t at = 0;
  while (at < encoded.size()) {
    LocationId location;
    std::memcpy(&location, encoded.data() + at, 4);
    if (core_->locations[location].scope != this) break;
    int32_t delta;
    std::memcpy(&delta, encoded.data() + at + internal::kDeltaOffset, sizeof(delta));
    T time;
    std::memcpy(static_cast<void*>(&time), encoded.data() + at + internal::kTimeOffset, sizeof(T));
    if (delta != 0) Count(core_->locations[location].index, time, delta);
    at += kEncodedChangeBytes;
  }
  return at;
}

template <Timestamp T>
inline void ScopeTracker<T>::CountAll(uint32_t index, std::span<const Change> changes) {
  if constexpr (Traits::kTotallyOrdered) {
    // Most often a capability moves that is the only one of its place.
    if (changes.size() == 2 && changes[0].delta + changes[1].delta == 0) {
      const Change& from = changes[changes[0].delta < 0 ? 0 : 1];
      const Change& to = changes[changes[0].delta < 0 ? 1 : 0];
      if (to.delta == 1 && counts_[index].outstanding.MoveOnly(from.time, to.time)) {
        Touch(index);
        return;
      }
    }
  }
  for (const Change& change : changes) Count(index, change.time, change.delta);
}

template <Timestamp T>
inline void ScopeTracker<T>::Count(uint32_t index, const T& time, int64_t delta) {
  const int64_t count = counts_[index].outstanding.Update(time, delta);
  if (count == 0) {
    --core_->outstanding;
  } else if (count == delta) {
    ++core_->outstanding;
  }
  Touch(index);
}

}  // namespace headway

#endif  // HEADWAY_PROGRESS_SCOPE_TRACKER_COUNTS_H_
