#ifndef HEADWAY_PROGRESS_TRACKER_CORE_H_
#define HEADWAY_PROGRESS_TRACKER_CORE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "progress/work_list.h"

namespace headway {

// Identifies a place of a dataflow that can hold outstanding times: a port of an operator. Dense
// from 0 within one Tracker.
using LocationId = uint32_t;

namespace internal {

// What a Tracker asks of each of its scopes, whatever its timestamp. ScopeTracker<T> implements it;
// tracker.cc says in which order the steps of a propagation run.
class ScopeTrackerBase {
 public:
  ScopeTrackerBase(int time_depth, size_t encoded_change_bytes, bool times_are_bytes)
      : time_depth_(time_depth),
        encoded_change_bytes_(encoded_change_bytes),
        times_are_bytes_(times_are_bytes) {}
  ScopeTrackerBase(const ScopeTrackerBase&) = delete;
  ScopeTrackerBase& operator=(const ScopeTrackerBase&) = delete;
  virtual ~ScopeTrackerBase() = default;

  // The number of coordinates of the scope's timestamp.
  int time_depth() const { return time_depth_; }

  // The size of one encoded change: location, delta, and the time padded to 8 bytes.
  size_t encoded_change_bytes() const { return encoded_change_bytes_; }

  // Whether equal times have equal bytes.
  bool times_are_bytes() const { return times_are_bytes_; }

  // The scope that this one is nested in, nullptr for a root scope. Known from the edges between
  // them.
  ScopeTrackerBase* parent() const { return parent_; }
  void set_parent(ScopeTrackerBase* parent) { parent_ = parent; }

  // Fixes the graph, of which `in_cycle` says whether a path leads from a location back to it, and
  // takes the initial counts as sources of the first frontiers.
  virtual void Finish(const std::vector<bool>& in_cycle) = 0;

  // Moves all pending changes to the counts, and appends them to `encoded` unless it is null.
  // Returns whether there were any.
  virtual bool PublishPending(std::vector<std::byte>* encoded) = 0;

  // Appends all counts to `encoded`.
  virtual void EncodeCounts(std::vector<std::byte>* encoded) const = 0;

  // Counts the leading changes of `encoded` that are at this scope's locations; returns the bytes
  // read. The bytes were validated.
  virtual size_t ApplyRun(std::span<const std::byte> encoded) = 0;

  // The steps of one propagation, in this order; tracker.cc explains them.

  // When nothing changed in other scopes: does what the next two steps do, if all that changed in
  // this one is a source that moves on, comes, goes or stays. Returns false, and does nothing, if
  // it is not, or if what follows from it needs those steps.
  virtual bool ChangeOnlySource() = 0;
  // Counts new minimal outstanding times as sources. T6: fails if one is before the implied
  // frontier of its location.
  virtual absl::Status AddOwnSources() = 0;
  // Uncounts former minimal outstanding times.
  virtual void RetractOwnSources() = 0;
  // Tells the successors of changes of implied frontiers. Runs, for all scopes, until there are no
  // more.
  virtual void DeliverAnnouncements() = 0;
  // Counts the sources whose former times were retracted by the way, and which were not moved at
  // once. After the last retraction, before the first promotion.
  virtual void AddLateSources() = 0;
  // Promotes locations from TrackerCore::waiting, from `begin` on, while they are in this scope and
  // nothing is announced; returns where it stopped.
  virtual size_t PromoteRun(size_t begin) = 0;
  // Adds watched locations whose frontier changed to TrackerCore::changed.
  virtual void ReportChanges() = 0;

  // Reports every watched location to TrackerCore::changed.
  virtual void ReportWatched() = 0;

 private:
  const int time_depth_;
  const size_t encoded_change_bytes_;
  const bool times_are_bytes_;
  ScopeTrackerBase* parent_ = nullptr;
};

// What the scopes of one Tracker share.
struct TrackerCore {
  struct Location {
    ScopeTrackerBase* scope;
    uint32_t index;  // within the scope
  };
  // An edge of the flattened graph, as the check for cycles sees it.
  struct Edge {
    static constexpr int kNotStrict = 1 << 20;
    LocationId from;
    LocationId to;
    int strict_depth;  // the shallowest coordinate that it advances, or kNotStrict
  };

  std::string Describe(LocationId location) const {
    return describe ? describe(location) : "location " + std::to_string(location);
  }

  std::vector<Location> locations;
  std::vector<Edge> edges;  // until Finish
  std::function<std::string(LocationId)> describe;
  bool finished = false;

  int64_t outstanding = 0;    // (location, time) pairs with a count other than zero
  uint64_t update_count = 0;  // implied frontiers recomputed
  bool promoting = false;     // in the second phase of a propagation

  // Scopes with work of a kind, each at most once.
  WorkList<ScopeTrackerBase*> with_pending;
  WorkList<ScopeTrackerBase*> with_touched;
  WorkList<ScopeTrackerBase*> with_saved;
  std::vector<ScopeTrackerBase*> with_announcements;
  std::vector<ScopeTrackerBase*> with_late_sources;

  std::vector<Location> waiting;  // locations that lost an element, in that order
  WorkList<LocationId> changed;   // the answer of the last propagation
};

}  // namespace internal
}  // namespace headway

#endif  // HEADWAY_PROGRESS_TRACKER_CORE_H_
