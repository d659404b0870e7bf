#ifndef HEADWAY_PROGRESS_SCOPE_TRACKER_H_
#define HEADWAY_PROGRESS_SCOPE_TRACKER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "check.h"
#include "progress/antichain.h"
#include "progress/frontier_propagation.h"
#include "progress/frontier_view.h"
#include "progress/outstanding_counts.h"
#include "progress/pending_changes.h"
#include "progress/product.h"
#include "progress/round.h"
#include "progress/scope_graph.h"
#include "progress/scope_tracker_base.h"
#include "progress/source_moves.h"
#include "progress/timestamp.h"
#include "progress/tracker_core.h"
#include "progress/watched_frontiers.h"

namespace headway {

class Tracker;

// One scope's part of a Tracker: the locations with timestamp T, the edges between them, and their
// counts. Made and owned by Tracker::AddScope. Not thread safe.
//
// Every location has counts of outstanding times (capabilities and batches), and an implied
// frontier. That consists of the minimal times among its own outstanding times and the implied
// frontiers of its predecessors, advanced over the edges (I8).
template <Timestamp T>
class ScopeTracker final : public internal::ScopeTrackerBase {
 public:
  using Summary = typename TimestampTraits<T>::Summary;

  // Building, before Tracker::Finish.

  LocationId AddLocation();

  // Times at `from` may result in times at `to`, both in this scope, advanced by `summary`.
  void AddEdge(LocationId from, LocationId to, Summary summary = TimestampTraits<T>::Identity());

  // Counts `count` initial capabilities for `time`, those of all workers together. They are not
  // published: every worker counts the same ones.
  void AddInitial(LocationId location, const T& time, int64_t count);

  // Running.

  // Records that the count of `time` at `location` changes by `delta`. Takes effect, here and at
  // the peers, with Tracker::Publish. Changes that cancel before then have no effect.
  void Record(LocationId location, const T& time, int64_t delta) {
    pending_.At(IndexOf(location)).Update(time, delta);
  }

  // The same as Record(location, from, -1) and Record(location, to, 1), for different times.
  void RecordMove(LocationId location, const T& from, const T& to) {
    pending_.At(IndexOf(location)).Move(from, to);
  }

  // The times that may still appear at `location`, as of the last Tracker::Propagate. Empty before
  // Tracker::Finish.
  FrontierView<T> frontier(LocationId location) const { return {&graph_, IndexOf(location)}; }

  // Makes Tracker::changed report `location`.
  void Watch(LocationId location) { watched_.Watch(IndexOf(location)); }

 private:
  friend class Tracker;
  template <Timestamp U>
  friend class ScopeTracker;

  using Traits = TimestampTraits<T>;
  using Place = internal::Place<T>;

  explicit ScopeTracker(internal::TrackerCore* core)
      : ScopeTrackerBase(Traits::kDepth, internal::kChangeBytes<T>,
                         std::has_unique_object_representations_v<T>),
        core_(core),
        pending_({this, &core->with_pending}),
        counts_({this, &core->with_touched}, &core->outstanding),
        watched_(&graph_, {this, &core->with_saved}, &core->changed),
        propagation_(this, core, &graph_, &watched_),
        moves_(this, core, &graph_, &watched_, &propagation_) {}

  bool Owns(LocationId location) const {
    return location < core_->locations.size() && core_->locations[location].scope == this;
  }

  uint32_t IndexOf(LocationId location) const {
    HEADWAY_DCHECK(Owns(location));
    return core_->locations[location].index;
  }

  // `map` makes the times at `to` of those at `from`.
  template <Timestamp U, class F>
  void AddCrossEdge(LocationId from, ScopeTracker<U>* scope, LocationId to, F map);

