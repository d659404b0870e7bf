#ifndef HEADWAY_PROGRESS_SCOPE_TRACKER_BASE_H_
#define HEADWAY_PROGRESS_SCOPE_TRACKER_BASE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "progress/holdup.h"
#include "progress/round.h"

namespace headway::internal {

// A scope of a Tracker, independent of its timestamp type. ScopeTracker<T> implements it;
// tracker.cc explains the order of the steps of a propagation.
class ScopeTrackerBase {
 public:
  ScopeTrackerBase(int time_depth, size_t change_bytes, bool times_are_bytes)
      : time_depth_(time_depth), change_bytes_(change_bytes), times_are_bytes_(times_are_bytes) {}
  ScopeTrackerBase(const ScopeTrackerBase&) = delete;
  ScopeTrackerBase& operator=(const ScopeTrackerBase&) = delete;
  virtual ~ScopeTrackerBase() = default;

  // The number of coordinates of the scope's timestamp.
  int time_depth() const { return time_depth_; }

  // The size of an encoded change.
  size_t change_bytes() const { return change_bytes_; }

  // Returns true iff equal times have equal bytes.
  bool times_are_bytes() const { return times_are_bytes_; }

  // The enclosing scope, nullptr for a root scope. The edges between scopes define it.
  ScopeTrackerBase* parent() const { return parent_; }
  void set_parent(ScopeTrackerBase* parent) { parent_ = parent; }

  // Ends building. `in_cycle` is true for each location from which a path leads back to it. Takes
  // the initial counts as sources of the first frontiers.
  virtual void Finish(const std::vector<bool>& in_cycle) = 0;

  // Moves all pending changes to the counts, and appends them to `round` unless it is null. Returns
  // true iff there were any.
  virtual bool PublishPending(std::vector<std::byte>* round) = 0;

  // Appends all counts to `round`.
  virtual void EncodeCounts(std::vector<std::byte>* round) const = 0;

  // Reads and counts the next changes as long as they are at locations of this scope.
  virtual void ApplyRun(RoundReader* reader) = 0;

  // The steps of one propagation, in order.

  // Replaces the next two steps if one own source of one place is all that changes, and no
  // promotion is necessary. Returns false, and does nothing, otherwise. REQUIRES: no other scope
  // has changes.
  virtual bool ChangeOnlySource() = 0;
  // Counts new minimal outstanding times as sources. Fails if one is before the implied frontier of
  // its location (T6).
  virtual absl::Status AddOwnSources() = 0;
  // Removes former minimal outstanding times from the sources.
  virtual void RetractOwnSources() = 0;
  // Delivers announcements of changed frontiers to successors. Repeated for all scopes until none
  // are left.
  virtual void DeliverAnnouncements() = 0;
  // Adds the late sources. After the last retraction, before the first promotion.
  virtual void AddLateSources() = 0;
  // Promotes locations from TrackerCore::waiting, from `begin` on, while they are in this scope and
  // no announcement is pending. Returns the position where it stopped.
  virtual size_t PromoteRun(size_t begin) = 0;
  // Adds watched locations whose frontier changed to TrackerCore::changed.
  virtual void ReportChanges() = 0;

  // Adds every watched location to TrackerCore::changed.
  virtual void ReportWatched() = 0;

  // The search for holdups, see Tracker::FindHoldups.

  // Appends the elements of the implied frontier of a location of this scope.
  virtual void AppendFrontier(LocationId location, std::vector<PointInTime>* points) const = 0;
  // Appends the elements of the implied frontiers of this scope from which an edge, also one to
  // another scope, leads to `point`.
  virtual void AppendSupport(const PointInTime& point, std::vector<PointInTime>* points) const = 0;
  // The time of the point, of this scope, as text; nullopt unless it is itself outstanding.
  virtual std::optional<std::string> OutstandingTime(const PointInTime& point) const = 0;

 private:
  const int time_depth_;
  const size_t change_bytes_;
  const bool times_are_bytes_;
  ScopeTrackerBase* parent_ = nullptr;
};

}  // namespace headway::internal

#endif  // HEADWAY_PROGRESS_SCOPE_TRACKER_BASE_H_
