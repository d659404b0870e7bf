#ifndef HEADWAY_PROGRESS_SOURCE_MOVES_H_
#define HEADWAY_PROGRESS_SOURCE_MOVES_H_

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "progress/antichain.h"
#include "progress/frontier_propagation.h"
#include "progress/implied_frontier.h"
#include "progress/scope_graph.h"
#include "progress/scope_tracker_base.h"
#include "progress/scope_work.h"
#include "progress/timestamp.h"
#include "progress/tracker_core.h"
#include "progress/watched_frontiers.h"

namespace headway::internal {

// A source that a waiting place gets before promotions begin.
template <Timestamp T>
struct LateSource {
  T time;
  uint32_t index;
};

// The step Move of tracker.cc, for totally ordered times: sources that give way to later ones, and
// the elements downstream that move with them. A move that is not possible becomes a retraction and
// a late source. Not thread safe.
template <Timestamp T>
class SourceMoves {
 public:
  // Everything must outlive it.
  SourceMoves(ScopeTrackerBase* scope, TrackerCore* core, ScopeGraph<T>* graph,
              WatchedFrontiers<T>* watched, FrontierPropagation<T>* propagation)
      : core_(*core),
        graph_(*graph),
        watched_(*watched),
        propagation_(*propagation),
        late_(scope, &core->with_late_sources) {}

  // Replaces the own sources `former` of `index` by `current`, and moves the elements that follow.
  // Returns false, and does nothing, if a retraction or a promotion is necessary.
  // REQUIRES: no other source changes in this propagation.
  bool ReplaceOnlyChange(uint32_t index, std::span<const T> former, std::span<const T> current);

  // Removes the own source `former` of `index`, and moves the elements that follow. The element of
  // the place moves to `current`, which is counted already. Returns false, and does nothing, if a
  // retraction is necessary.
  bool MoveToCounted(uint32_t index, std::span<const T> former, std::span<const T> current);

  // Adds the late sources. After the last retraction, before the first promotion.
  void AddLateSources();

 private:
  struct Move {
    uint32_t index;
    T from;
    T to;
  };

  void Follow(uint32_t index, T from, T to);
  void QueueSuccessors(const Place<T>& place, const T& from, const T& to);
  bool MoveSource(uint32_t index, const T& from, const T& to);

  TrackerCore& core_;
  ScopeGraph<T>& graph_;
  WatchedFrontiers<T>& watched_;
  FrontierPropagation<T>& propagation_;
  ScopeWork<std::vector<LateSource<T>>> late_;
  std::vector<Move> queue_;  // scratch space of Follow
};

template <Timestamp T>
inline bool SourceMoves<T>::ReplaceOnlyChange(uint32_t index, std::span<const T> former,
                                              std::span<const T> current) {
  if constexpr (TimestampTraits<T>::kTotallyOrdered) {
    using Moved = typename ImpliedFrontier<T>::Moved;
    Place<T>& place = graph_[index];
    if (former.empty()) {
      if (current.empty()) return false;
      if (!AnyLessEqual(place.implied.elements(), current[0])) return false;
      place.implied.Count(current[0]);
      return true;
    }
    const T from = former[0];
    if (!current.empty() && from == current[0]) return true;
    if (place.Has(Place<T>::kCrosses)) return false;
    T to{};
    Moved moved = Moved::kUnclear;
    if (!current.empty()) {
      to = current[0];
      if (TimestampTraits<T>::TotalLess(from, to)) moved = place.implied.Move(from, to);
    } else if (!place.Has(Place<T>::kInCycle)) {
      moved = place.implied.MoveToNext(from, &to);
    }
    if (moved == Moved::kUnclear) return false;
    if (moved == Moved::kElement) Follow(index, from, to);
    return true;
  }
  return false;
}

template <Timestamp T>
inline bool SourceMoves<T>::MoveToCounted(uint32_t index, std::span<const T> former,
                                          std::span<const T> current) {
  if constexpr (TimestampTraits<T>::kTotallyOrdered) {
    if (former.empty() || current.empty()) return false;
    Place<T>& place = graph_[index];
    if (place.Has(Place<T>::kWaiting | Place<T>::kCrosses)) return false;
    if (!place.implied.MoveToNext(former[0], current[0])) return false;
    Follow(index, former[0], current[0]);
    return true;
  }
  return false;
}

// The element of `index` has moved: moves the elements that follow from it.
template <Timestamp T>
void SourceMoves<T>::Follow(uint32_t index, T from, T to) {
  if constexpr (TimestampTraits<T>::kTotallyOrdered) {
    for (;;) {
      const Place<T>& place = graph_[index];
      ++core_.update_count;
      watched_.AfterMove(index, from);
      if (place.next != Place<T>::kNone) {  // a chain needs no queue
        index = place.next;
        if (MoveSource(index, from, to)) continue;
      } else if (place.edge_count > 0) {
        QueueSuccessors(place, from, to);
      }
      do {
        if (queue_.empty()) return;
        // Member by member, as it was written: a wider load would wait for the stores.
        const Move& move = queue_.back();
        index = move.index;
        from = move.from;
        to = move.to;
        queue_.pop_back();
      } while (!MoveSource(index, from, to));
    }
  }
}

// The element of `place` has moved: queues its successors, which follow in reverse order.
template <Timestamp T>
void SourceMoves<T>::QueueSuccessors(const Place<T>& place, const T& from, const T& to) {
  for (const ScopeEdge<T>& edge : graph_.EdgesFrom(place)) {
    const std::optional<T> result_from = TimestampTraits<T>::ResultsIn(from, edge.summary);
    if (!result_from.has_value()) continue;
    const std::optional<T> result_to = TimestampTraits<T>::ResultsIn(to, edge.summary);
    if (!result_to.has_value()) {
      propagation_.RetractSource(edge.to, *result_from);
    } else if (!(*result_from == *result_to)) {
      queue_.push_back({edge.to, *result_from, *result_to});
    }
  }
}

// Returns true iff the element of the place has moved with the source.
template <Timestamp T>
inline bool SourceMoves<T>::MoveSource(uint32_t index, const T& from, const T& to) {
  if constexpr (TimestampTraits<T>::kTotallyOrdered) {
    using Moved = typename ImpliedFrontier<T>::Moved;
    Place<T>& place = graph_[index];
    if (!place.Has(Place<T>::kWaiting | Place<T>::kCrosses)) {
      const Moved moved = place.implied.Move(from, to);
      if (moved != Moved::kUnclear) return moved == Moved::kElement;
    }
  }
  propagation_.RetractSource(index, from);
  late_.Add({to, index});
  return false;
}

template <Timestamp T>
void SourceMoves<T>::AddLateSources() {
  for (const LateSource<T>& late : late_.items()) propagation_.AddSource(late.index, late.time);
  late_.Clear();
}

}  // namespace headway::internal

#endif  // HEADWAY_PROGRESS_SOURCE_MOVES_H_
