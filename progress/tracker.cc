#include "progress/tracker.h"

#include <bit>
#include <set>

#include "progress/cycles.h"

// Incremental maintenance of implied frontiers.
//
// For each location, ImpliedFrontier counts the *sources* of each time. The sources are the
// location's own minimal outstanding times, and the elements of its predecessors' implied
// frontiers, advanced over the edges. The implied frontier is the set of minimal times with a
// source (I8). Every cycle strictly advances time (G2), so no element is a source of itself. The
// support is acyclic, and counting it is exact. A propagation has these steps:
//
// Add. Counts the new minimal outstanding times as sources. By T6 none is before the implied
// frontier, so no frontier changes. This step is first, so that a capability that becomes a batch
// downstream moves no frontier there.
//
// Retract. Removes the former minimal times from the sources. An element without a source leaves
// the implied frontier and is no source of the successors' elements any more, and so forth. No
// element joins in this step. Around a cycle, a vanishing time would be replaced by its own
// consequence, without end.
//
// Promote. Each location that lost an element takes the minimal times with a source. Locations are
// promoted in the order of their losses: each after all locations that supported it. New elements
// become sources at the successors. A successor that waits for its promotion only counts them. At
// another one, a new element may be less than the present ones, and then it propagates further.
//
// Move. The frequent case: one source is replaced by a later one, because a capability was
// downgraded. For totally ordered times the tracker follows this along the edges in one pass. The
// new element is supported by the source that has just moved, so it cannot be about to vanish, and
// no location waits. A move is not possible
// - where an element of unknown support would become the next one, such as a time of a cycle,
// - at a location that waits,
// - at a location with an edge to another scope.
// Such a move becomes a retraction, which happens at once, and a *late source*, which is counted
// after all retractions. At that point its location waits, or has a lesser element, so counting it
// moves no frontier. A late source does not move again: it is supported by an own source that has
// just changed, and each own source changes once.
//
// If the own source of one location is the only change, no other source is about to vanish. Then
// Add and Retract are not needed. A source that moves is not counted at two times meanwhile. A
// source that vanishes is replaced by the least other time, unless a cycle may make that vanish,
// too.
//
// During Promote frontiers only gain: an element leaves a location only after a lesser one has
// joined, and the same is true over each edge. So no location is promoted twice. The work is
// proportional to the number of elements that change, at locations with any number of predecessors.
// The algorithm needs no total order of times; times of different scopes have none.

