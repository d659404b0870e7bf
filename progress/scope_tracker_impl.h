#ifndef HEADWAY_PROGRESS_SCOPE_TRACKER_IMPL_H_
#define HEADWAY_PROGRESS_SCOPE_TRACKER_IMPL_H_

// Building and propagating: member functions of ScopeTracker. Included by scope_tracker.h only.

#include <algorithm>
#include <concepts>
#include <string>
#include <utility>

#include "progress/scope_tracker.h"

namespace headway {

template <Timestamp T>
std::span<const T> FrontierView<T>::elements() const {
  return scope_->places_[index_].implied.elements();
}

// Building.

template <Timestamp T>
LocationId ScopeTracker<T>::AddLocation() {
  HEADWAY_CHECK(!core_->finished);
  const auto id = static_cast<LocationId>(core_->locations.size());
  core_->locations.push_back({this, static_cast<uint32_t>(places_.size())});
  places_.emplace_back(id);
  counts_.emplace_back();
  pending_.emplace_back();
  pending_places_.Reserve(places_.size());
  touched_.Reserve(places_.size());
  saved_.Reserve(places_.size());
  core_->changed.Reserve(core_->locations.size());
  return id;
}

template <Timestamp T>
void ScopeTracker<T>::AddEdge(LocationId from, LocationId to, Summary summary) {
  HEADWAY_CHECK(!core_->finished && Owns(from) && Owns(to));
  build_edges_.push_back({IndexOf(from), {IndexOf(to), summary}});
  core_->edges.push_back(
      {from, to, Traits::StrictDepth(summary).value_or(internal::TrackerCore::Edge::kNotStrict)});
}

template <Timestamp T>
auto ScopeTracker<T>::CrossEdgesFrom(uint32_t index) {
  return std::lower_bound(cross_edges_.begin(), cross_edges_.end(), index,
                          [](const auto& edge, uint32_t from) { return edge->from < from; });
}

template <Timestamp T>
template <Timestamp U, class F>
void ScopeTracker<T>::AddCrossEdge(LocationId from, ScopeTracker<U>* scope, LocationId to, F map) {
  HEADWAY_CHECK(!core_->finished && core_ == scope->core_ && Owns(from) && scope->Owns(to));
  const uint32_t index = IndexOf(from);
  auto edge = std::make_unique<CrossEdgeTo<U, F>>(scope, scope->IndexOf(to), map);
  edge->from = index;
  places_[index].flags |= kCrosses;
  cross_edges_.insert(CrossEdgesFrom(index + 1), std::move(edge));
  core_->edges.push_back({from, to, internal::TrackerCore::Edge::kNotStrict});
}

template <Timestamp T>
void ScopeTracker<T>::AddInitial(LocationId location, const T& time, int64_t count) {
  HEADWAY_CHECK(!core_->finished && Owns(location));
  if (count != 0) Count(IndexOf(location), time, count);
}

template <Timestamp T>
void ScopeTracker<T>::Finish(const std::vector<bool>& in_cycle) {
  for (const BuildEdge& build : build_edges_) ++places_[build.from].edge_count;
  uint32_t end = 0;
  for (Place& place : places_) {
    place.edges_begin = end;
    end += place.edge_count;
    place.edge_count = 0;
  }
  edges_.resize(build_edges_.size());
  for (const BuildEdge& build : build_edges_) {
    Place& from = places_[build.from];
    edges_[from.edges_begin + from.edge_count++] = build.edge;
  }
  if constexpr (Traits::kTotallyOrdered && std::equality_comparable<Summary>) {
    for (Place& place : places_) {
      if (place.edge_count != 1 || (place.flags & kCrosses) != 0) continue;
      const Edge& edge = edges_[place.edges_begin];
      if (edge.summary == Traits::Identity()) place.next = edge.to;
    }
  }
  build_edges_ = {};
  for (const uint32_t index : touched_) {
    places_[index].flags &= static_cast<Flags>(~kTouched);
    for (const T& time : counts_[index].outstanding.frontier()) {
      places_[index].implied.Count(time);
      counts_[index].own_sources.Insert(time);
    }
  }
  touched_.clear();
  for (Place& place : places_) {
    place.flags |= kWaiting;
    if (in_cycle[place.id]) place.flags |= kInCycle;
  }
}

// Propagating. See tracker.cc for the order of the steps and why they are right.

template <Timestamp T>
absl::Status ScopeTracker<T>::AddOwnSources() {
  for (const uint32_t index : touched_) {
    Place& place = places_[index];
    const Counts& counts = counts_[index];
    for (const T& time : counts.outstanding.frontier()) {
      if (counts.own_sources.Contains(time)) continue;
      if (!internal::AnyLessEqual(place.implied.elements(), time)) {
        return FrontierViolation(place, time);
      }
      place.implied.Count(time);  // it is not before the frontier: there is nothing to announce
    }
  }
  return absl::OkStatus();
}

template <Timestamp T>
void ScopeTracker<T>::RetractOwnSources() {
  for (const uint32_t index : touched_) {
    places_[index].flags &= static_cast<Flags>(~kTouched);
    Counts& counts = counts_[index];
    const std::span<const T> frontier = counts.outstanding.frontier();
    if (!MoveOwnSource(index, frontier)) {
      for (const T& time : counts.own_sources.elements()) {
        if (!internal::Contains(frontier, time)) Retract(index, time);
      }
    }
    counts.own_sources.Clear();
    for (const T& time : frontier) counts.own_sources.Insert(time);
  }
  touched_.clear();
}

template <Timestamp T>
inline void ScopeTracker<T>::Assert(uint32_t index, const T& time) {
  Place& place = places_[index];
  place.implied.Add(time, (place.flags & kWaiting) != 0, [&](const T& element, bool added) {
    if (added) {
      ++core_->update_count;
      if (NeedsSaving(place)) SaveFrontier(index, nullptr);
    }
    Announce(index, element, added);
  });
}

// Along a chain of locations it goes on by itself; only what has several successors, or one in
// another scope, is announced. A location loses an element after all that supported it, in any
// case.
template <Timestamp T>
inline void ScopeTracker<T>::Retract(uint32_t index, T time) {
  for (;;) {
    Place& place = places_[index];
    if (!place.implied.Remove(time)) return;
    if (core_->promoting && (place.flags & kWaiting) != 0) return;  // Promote will see it
    if (NeedsSaving(place)) SaveFrontier(index, &time);
    place.implied.Drop(time);
    AwaitPromotion(index);
    if (place.edge_count != 1 || (place.flags & kCrosses) != 0) {
      Announce(index, time, false);
      return;
    }
    const Edge& edge = edges_[place.edges_begin];
    const std::optional<T> result = Traits::ResultsIn(time, edge.summary);
    if (!result.has_value()) return;
    time = *result;
    index = edge.to;
  }
}

template <Timestamp T>
void ScopeTracker<T>::DeliverAnnouncements() {
  for (size_t i = 0; i < announcements_.size(); ++i) {
    if (announcements_[i].added) {
      Deliver<true>(announcements_[i].index, announcements_[i].time);
    } else {
      Deliver<false>(announcements_[i].index, announcements_[i].time);
    }
  }
  announcements_.clear();
}

template <Timestamp T>
template <bool kAdded>
inline void ScopeTracker<T>::Deliver(uint32_t index, T time) {
  const Place& place = places_[index];
  const Edge* edge = edges_.data() + place.edges_begin;
  for (const Edge* const end = edge + place.edge_count; edge != end; ++edge) {
    const std::optional<T> result = Traits::ResultsIn(time, edge->summary);
    if (result.has_value()) Receive<kAdded>(edge->to, *result);
  }
  if ((place.flags & kCrosses) != 0) {
    auto cross = CrossEdgesFrom(index);
    for (; cross != cross_edges_.end() && (*cross)->from == index; ++cross) {
      (*cross)->Deliver(time, kAdded);
    }
  }
}

template <Timestamp T>
size_t ScopeTracker<T>::PromoteRun(size_t begin) {
  size_t at = begin;
  // What a promotion announces has to arrive before the next one. Often that is nothing: the
  // successors are waiting, too.
  while (at < core_->waiting.size() && core_->with_announcements.empty()) {
    const internal::TrackerCore::Location location = core_->waiting[at];
    if (location.scope != this) break;
    Promote(location.index);
    ++at;
  }
  return at;
}

template <Timestamp T>
inline void ScopeTracker<T>::Promote(uint32_t index) {
  Place& place = places_[index];
  place.flags &= static_cast<Flags>(~kWaiting);
  ++core_->update_count;
  // A delivery does not change this frontier: what comes back over a cycle is later than what left.
  place.implied.Promote(former_, [&](const T& time, bool added) {
    if (added) {
      Deliver<true>(index, time);
    } else {
      Deliver<false>(index, time);
    }
  });
}

template <Timestamp T>
void ScopeTracker<T>::Announce(uint32_t index, const T& time, bool added) {
  if (!places_[index].HasSuccessor()) return;
  if (announcements_.empty()) core_->with_announcements.push_back(this);
  announcements_.emplace_back(time, index, added);
}

template <Timestamp T>
inline void ScopeTracker<T>::AwaitPromotion(uint32_t index) {
  Place& place = places_[index];
  if ((place.flags & kWaiting) != 0) return;
  HEADWAY_DCHECK(!core_->promoting);
  place.flags |= kWaiting;
  core_->waiting.push_back({this, index});
}

template <Timestamp T>
void ScopeTracker<T>::SaveFrontier(uint32_t index, const T* lost) {
  const Place& place = places_[index];
  FormerFrontier former;
  if constexpr (Traits::kTotallyOrdered) {
    if (lost != nullptr) {
      former = *lost;
    } else if (!place.implied.elements().empty()) {
      former = place.implied.elements()[0];
    }
  } else {
    for (const T& time : place.implied.elements()) former.Insert(time);
    if (lost != nullptr) former.Insert(*lost);
  }
  Save(index, std::move(former));
}

template <Timestamp T>
void ScopeTracker<T>::ReportChanges() {
  for (const SavedFrontier& saved : saved_) {
    Place& place = places_[saved.index];
    place.flags &= static_cast<Flags>(~kSaved);
    FormerFrontier current;
    for (const T& time : place.implied.elements()) {
      if constexpr (Traits::kTotallyOrdered) {
        current = time;
      } else {
        current.Insert(time);
      }
    }
    if (!(saved.implied == current)) core_->changed.push_back(place.id);
  }
  saved_.clear();
}

template <Timestamp T>
void ScopeTracker<T>::ReportWatched() {
  for (const Place& place : places_) {
    if ((place.flags & kWatched) != 0) core_->changed.push_back(place.id);
  }
}

template <Timestamp T>
absl::Status ScopeTracker<T>::FrontierViolation(const Place& place, const T& time) const {
  std::string frontier;
  for (const T& element : place.implied.elements()) {
    frontier += (frontier.empty() ? "" : ", ") + Traits::Format(element);
  }
  return absl::InternalError("progress: " + core_->Describe(place.id) + " holds time " +
                             Traits::Format(time) + ", which is before its frontier {" + frontier +
                             "}: a capability was used after it was given up, or the workers "
                             "built different graphs");
}

}  // namespace headway

#endif  // HEADWAY_PROGRESS_SCOPE_TRACKER_IMPL_H_
