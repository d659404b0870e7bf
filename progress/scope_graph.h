#ifndef HEADWAY_PROGRESS_SCOPE_GRAPH_H_
#define HEADWAY_PROGRESS_SCOPE_GRAPH_H_

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "progress/holdup.h"
#include "progress/implied_frontier.h"
#include "progress/location_id.h"
#include "progress/timestamp.h"

namespace headway::internal {

// An edge within a scope. Places are named by their index in the ScopeGraph.
template <Timestamp T>
struct ScopeEdge {
  uint32_t to;
  typename TimestampTraits<T>::Summary summary;
};

// An edge to a place of another scope.
template <Timestamp T>
struct CrossEdge {
  virtual ~CrossEdge() = default;
  // `time` joined (`added`) or left the implied frontier of `from`.
  virtual void Deliver(const T& time, bool added) = 0;
  // Returns true iff `time` at `from` results in `point`.
  virtual bool LeadsTo(const T& time, const PointInTime& point) const = 0;
  uint32_t from = 0;
};

// A location of a scope, with everything that a propagation reads there. One cache line for Epoch.
template <Timestamp T>
struct alignas(64) Place {
  // Not a uint8_t: a write to one may alias anything.
  using Flags = uint16_t;
  static constexpr Flags kWaiting = 1;   // lost an element and was not promoted since
  static constexpr Flags kWatched = 2;   // changes of its frontier are reported
  static constexpr Flags kSaved = 4;     // WatchedFrontiers has its former frontier
  static constexpr Flags kCrosses = 8;   // has an edge to another scope
  static constexpr Flags kInCycle = 16;  // a path leads back to it, perhaps through other scopes

  static constexpr uint32_t kNone = ~uint32_t{0};

  explicit Place(LocationId id) : id(id) {}
  bool Has(Flags any_of) const { return (flags & any_of) != 0; }
  void Set(Flags flag) { flags |= flag; }
  void Clear(Flags flag) { flags &= static_cast<Flags>(~flag); }
  bool HasSuccessor() const { return edge_count > 0 || Has(kCrosses); }

  Flags flags = 0;
  LocationId id;
  uint32_t edges_begin = 0;  // in ScopeGraph::edges_
  uint32_t edge_count = 0;
  uint32_t next = kNone;  // the only successor, if its edge does not change times
  ImpliedFrontier<T> implied;
};
static_assert(sizeof(Place<Epoch>) == 64);

// The places of one scope and the edges that leave them, grouped by place. Not thread safe.
template <Timestamp T>
class ScopeGraph {
 public:
  using Summary = typename TimestampTraits<T>::Summary;
  using Edge = ScopeEdge<T>;

  // Building.

  // Returns the index of the new place. Indices are dense from 0.
  uint32_t AddPlace(LocationId id) {
    places_.emplace_back(id);
    return static_cast<uint32_t>(places_.size() - 1);
  }
  void AddEdge(uint32_t from, uint32_t to, Summary summary) {
    build_edges_.push_back({from, {to, summary}});
  }
  void AddCrossEdge(uint32_t from, std::unique_ptr<CrossEdge<T>> edge) {
    edge->from = from;
    places_[from].Set(Place<T>::kCrosses);
    cross_edges_.insert(CrossEdgesFrom(from + 1), std::move(edge));
  }

  // Ends building. `in_cycle` is true for each location from which a path leads back to it.
  void Finish(const std::vector<bool>& in_cycle);

  // Running.

  size_t size() const { return places_.size(); }
  Place<T>& operator[](uint32_t index) { return places_[index]; }
  const Place<T>& operator[](uint32_t index) const { return places_[index]; }
  std::span<Place<T>> places() { return places_; }
  std::span<const Place<T>> places() const { return places_; }

  // The edges within the scope.
  std::span<const Edge> EdgesFrom(const Place<T>& place) const {
    return {edges_.data() + place.edges_begin, place.edge_count};
  }

  // The edges to other scopes, sorted by origin.
  std::span<const std::unique_ptr<CrossEdge<T>>> cross_edges() const { return cross_edges_; }

  // Passes a change of the implied frontier of `index` to the other scopes.
  void DeliverAcross(uint32_t index, const T& time, bool added) {
    for (auto edge = CrossEdgesFrom(index); edge != cross_edges_.end() && (*edge)->from == index;
         ++edge) {
      (*edge)->Deliver(time, added);
    }
  }

 private:
  struct BuildEdge {
    uint32_t from;
    Edge edge;
  };

  auto CrossEdgesFrom(uint32_t index) {
    return std::lower_bound(cross_edges_.begin(), cross_edges_.end(), index,
                            [](const auto& edge, uint32_t from) { return edge->from < from; });
  }

  std::vector<Place<T>> places_;
  std::vector<Edge> edges_;                                 // grouped by origin
  std::vector<std::unique_ptr<CrossEdge<T>>> cross_edges_;  // sorted by origin
  std::vector<BuildEdge> build_edges_;                      // until Finish
};

template <Timestamp T>
void ScopeGraph<T>::Finish(const std::vector<bool>& in_cycle) {
  for (const BuildEdge& build : build_edges_) ++places_[build.from].edge_count;
  uint32_t end = 0;
  for (Place<T>& place : places_) {
    place.edges_begin = end;
    end += place.edge_count;
    place.edge_count = 0;
    if (in_cycle[place.id]) place.Set(Place<T>::kInCycle);
  }
  edges_.resize(build_edges_.size());
  for (const BuildEdge& build : build_edges_) {
    Place<T>& from = places_[build.from];
    edges_[from.edges_begin + from.edge_count++] = build.edge;
  }
  build_edges_ = {};
  if constexpr (TimestampTraits<T>::kTotallyOrdered && std::equality_comparable<Summary>) {
    for (Place<T>& place : places_) {
      if (place.edge_count != 1 || place.Has(Place<T>::kCrosses)) continue;
      const Edge& edge = edges_[place.edges_begin];
      if (edge.summary == TimestampTraits<T>::Identity()) place.next = edge.to;
    }
  }
}

}  // namespace headway::internal

#endif  // HEADWAY_PROGRESS_SCOPE_GRAPH_H_
