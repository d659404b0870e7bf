#ifndef HEADWAY_PROGRESS_SCOPE_TRACKER_IMPL_H_
#define HEADWAY_PROGRESS_SCOPE_TRACKER_IMPL_H_

// The member functions of ScopeTracker. Included by scope_tracker.h only.

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "headway/progress/scope_tracker.h"

namespace headway {

template <Timestamp T>
const Antichain<T>& FrontierView<T>::implied() const {
  return scope_->nodes_[index_].implied;
}

// Building.

template <Timestamp T>
LocationId ScopeTracker<T>::AddLocation() {
  HEADWAY_CHECK(!core_->finished);
  const auto id = static_cast<LocationId>(core_->locations.size());
  core_->locations.push_back({this, static_cast<uint32_t>(ids_.size())});
  ids_.push_back(id);
  flags_.push_back(0);
  pending_.emplace_back();
  nodes_.emplace_back();
  counts_.emplace_back();
  return id;
}

template <Timestamp T>
void ScopeTracker<T>::AddEdge(LocationId from, LocationId to, Summary summary) {
  HEADWAY_CHECK(!core_->finished);
  build_edges_.push_back({IndexOf(from), {IndexOf(to), summary}});
  core_->edges.push_back(
      {from, to, Traits::StrictDepth(summary).value_or(internal::TrackerCore::Edge::kNotStrict)});
}

template <Timestamp T>
template <Timestamp U, class F>
void ScopeTracker<T>::AddCrossEdge(LocationId from, ScopeTracker<U>* scope, LocationId to, F map) {
  HEADWAY_CHECK(!core_->finished && core_ == scope->core_);
  auto edge = std::make_unique<CrossEdgeTo<U, F>>(scope, scope->IndexOf(to), map);
  edge->from = IndexOf(from);
  flags_[edge->from] |= kCrosses;
  cross_edges_.push_back(std::move(edge));
  core_->edges.push_back({from, to, internal::TrackerCore::Edge::kNotStrict});
}

template <Timestamp T>
void ScopeTracker<T>::AddInitial(LocationId location, const T& time, int64_t count) {
  HEADWAY_CHECK(!core_->finished);
  if (count != 0) Count(IndexOf(location), time, count);
}

template <Timestamp T>
void ScopeTracker<T>::Finish() {
  std::stable_sort(build_edges_.begin(), build_edges_.end(),
                   [](const BuildEdge& a, const BuildEdge& b) { return a.from < b.from; });
  edges_begin_.assign(ids_.size() + 1, 0);
  edges_.reserve(build_edges_.size());
  for (const BuildEdge& build : build_edges_) {
    ++edges_begin_[build.from + 1];
    edges_.push_back(build.edge);
  }
  for (size_t i = 0; i < ids_.size(); ++i) edges_begin_[i + 1] += edges_begin_[i];
  build_edges_ = {};
  std::stable_sort(cross_edges_.begin(), cross_edges_.end(),
                   [](const auto& a, const auto& b) { return a->from < b->from; });
  AddOwnSources();
  RetractOwnSources();  // there are none; empties touched_
  for (uint8_t& flags : flags_) flags |= kDirty;
}

// Counting.

template <Timestamp T>
void ScopeTracker<T>::Encode(LocationId location, const T& time, int64_t delta, std::byte* to) {
  HEADWAY_CHECK(delta >= std::numeric_limits<int32_t>::min() &&
                delta <= std::numeric_limits<int32_t>::max());
  const auto delta32 = static_cast<int32_t>(delta);
  std::memcpy(to, &location, 4);
  std::memcpy(to + 4, &delta32, 4);
  std::memcpy(to + 8, &time, sizeof(T));
  std::memset(to + 8 + sizeof(T), 0, kEncodedChangeBytes - 8 - sizeof(T));
}

template <Timestamp T>
bool ScopeTracker<T>::PublishPending(std::vector<std::byte>* encoded) {
  bool any = false;
  for (const uint32_t index : pending_locations_) {
    flags_[index] &= static_cast<uint8_t>(~kPending);
    const auto changes = pending_[index].Net();
    if (!changes.empty()) {
      any = true;
      if (encoded != nullptr) {
        size_t at = encoded->size();
        encoded->resize(at + changes.size() * kEncodedChangeBytes);
        for (const auto& change : changes) {
          Encode(ids_[index], change.time, change.delta, encoded->data() + at);
          at += kEncodedChangeBytes;
        }
      }
      for (const auto& change : changes) Count(index, change.time, change.delta);
    }
    pending_[index].Clear();
  }
  pending_locations_.clear();
  return any;
}

template <Timestamp T>
size_t ScopeTracker<T>::ApplyRun(std::span<const std::byte> encoded) {
  size_t at = 0;
  while (at < encoded.size()) {
    LocationId location;
    std::memcpy(&location, encoded.data() + at, 4);
    if (core_->locations[location].scope != this) break;
    int32_t delta;
    std::memcpy(&delta, encoded.data() + at + 4, 4);
    T time;
    std::memcpy(static_cast<void*>(&time), encoded.data() + at + 8, sizeof(T));
    if (delta != 0) Count(core_->locations[location].index, time, delta);
    at += kEncodedChangeBytes;
  }
  return at;
}

template <Timestamp T>
void ScopeTracker<T>::Count(uint32_t index, const T& time, int64_t delta) {
  const int64_t count = counts_[index].outstanding.Update(time, delta);
  if (count == 0) {
    --core_->outstanding;
  } else if (count == delta) {
    ++core_->outstanding;
  }
  if ((flags_[index] & kTouched) == 0) {
    flags_[index] |= kTouched;
    if (touched_.empty()) core_->with_touched.push_back(this);
    touched_.push_back(index);
  }
}

// Propagating. See tracker.cc for the order of the steps and why they are right.

template <Timestamp T>
absl::Status ScopeTracker<T>::CheckTouched() {
  for (const uint32_t index : touched_) {
    for (const T& time : counts_[index].outstanding.frontier()) {
      if (!nodes_[index].implied.LessEqual(time)) return FrontierViolation(index, time);
    }
  }
  return absl::OkStatus();
}

template <Timestamp T>
void ScopeTracker<T>::AddOwnSources() {
  size_t kept = 0;
  for (const uint32_t index : touched_) {
    flags_[index] &= static_cast<uint8_t>(~kTouched);
    const Counts& counts = counts_[index];
    const std::span<const T> frontier = counts.outstanding.frontier();
    bool moved = frontier.size() != counts.own_sources.elements().size();
    for (const T& time : frontier) {
      if (counts.own_sources.Contains(time)) continue;
      moved = true;
      // CheckTouched saw that `time` is not before the implied frontier, so there is nothing to
      // announce.
      nodes_[index].sources.Add(time, 1);
    }
    if (moved) touched_[kept++] = index;
  }
  touched_.resize(kept);
}

template <Timestamp T>
void ScopeTracker<T>::RetractOwnSources() {
  for (const uint32_t index : touched_) {
    Counts& counts = counts_[index];
    const std::span<const T> frontier = counts.outstanding.frontier();
    for (const T& time : counts.own_sources.elements()) {
      if (std::find(frontier.begin(), frontier.end(), time) == frontier.end()) {
        Retract(index, time);
      }
    }
    counts.own_sources.Clear();
    for (const T& time : frontier) counts.own_sources.Insert(time);
  }
  touched_.clear();
}

template <Timestamp T>
void ScopeTracker<T>::Assert(uint32_t index, const T& time) {
  Node& node = nodes_[index];
  const int64_t support = node.sources.Add(time, 1);
  if (support != 1 || (flags_[index] & kDirty) != 0) return;
  if (node.implied.LessEqual(time)) return;
  ++core_->update_count;
  SaveFrontier(index);
  // The addition goes first, so that no successor is without support in between.
  Announce(index, time, true);
  node.implied.Insert(time, [&](const T& displaced) { Announce(index, displaced, false); });
}

template <Timestamp T>
void ScopeTracker<T>::Retract(uint32_t index, const T& time) {
  Node& node = nodes_[index];
  const int64_t support = node.sources.Add(time, -1);
  HEADWAY_DCHECK(support >= 0);
  if (support != 0 || !node.implied.Contains(time)) return;
  if (core_->promoting && (flags_[index] & kDirty) != 0) return;  // Promote will see it
  SaveFrontier(index);
  node.implied.Remove(time);
  MarkDirty(index);
  Announce(index, time, false);
}

template <Timestamp T>
void ScopeTracker<T>::DeliverAnnouncements() {
  for (size_t i = 0; i < announcements_.size(); ++i) {
    const Announcement announcement = announcements_[i];
    Deliver(announcement.index, announcement.time, announcement.added);
  }
  announcements_.clear();
}

template <Timestamp T>
void ScopeTracker<T>::Deliver(uint32_t index, const T& time, bool added) {
  const Edge* const end = edges_.data() + edges_begin_[index + 1];
  for (const Edge* edge = edges_.data() + edges_begin_[index]; edge != end; ++edge) {
    const std::optional<T> result = Traits::ResultsIn(time, edge->summary);
    if (result.has_value()) Receive(edge->to, *result, added);
  }
  if ((flags_[index] & kCrosses) != 0) {
    auto cross =
        std::lower_bound(cross_edges_.begin(), cross_edges_.end(), index,
                         [](const auto& edge, uint32_t from) { return edge->from < from; });
    for (; cross != cross_edges_.end() && (*cross)->from == index; ++cross) {
      (*cross)->Deliver(time, added);
    }
  }
}

template <Timestamp T>
size_t ScopeTracker<T>::PromoteRun(size_t dirty_begin) {
  // core_->dirty does not grow here: promoting only ever adds elements.
  size_t at = dirty_begin;
  for (; at < core_->dirty.size(); ++at) {
    const internal::TrackerCore::Location location = core_->locations[core_->dirty[at]];
    if (location.scope != this) break;
    Promote(location.index);
    if (!core_->with_announcements.empty()) return at + 1;
  }
  return at;
}

template <Timestamp T>
void ScopeTracker<T>::Promote(uint32_t index) {
  flags_[index] &= static_cast<uint8_t>(~kDirty);
  ++core_->update_count;
  Node& node = nodes_[index];
  if constexpr (Traits::kTotallyOrdered) {
    HEADWAY_DCHECK(node.implied.empty());
    if (node.sources.empty()) return;
    const T time = node.sources.entries().front().time;
    node.implied.Insert(time);
    Deliver(index, time, true);
  } else {
    std::swap(node.implied, former_);
    node.implied.Clear();
    for (const auto& entry : node.sources.entries()) node.implied.Insert(entry.time);
    // A delivery does not change this frontier: what comes back over a cycle is later than what
    // left.
    for (const T& time : node.implied.elements()) {
      if (!former_.Contains(time)) Deliver(index, time, true);
    }
    for (const T& time : former_.elements()) {
      if (!node.implied.Contains(time)) Deliver(index, time, false);
    }
  }
}

template <Timestamp T>
void ScopeTracker<T>::Announce(uint32_t index, const T& time, bool added) {
  if (announcements_.empty()) core_->with_announcements.push_back(this);
  announcements_.push_back({time, index, added});
}

template <Timestamp T>
void ScopeTracker<T>::MarkDirty(uint32_t index) {
  if ((flags_[index] & kDirty) != 0) return;
  HEADWAY_DCHECK(!core_->promoting);
  flags_[index] |= kDirty;
  core_->dirty.push_back(ids_[index]);
}

template <Timestamp T>
void ScopeTracker<T>::SaveFrontier(uint32_t index) {
  if ((flags_[index] & (kWatched | kSaved)) != kWatched) return;
  flags_[index] |= kSaved;
  if (saved_.empty()) core_->with_saved.push_back(this);
  saved_.push_back({index, nodes_[index].implied});
}

template <Timestamp T>
void ScopeTracker<T>::ReportChanges() {
  for (const SavedFrontier& saved : saved_) {
    flags_[saved.index] &= static_cast<uint8_t>(~kSaved);
    if (!(saved.implied == nodes_[saved.index].implied)) {
      core_->changed.push_back(ids_[saved.index]);
    }
  }
  saved_.clear();
}

template <Timestamp T>
void ScopeTracker<T>::ReportWatched() {
  for (size_t index = 0; index < ids_.size(); ++index) {
    if ((flags_[index] & kWatched) != 0) core_->changed.push_back(ids_[index]);
  }
}

template <Timestamp T>
absl::Status ScopeTracker<T>::FrontierViolation(uint32_t index, const T& time) const {
  std::string frontier;
  for (const T& element : nodes_[index].implied.elements()) {
    frontier += (frontier.empty() ? "" : ", ") + Traits::Format(element);
  }
  return absl::InternalError("progress: " + core_->Describe(ids_[index]) + " holds time " +
                             Traits::Format(time) + ", which is before its frontier {" + frontier +
                             "}: a capability was used after it was given up, or the workers "
                             "built different graphs");
}

}  // namespace headway

#endif  // HEADWAY_PROGRESS_SCOPE_TRACKER_IMPL_H_
