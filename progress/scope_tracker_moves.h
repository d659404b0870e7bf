#ifndef HEADWAY_PROGRESS_SCOPE_TRACKER_MOVES_H_
#define HEADWAY_PROGRESS_SCOPE_TRACKER_MOVES_H_

#include <optional>
#include <span>

#include "progress/scope_tracker.h"

// The member functions of ScopeTracker for sources that move on, and for what then moves behind
// them. tracker.cc says when a move takes the place of a retraction and a promotion. Included by
// scope_tracker.h only.

namespace headway {

template <Timestamp T>
bool ScopeTracker<T>::ChangeOnlySource() {
  if constexpr (Traits::kTotallyOrdered) {
    using Moved = typename internal::ImpliedFrontier<T>::Moved;
    if (touched_.size() != 1) return false;
    const uint32_t index = touched_[0];
    Place& place = places_[index];
    Counts& counts = counts_[index];
    const std::span<const T> frontier = counts.outstanding.frontier();
    const std::span<const T> former = counts.own_sources.elements();
    if (former.empty()) {
      if (frontier.empty()) return false;
      if (!internal::AnyLessEqual(place.implied.elements(), frontier[0])) return false;
      place.implied.Count(frontier[0]);
    } else if (frontier.empty() || !(former[0] == frontier[0])) {
      if ((place.flags & kCrosses) != 0) return false;
      const T from = former[0];
      T to{};
      Moved moved = Moved::kUnclear;
      if (!frontier.empty()) {
        to = frontier[0];
        if (Traits::TotalLess(from, to)) moved = place.implied.Move(from, to);
      } else if ((place.flags & kInCycle) == 0) {
        moved = place.implied.MoveToNext(from, &to);
      }
      if (moved == Moved::kUnclear) return false;
      if (moved == Moved::kElement) FollowMove(index, from, to);
    }
    counts.own_sources.Clear();
    if (!frontier.empty()) counts.own_sources.Insert(frontier[0]);
    place.flags &= static_cast<Flags>(~kTouched);
    touched_.clear();
    return true;
  }
  return false;
}

// The own source of a place moves to its only outstanding time, which AddOwnSources has counted.
// Returns false, and does nothing, if that is not all that happens.
template <Timestamp T>
inline bool ScopeTracker<T>::MoveOwnSource(uint32_t index, std::span<const T> frontier) {
  if constexpr (Traits::kTotallyOrdered) {
    const std::span<const T> former = counts_[index].own_sources.elements();
    if (former.empty() || frontier.empty()) return false;
    Place& place = places_[index];
    if ((place.flags & (kWaiting | kCrosses)) != 0) return false;
    if (!place.implied.MoveToNext(former[0], frontier[0])) return false;
    FollowMove(index, former[0], frontier[0]);
    return true;
  }
  return false;
}

// The element of `index` has moved: moves what follows from it.
template <Timestamp T>
void ScopeTracker<T>::FollowMove(uint32_t index, T from, T to) {
  if constexpr (Traits::kTotallyOrdered) {
    for (;;) {
      const Place& place = places_[index];
      ++core_->update_count;
      if (NeedsSaving(place)) Save(index, from);
      if (place.next != kNoPlace) {  // a chain needs no queue
        index = place.next;
        if (MoveSource(index, from, to)) continue;
      } else if (place.edge_count > 0) {
        QueueMoves(place, from, to);
      }
      do {
        if (moves_.empty()) return;
        // Member by member, as it was written: a wider load would wait for the stores.
        const SourceMove& move = moves_.back();
        index = move.index;
        from = move.from;
        to = move.to;
        moves_.pop_back();
      } while (!MoveSource(index, from, to));
    }
  }
}

// The element of `place` has moved: its successors are to follow, the last one first.
template <Timestamp T>
void ScopeTracker<T>::QueueMoves(const Place& place, const T& from, const T& to) {
  const Edge* edge = edges_.data() + place.edges_begin;
  for (const Edge* const end = edge + place.edge_count; edge != end; ++edge) {
    const std::optional<T> result_from = Traits::ResultsIn(from, edge->summary);
    if (!result_from.has_value()) continue;
    const std::optional<T> result_to = Traits::ResultsIn(to, edge->summary);
    if (!result_to.has_value()) {
      Retract(edge->to, *result_from);
    } else if (!(*result_from == *result_to)) {
      moves_.push_back({edge->to, *result_from, *result_to});
    }
  }
}

// Returns whether the element of the place has moved with the source.
template <Timestamp T>
inline bool ScopeTracker<T>::MoveSource(uint32_t index, const T& from, const T& to) {
  if constexpr (Traits::kTotallyOrdered) {
    using Moved = typename internal::ImpliedFrontier<T>::Moved;
    Place& place = places_[index];
    if ((place.flags & (kWaiting | kCrosses)) == 0) {
      const Moved moved = place.implied.Move(from, to);
      if (moved != Moved::kUnclear) return moved == Moved::kElement;
    }
  }
  Retract(index, from);
  AddLateSource(index, to);
  return false;
}

template <Timestamp T>
void ScopeTracker<T>::AddLateSource(uint32_t index, const T& time) {
  if (late_.empty()) core_->with_late_sources.push_back(this);
  late_.push_back({time, index});
}

template <Timestamp T>
void ScopeTracker<T>::AddLateSources() {
  for (const LateSource& late : late_) Assert(late.index, late.time);
  late_.clear();
}

}  // namespace headway

#endif  // HEADWAY_PROGRESS_SCOPE_TRACKER_MOVES_H_