namespace headway {

using internal::Components;
using internal::FindComponents;
using internal::FindCycle;
using internal::FindFault;
using internal::GraphEdge;
using internal::PointInTime;
using internal::RoundFault;
using internal::RoundReader;
using internal::ScopeTrackerBase;
using internal::TrackerCore;

static_assert(std::endian::native == std::endian::little,
              "the encoding of a round copies the bytes of numbers");

namespace {

// The scopes from a root scope down to `scope`.
std::vector<const ScopeTrackerBase*> Lineage(const ScopeTrackerBase* scope) {
  std::vector<const ScopeTrackerBase*> lineage;
  for (; scope != nullptr; scope = scope->parent()) lineage.insert(lineage.begin(), scope);
  return lineage;
}

}  // namespace

absl::Status Tracker::Finish(std::function<std::string(LocationId)> describe) {
  HEADWAY_CHECK(!core_.finished);
  core_.finished = true;
  core_.describe = std::move(describe);
  for (const TrackerCore::Location& location : core_.locations) {
    change_bytes_.push_back(static_cast<uint32_t>(location.scope->change_bytes()));
  }
  if (absl::Status status = CheckCycles(); !status.ok()) return status;

  const auto location_count = static_cast<uint32_t>(core_.locations.size());
  std::vector<GraphEdge> edges;
  for (const TrackerCore::Edge& edge : core_.edges) edges.push_back({edge.from, edge.to});
  const std::vector<bool> in_cycle = FindComponents(location_count, edges).in_cycle;
  core_.edges = {};

  for (const auto& scope : scopes_) scope->Finish(in_cycle);
  core_.with_touched.clear();
  core_.waiting = core_.locations;
  PromoteWaiting();
  ReportChanges();  // changes before the first frontiers are not reported
  core_.changed.clear();
  for (const auto& scope : scopes_) scope->ReportWatched();
  return absl::OkStatus();
}

// A cycle whose outermost scope is S must advance the coordinates of S: an inner coordinate is
// dropped at the exit of the inner scope. So, for each scope, consider the edges within it and its
// inner scopes that do not advance the scope's own coordinates. They must not form a cycle through
// a location of the scope itself.
absl::Status Tracker::CheckCycles() const {
  const auto location_count = static_cast<uint32_t>(core_.locations.size());
  std::vector<std::vector<const ScopeTrackerBase*>> lineages(location_count);
  for (LocationId l = 0; l < location_count; ++l) lineages[l] = Lineage(core_.locations[l].scope);

  for (size_t level = 0;; ++level) {
    bool any = false;
    std::vector<GraphEdge> edges;
    for (const TrackerCore::Edge& edge : core_.edges) {
      const auto& from = lineages[edge.from];
      const auto& to = lineages[edge.to];
      if (from.size() <= level || to.size() <= level || from[level] != to[level]) continue;
      any = true;
      if (edge.strict_depth >= from[level]->time_depth()) edges.push_back({edge.from, edge.to});
    }
    if (!any) return absl::OkStatus();
    const Components components = FindComponents(location_count, edges);
    for (LocationId l = 0; l < location_count; ++l) {
      if (!components.in_cycle[l] || lineages[l].size() != level + 1) continue;
      std::string names;
      for (const LocationId on_cycle : FindCycle(location_count, edges, l)) {
        names += core_.Describe(on_cycle) + " -> ";
      }
      return absl::InvalidArgumentError(
          "the dataflow has a cycle that does not advance time, so it could never complete: " +
          names + core_.Describe(l) +
          "; give one of its edges a summary that advances the time of the cycle's outermost "
          "scope");
    }
  }
}

bool Tracker::Publish(std::vector<std::byte>* round) {
  HEADWAY_CHECK(core_.finished);
  bool any = false;
  for (ScopeTrackerBase* scope : core_.with_pending) any |= scope->PublishPending(round);
  core_.with_pending.clear();
  return any;
}

std::vector<std::byte> Tracker::EncodeCounts() const {
  std::vector<std::byte> round;
  for (const auto& scope : scopes_) scope->EncodeCounts(&round);
  return round;
}

absl::Status Tracker::Apply(std::span<const std::byte> round) {
  HEADWAY_CHECK(core_.finished);
  // Validates the whole round before it counts the first change.
  const RoundFault fault = FindFault(round, change_bytes_);
  if (fault.kind != RoundFault::Kind::kNone) return MalformedRound(fault);
  for (RoundReader reader(round, change_bytes_); !reader.done();) {
    core_.locations[reader.change().location()].scope->ApplyRun(&reader);
  }
  return absl::OkStatus();
}

absl::Status Tracker::MalformedRound(const RoundFault& fault) const {
  switch (fault.kind) {
    case RoundFault::Kind::kNone:
      return absl::OkStatus();
    case RoundFault::Kind::kTruncatedLocation:
      return absl::InvalidArgumentError(
          "progress: malformed round of a peer: it ends within a change");
    case RoundFault::Kind::kUnknownLocation:
      return absl::InvalidArgumentError("progress: malformed round of a peer: it names location " +
                                        std::to_string(fault.location) +
                                        ", but this dataflow has " +
                                        std::to_string(core_.locations.size()) +
                                        " locations; build the same graph on every worker");
    case RoundFault::Kind::kTruncatedChange:
      return absl::InvalidArgumentError(
          "progress: malformed round of a peer: it ends within a change of " +
          core_.Describe(fault.location));
  }
  return absl::OkStatus();
}

std::vector<Holdup> Tracker::FindHoldups(std::span<const LocationId> locations, size_t max) const {
  std::vector<PointInTime> points;
  for (const LocationId location : locations) {
    core_.locations[location].scope->AppendFrontier(location, &points);
  }
  std::set<PointInTime> seen(points.begin(), points.end());
  std::vector<Holdup> holdups;
  while (!points.empty() && holdups.size() < max) {
    const PointInTime point = points.back();
    points.pop_back();
    const ScopeTrackerBase& scope = *core_.locations[point.location].scope;
    std::vector<PointInTime> support;
    for (const auto& each : scopes_) each->AppendSupport(point, &support);
    // A time that is supported from upstream too may wait for that.
    std::optional<std::string> time = scope.OutstandingTime(point);
    if (support.empty() && time.has_value()) holdups.push_back({point.location, *std::move(time)});
    for (const PointInTime& each : support) {
      if (seen.insert(each).second) points.push_back(each);
    }
  }
  return holdups;
}

absl::Status Tracker::Propagate() {
  HEADWAY_CHECK(core_.finished);
  core_.changed.clear();
  if (core_.with_touched.size() != 1 || !core_.with_touched[0]->ChangeOnlySource()) {
    for (ScopeTrackerBase* scope : core_.with_touched) {
      if (absl::Status status = scope->AddOwnSources(); !status.ok()) return status;
    }
    for (ScopeTrackerBase* scope : core_.with_touched) scope->RetractOwnSources();
  }
  core_.with_touched.clear();
  DeliverAnnouncements();
  if (!core_.waiting.empty() || !core_.with_late_sources.empty()) PromoteWaiting();
  ReportChanges();
  return absl::OkStatus();
}

void Tracker::ReportChanges() {
  for (ScopeTrackerBase* scope : core_.with_saved) scope->ReportChanges();
  core_.with_saved.clear();
}

void Tracker::DeliverAnnouncements() {
  while (!core_.with_announcements.empty()) {
    core_.with_announcements.PopBack()->DeliverAnnouncements();
  }
}

void Tracker::PromoteWaiting() {
  core_.promoting = true;
  for (ScopeTrackerBase* scope : core_.with_late_sources) scope->AddLateSources();
  core_.with_late_sources.clear();
  for (size_t at = 0; at < core_.waiting.size();) {
    at = core_.waiting[at].scope->PromoteRun(at);
    DeliverAnnouncements();
  }
  core_.promoting = false;
  core_.waiting.clear();
}

}  // namespace headway
