#include "progress/tracker.h"

#include <bit>

#include "progress/cycles.h"

// How implied frontiers are kept up to date.
//
// For each location and time, `sources` counts what yields this time there: the location's own
// minimal outstanding times, and the elements of its predecessors' implied frontiers, advanced over
// the edges. The implied frontier is the set of minimal times with a source (I8). Every cycle
// strictly advances time (G2), so no element is, over any cycle, a source of itself: the support is
// acyclic, and counting it is exact. That makes both directions incremental:
//
// Add. The new minimal outstanding times are counted as sources. T6 makes sure that none is earlier
// than the implied frontier, so nothing moves. This goes first, so that a capability that turns
// into a batch downstream moves nothing there either.
//
// Retract. The former minimal times are uncounted. An element without a source leaves the implied
// frontier, which uncounts it at the successors, and so on, until all that had no other support is
// gone. Nothing takes its place yet: around a cycle, a time that is about to vanish would be
// replaced by its own consequence, and that without end.
//
// Promote. Each location that lost an element takes the minimal times of what its sources now are,
// in the order in which locations lost theirs: each after all that supported it. What is new is
// counted at the successors; at a location that still waits for its turn that is all, at another it
// may be less than what is there, and go on from there.
//
// Move. Most often one source gives way to a later one, which at once is the least of the others: a
// capability was downgraded. For totally ordered times that is followed along the edges in one go:
// the new element is supported by what has just moved, so it cannot be about to vanish, and nobody
// needs to wait. Where an element of unknown support would take the place (a cycle whose time is
// less than the new one), or somebody waits, or a scope ends, the move falls apart into its
// retraction, which happens at once, and a *late source*, which is counted when all retractions
// are over. It is at a place that waits by then, or later than the element there, so counting it
// moves nothing. It does not move on before that: it is supported by an own source that has just
// become what it is, and each of those changes once.
//
// Where the own source of one location is all that changes, nothing else is about to vanish, and
// the steps in between fall away: a source that moves on is not counted as two times for a while,
// and one that goes gives way to the least of the others, unless a cycle may make those vanish with
// it.
//
// While promoting, frontiers only gain: an element leaves only after a lesser one has come, at each
// location and over each edge. So no location is promoted twice, and the work is proportional to
// the elements that change, at locations with any number of predecessors. There is no order on
// times here, which those of different scopes do not have.

namespace headway {

using internal::Components;
using internal::FindComponents;
using internal::FindCycle;
using internal::FindFault;
using internal::GraphEdge;
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
  in_cycle_ = FindComponents(location_count, edges).in_cycle;
  core_.edges = {};

  for (const auto& scope : scopes_) scope->Finish(in_cycle_);
  core_.with_touched.clear();
  core_.waiting = core_.locations;
  PromoteWaiting();
  ReportChanges();  // what changed on the way to the first frontiers is no news
  core_.changed.clear();
  for (const auto& scope : scopes_) scope->ReportWatched();
  return absl::OkStatus();
}

// A cycle whose outermost scope is S has to advance S's time: what it advances of an inner
// coordinate is dropped when it leaves the inner scope. So, for each nesting level, the edges
// within each scope of that level and what it contains that do not advance the scope's own
// coordinates must not form a cycle through one of its own locations.
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
          "; give one of its edges a summary that advances the time of the outermost scope it "
          "passes through");
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
  // All of it is validated before any of it counts.
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
      return absl::InvalidArgumentError("progress: a peer's round ends within a change");
    case RoundFault::Kind::kUnknownLocation:
      return absl::InvalidArgumentError(
          "progress: a peer's round is about location " + std::to_string(fault.location) +
          ", but this dataflow has " + std::to_string(core_.locations.size()) +
          ": the workers built different graphs");
    case RoundFault::Kind::kTruncatedChange:
      return absl::InvalidArgumentError("progress: a peer's round ends within a change of " +
                                        core_.Describe(fault.location));
  }
  return absl::InternalError("progress: unknown fault");
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