  void Finish(const std::vector<bool>& in_cycle) override;
  bool PublishPending(std::vector<std::byte>* round) override;
  void EncodeCounts(std::vector<std::byte>* round) const override;
  void ApplyRun(internal::RoundReader* reader) override;
  bool ChangeOnlySource() override;
  absl::Status AddOwnSources() override;
  void RetractOwnSources() override;
  void DeliverAnnouncements() override { propagation_.DeliverAnnouncements(); }
  void AddLateSources() override { moves_.AddLateSources(); }
  size_t PromoteRun(size_t begin) override { return propagation_.PromoteRun(begin); }
  void ReportChanges() override { watched_.ReportChanges(); }
  void ReportWatched() override { watched_.ReportAll(); }
  void AppendFrontier(LocationId location,
                      std::vector<internal::PointInTime>* points) const override;
  void AppendSupport(const internal::PointInTime& point,
                     std::vector<internal::PointInTime>* points) const override;
  std::optional<std::string> OutstandingTime(const internal::PointInTime& point) const override {
    const T time = point.Time<T>();
    if (!internal::Contains(counts_.frontier(IndexOf(point.location)), time)) return std::nullopt;
    return Traits::Format(time);
  }

  absl::Status FrontierViolation(const Place& place, const T& time) const;

  internal::TrackerCore* const core_;
  internal::ScopeGraph<T> graph_;
  internal::PendingChanges<T> pending_;
  internal::OutstandingCounts<T> counts_;
  internal::WatchedFrontiers<T> watched_;
  internal::FrontierPropagation<T> propagation_;
  internal::SourceMoves<T> moves_;
};

// Building.

template <Timestamp T>
LocationId ScopeTracker<T>::AddLocation() {
  HEADWAY_CHECK(!core_->finished);
  const auto id = static_cast<LocationId>(core_->locations.size());
  core_->locations.push_back({this, graph_.AddPlace(id)});
  core_->changed.Reserve(core_->locations.size());
  pending_.AddPlace();
  counts_.AddPlace();
  watched_.AddPlace();
  return id;
}

template <Timestamp T>
void ScopeTracker<T>::AddEdge(LocationId from, LocationId to, Summary summary) {
  HEADWAY_CHECK(!core_->finished && Owns(from) && Owns(to));
  graph_.AddEdge(IndexOf(from), IndexOf(to), summary);
  core_->edges.push_back(
      {from, to, Traits::StrictDepth(summary).value_or(internal::TrackerCore::Edge::kNotStrict)});
}

template <Timestamp T>
template <Timestamp U, class F>
void ScopeTracker<T>::AddCrossEdge(LocationId from, ScopeTracker<U>* scope, LocationId to, F map) {
  HEADWAY_CHECK(!core_->finished && core_ == scope->core_ && Owns(from) && scope->Owns(to));
  graph_.AddCrossEdge(IndexOf(from), std::make_unique<internal::CrossEdgeTo<T, U, F>>(
                                         &scope->propagation_, scope->IndexOf(to), map));
  core_->edges.push_back({from, to, internal::TrackerCore::Edge::kNotStrict});
}

template <Timestamp T>
void ScopeTracker<T>::AddInitial(LocationId location, const T& time, int64_t count) {
  HEADWAY_CHECK(!core_->finished && Owns(location));
  if (count != 0) counts_.Add(IndexOf(location), time, count);
}

template <Timestamp T>
void ScopeTracker<T>::Finish(const std::vector<bool>& in_cycle) {
  graph_.Finish(in_cycle);
  for (Place& place : graph_.places()) place.Set(Place::kWaiting);
  counts_.Settle([&](uint32_t index) {
    for (const T& time : counts_.frontier(index)) graph_[index].implied.Count(time);
  });
}

// Rounds.

template <Timestamp T>
bool ScopeTracker<T>::PublishPending(std::vector<std::byte>* round) {
  return pending_.Drain([&](uint32_t index, auto changes) {
    if (round != nullptr) internal::RoundWriter(round).AddAll(graph_[index].id, changes);
    counts_.AddAll(index, changes);
  });
}

template <Timestamp T>
void ScopeTracker<T>::EncodeCounts(std::vector<std::byte>* round) const {
  internal::RoundWriter writer(round);
  counts_.ForEach([&](uint32_t index, const T& time, int64_t count) {
    writer.Add(graph_[index].id, time, count);
  });
}

template <Timestamp T>
void ScopeTracker<T>::ApplyRun(internal::RoundReader* reader) {
  internal::RoundReader cursor = *reader;  // a copy can live in registers
  for (; !cursor.done(); cursor.template NextAfter<T>()) {
    const internal::EncodedChange change = cursor.change();
    const internal::TrackerCore::Location location = core_->locations[change.location()];
    if (location.scope != this) break;
    if (const int32_t delta = change.delta(); delta != 0) {
      counts_.Add(location.index, change.template time<T>(), delta);
    }
  }
  reader->MoveTo(cursor);
}

// Propagating. tracker.cc explains the steps.

template <Timestamp T>
bool ScopeTracker<T>::ChangeOnlySource() {
  if (counts_.touched().size() != 1) return false;
  const uint32_t index = counts_.touched()[0];
  if (!moves_.ReplaceOnlyChange(index, counts_.settled(index).elements(),
                                counts_.frontier(index))) {
    return false;
  }
  counts_.Settle([](uint32_t) {});
  return true;
}

template <Timestamp T>
absl::Status ScopeTracker<T>::AddOwnSources() {
  for (const uint32_t index : counts_.touched()) {
    Place& place = graph_[index];
    for (const T& time : counts_.frontier(index)) {
      if (counts_.settled(index).Contains(time)) continue;
      if (!internal::AnyLessEqual(place.implied.elements(), time)) {
        return FrontierViolation(place, time);
      }
      place.implied.Count(time);  // not before the frontier, so there is nothing to announce
    }
  }
  return absl::OkStatus();
}

template <Timestamp T>
void ScopeTracker<T>::RetractOwnSources() {
  counts_.Settle([&](uint32_t index) {
    const std::span<const T> former = counts_.settled(index).elements();
    const std::span<const T> current = counts_.frontier(index);
    if (moves_.MoveToCounted(index, former, current)) return;
    for (const T& time : former) {
      if (!internal::Contains(current, time)) propagation_.RetractSource(index, time);
    }
  });
}

template <Timestamp T>
absl::Status ScopeTracker<T>::FrontierViolation(const Place& place, const T& time) const {
  std::string frontier;
  for (const T& element : place.implied.elements()) {
    frontier += (frontier.empty() ? "" : ", ") + Traits::Format(element);
  }
  return absl::InternalError("progress: " + core_->Describe(place.id) + " holds time " +
                             Traits::Format(time) + ", which is before its frontier {" + frontier +
                             "}: an operator used a capability after dropping it, or the workers "
                             "built different graphs");
}

// Holdups.

template <Timestamp T>
void ScopeTracker<T>::AppendFrontier(LocationId location,
                                     std::vector<internal::PointInTime>* points) const {
  for (const T& time : graph_[IndexOf(location)].implied.elements()) {
    points->push_back(internal::PointInTime::Of(location, time));
  }
}

template <Timestamp T>
void ScopeTracker<T>::AppendSupport(const internal::PointInTime& point,
                                    std::vector<internal::PointInTime>* points) const {
  if (Owns(point.location)) {
    const uint32_t to = IndexOf(point.location);
    for (const Place& from : graph_.places()) {
      for (const internal::ScopeEdge<T>& edge : graph_.EdgesFrom(from)) {
        if (edge.to != to) continue;
        for (const T& time : from.implied.elements()) {
          if (Traits::ResultsIn(time, edge.summary) == point.Time<T>()) {
            points->push_back(internal::PointInTime::Of(from.id, time));
          }
        }
      }
    }
  }
  for (const auto& edge : graph_.cross_edges()) {
    const Place& from = graph_[edge->from];
    for (const T& time : from.implied.elements()) {
      if (edge->LeadsTo(time, point)) points->push_back(internal::PointInTime::Of(from.id, time));
    }
  }
}

// Instantiated in scope_tracker.cc.
extern template class ScopeTracker<Epoch>;
extern template class ScopeTracker<Product<Epoch, uint64_t>>;

}  // namespace headway

#endif  // HEADWAY_PROGRESS_SCOPE_TRACKER_H_
