#ifndef HEADWAY_PROGRESS_FRONTIER_PROPAGATION_H_
#define HEADWAY_PROGRESS_FRONTIER_PROPAGATION_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "check.h"
#include "progress/antichain.h"
#include "progress/scope_graph.h"
#include "progress/scope_tracker_base.h"
#include "progress/scope_work.h"
#include "progress/timestamp.h"
#include "progress/tracker_core.h"
#include "progress/watched_frontiers.h"

namespace headway::internal {

// An element that joined or left the implied frontier of a place, for its successors.
template <Timestamp T>
struct Announcement {
  T time;
  uint32_t index;
  bool added;
};

// Propagates changes of sources along the edges of one scope: the steps Add, Retract and Promote of
// tracker.cc, which explains their order. Not thread safe.
template <Timestamp T>
class FrontierPropagation {
 public:
  // Everything must outlive it.
  FrontierPropagation(ScopeTrackerBase* scope, TrackerCore* core, ScopeGraph<T>* graph,
                      WatchedFrontiers<T>* watched)
      : scope_(*scope),
        core_(*core),
        graph_(*graph),
        watched_(*watched),
        announcements_(scope, &core->with_announcements) {}

  // Add: counts a source of `time` at `index`. Announces the changes of its frontier.
  void AddSource(uint32_t index, const T& time);

  // Retract: removes a source of `time` at `index`. An element without a source leaves the
  // frontier, and so do elements of successors that only it supported.
  void RetractSource(uint32_t index, T time);

  // Delivers announcements to the successors, until none is left in this scope.
  void DeliverAnnouncements();

  LocationId LocationOf(uint32_t index) const { return graph_[index].id; }

  // Promote: promotes places from TrackerCore::waiting, from `begin` on, while they are in this
  // scope and no announcement is pending. Returns the position where it stopped.
  size_t PromoteRun(size_t begin);

 private:
  template <bool kAdded>
  void ChangeSource(uint32_t index, const T& time) {
    if constexpr (kAdded) {
      AddSource(index, time);
    } else {
      RetractSource(index, time);
    }
  }
  template <bool kAdded>
  void Deliver(uint32_t index, T time);
  void Announce(uint32_t index, const T& time, bool added);
  void AwaitPromotion(uint32_t index);
  void Promote(uint32_t index);

  ScopeTrackerBase& scope_;
  TrackerCore& core_;
  ScopeGraph<T>& graph_;
  WatchedFrontiers<T>& watched_;
  ScopeWork<std::vector<Announcement<T>>> announcements_;
  Antichain<T> former_;  // scratch space of Promote
};

// An edge to a place whose times are U; `map` makes those of T.
template <Timestamp T, Timestamp U, class F>
class CrossEdgeTo final : public CrossEdge<T> {
 public:
  CrossEdgeTo(FrontierPropagation<U>* scope, uint32_t to, F map)
      : scope_(scope), to_(to), map_(std::move(map)) {}
  void Deliver(const T& time, bool added) override {
    if (added) {
      scope_->AddSource(to_, map_(time));
    } else {
      scope_->RetractSource(to_, map_(time));
    }
  }
  bool LeadsTo(const T& time, const PointInTime& point) const override {
    return scope_->LocationOf(to_) == point.location && map_(time) == point.Time<U>();
  }

 private:
  FrontierPropagation<U>* const scope_;
  const uint32_t to_;
  const F map_;
};

template <Timestamp T>
inline void FrontierPropagation<T>::AddSource(uint32_t index, const T& time) {
  Place<T>& place = graph_[index];
  place.implied.Add(time, place.Has(Place<T>::kWaiting), [&](const T& element, bool added) {
    if (added) {
      ++core_.update_count;
      watched_.BeforeChange(index);
    }
    Announce(index, element, added);
  });
}

// Follows a chain of places directly. Only a place with several successors, or with one in another
// scope, announces its loss. Either way, a place loses an element after everything that supported
// it.
template <Timestamp T>
inline void FrontierPropagation<T>::RetractSource(uint32_t index, T time) {
  for (;;) {
    Place<T>& place = graph_[index];
    if (!place.implied.Remove(time)) return;
    if (core_.promoting && place.Has(Place<T>::kWaiting)) return;  // Promote will see it
    watched_.BeforeLoss(index, time);
    place.implied.Drop(time);
    AwaitPromotion(index);
    if (place.edge_count != 1 || place.Has(Place<T>::kCrosses)) {
      Announce(index, time, false);
      return;
    }
    const ScopeEdge<T>& edge = graph_.EdgesFrom(place)[0];
    const std::optional<T> result = TimestampTraits<T>::ResultsIn(time, edge.summary);
    if (!result.has_value()) return;
    time = *result;
    index = edge.to;
  }
}

template <Timestamp T>
void FrontierPropagation<T>::DeliverAnnouncements() {
  const auto& items = announcements_.items();
  for (size_t i = 0; i < items.size(); ++i) {  // deliveries append
    if (items[i].added) {
      Deliver<true>(items[i].index, items[i].time);
    } else {
      Deliver<false>(items[i].index, items[i].time);
    }
  }
  announcements_.Clear();
}

template <Timestamp T>
template <bool kAdded>
inline void FrontierPropagation<T>::Deliver(uint32_t index, T time) {
  const Place<T>& place = graph_[index];
  for (const ScopeEdge<T>& edge : graph_.EdgesFrom(place)) {
    const std::optional<T> result = TimestampTraits<T>::ResultsIn(time, edge.summary);
    if (result.has_value()) ChangeSource<kAdded>(edge.to, *result);
  }
  if (place.Has(Place<T>::kCrosses)) graph_.DeliverAcross(index, time, kAdded);
}

template <Timestamp T>
size_t FrontierPropagation<T>::PromoteRun(size_t begin) {
  size_t at = begin;
  // Announcements must arrive before the next promotion. Mostly there is nothing to announce,
  // because the successors also wait for promotion.
  while (at < core_.waiting.size() && core_.with_announcements.empty()) {
    const TrackerCore::Location location = core_.waiting[at];
    if (location.scope != &scope_) break;
    Promote(location.index);
    ++at;
  }
  return at;
}

template <Timestamp T>
inline void FrontierPropagation<T>::Promote(uint32_t index) {
  Place<T>& place = graph_[index];
  place.Clear(Place<T>::kWaiting);
  ++core_.update_count;
  // A delivery does not change this frontier: cycles advance time, so it returns as a later time.
  place.implied.Promote(former_, [&](const T& time, bool added) {
    if (added) {
      Deliver<true>(index, time);
    } else {
      Deliver<false>(index, time);
    }
  });
}

template <Timestamp T>
void FrontierPropagation<T>::Announce(uint32_t index, const T& time, bool added) {
  if (graph_[index].HasSuccessor()) announcements_.Add({time, index, added});
}

template <Timestamp T>
inline void FrontierPropagation<T>::AwaitPromotion(uint32_t index) {
  Place<T>& place = graph_[index];
  if (place.Has(Place<T>::kWaiting)) return;
  HEADWAY_DCHECK(!core_.promoting);
  place.Set(Place<T>::kWaiting);
  core_.waiting.push_back({&scope_, index});
}

}  // namespace headway::internal

#endif  // HEADWAY_PROGRESS_FRONTIER_PROPAGATION_H_
