#ifndef HEADWAY_PROGRESS_TRACKER_H_
#define HEADWAY_PROGRESS_TRACKER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "check.h"
#include "progress/holdup.h"
#include "progress/location_id.h"
#include "progress/prefetch.h"
#include "progress/product.h"
#include "progress/round.h"
#include "progress/scope_tracker.h"
#include "progress/scope_tracker_base.h"
#include "progress/timestamp.h"
#include "progress/tracker_core.h"

namespace headway {

// Tracks which times may still appear at each location of a dataflow. One per dataflow and worker,
// over the flattened graph of all its scopes. Its input is changes of the counts of outstanding
// (location, time) pairs, of this worker and its peers. Its output is the implied frontiers.
//
//   Tracker tracker;
//   ScopeTracker<Epoch>& scope = tracker.AddScope<Epoch>();
//   LocationId source = scope.AddLocation();
//   LocationId sink = scope.AddLocation();
//   scope.AddEdge(source, sink);
//   scope.AddInitial(source, 0, worker_count);
//   RETURN_IF_ERROR(tracker.Finish(describe));  // scope.frontier(sink) is {0}
//
//   // This worker's capability goes from 0 to 1.
//   scope.Record(source, 0, -1);
//   scope.Record(source, 1, +1);
//   if (tracker.Publish(&bytes)) SendToAllPeers(bytes);  // one atomic round; links are FIFO
//   for (...) RETURN_IF_ERROR(tracker.Apply(bytes_of_a_peer));
//   RETURN_IF_ERROR(tracker.Propagate());  // scope.frontier(sink) is {1} after all peers moved
//
// The frontiers are safe (S1): a time that a frontier has passed never appears again. This holds if
// - a worker makes capabilities only from capabilities that it holds, at the same or a later time,
// - rounds are applied whole, and in order for each sender.
//
// Not thread safe. No errors other than the ones given below; misuse of the building calls is a
// CHECK.
//
// Source: Abadi, McSherry, Murray, Rodeheffer, "Formal Analysis of a Distributed Algorithm for
// Tracking Progress", 2013; Brun, Decova, Lattuada, Traytel, "Verified Progress Tracking for Timely
// Dataflow", ITP 2021. The propagation differs, see tracker.cc.
class Tracker {
 public:
  Tracker() = default;
  Tracker(const Tracker&) = delete;
  Tracker& operator=(const Tracker&) = delete;

  // Building. All workers make the same calls in the same order, so that locations have the same
  // ids everywhere.

  // Owned by the tracker; the address is stable.
  template <Timestamp T>
  ScopeTracker<T>& AddScope() {
    HEADWAY_CHECK(!core_.finished);
    auto* scope = new ScopeTracker<T>(&core_);
    scopes_.emplace_back(scope);
    core_.ReserveScopes(scopes_.size());
    return *scope;
  }

  // Times at `from` enter the nested scope with its first inner time: t becomes (t, Minimum).
  template <class T, class I>
  void AddEnter(ScopeTracker<T>& outer, LocationId from, ScopeTracker<Product<T, I>>& inner,
                LocationId to) {
    Nest(&outer, &inner);
    outer.AddCrossEdge(from, &inner, to, [](const T& time) {
      return Product<T, I>{time, TimestampTraits<I>::Minimum()};
    });
  }

  // Times at `from` leave the nested scope and lose the inner coordinate: (t, i) becomes t.
  template <class T, class I>
  void AddLeave(ScopeTracker<Product<T, I>>& inner, LocationId from, ScopeTracker<T>& outer,
                LocationId to) {
    Nest(&outer, &inner);
    inner.AddCrossEdge(from, &outer, to, [](const Product<T, I>& time) { return time.outer; });
  }

  // Ends building and computes the first frontiers. changed() then holds every watched location.
  // `describe` names a location in errors; if it is empty, errors show its number. InvalidArgument,
  // naming the locations, if a cycle does not strictly advance time. The tracker must not be used
  // after an error.
  absl::Status Finish(std::function<std::string(LocationId)> describe);

  // Running.

  // Publishes the net of all recorded changes, in every scope, as one atomic round. Counts it here,
  // and appends it to `round` for Apply at every peer. `round` may be null; round.h documents the
  // encoding. Returns false, and does nothing, if the net is empty.
  bool Publish(std::vector<std::byte>* round);

  // Counts a peer's round, or several concatenated ones. InvalidArgument, and nothing is counted,
  // if `round` is not well-formed for this graph.
  absl::Status Apply(std::span<const std::byte> round);

  // Brings the implied frontiers up to date with the counts. Internal error if an outstanding time
  // appeared at a location whose frontier had passed it (T6). The run cannot be trusted then:
  // frontiers stay as they were, and every further call returns the same error.
  absl::Status Propagate();

  // The watched locations whose implied frontier the last Propagate changed, each once, in a
  // deterministic order. Valid until the next Propagate.
  std::span<const LocationId> changed() const { return core_.changed.span(); }

  // Returns true iff no time is outstanding anywhere, as far as this worker knows, and no change
  // waits to be published. O(1).
  bool Complete() const { return core_.outstanding == 0 && !HasPending(); }

  // Returns true iff a change was recorded since the last Publish, even if it cancels. O(1).
  bool HasPending() const { return !core_.with_pending.empty(); }

  // The size of an encoded change at each location. After Finish.
  std::vector<uint32_t> ChangeSizes() const { return change_bytes_; }

  // Returns true iff equal times at `location` have equal bytes.
  bool TimesAreBytes(LocationId location) const {
    return core_.locations[location].scope->times_are_bytes();
  }

  // Begins to load the first scope into the cache. REQUIRES: its times are epochs.
  void Prefetch() const {
    internal::Prefetch(static_cast<const ScopeTracker<Epoch>&>(*scopes_.front()));
  }

  // All counts, as a round.
  std::vector<std::byte> EncodeCounts() const;

  // The outstanding times that hold back the frontiers of `locations`: a path leads from each to
  // one of their elements, and none leads to it. At most `max`. The search visits every edge for
  // each element on the way.
  std::vector<Holdup> FindHoldups(std::span<const LocationId> locations, size_t max) const;

  size_t location_count() const { return core_.locations.size(); }

  // The number of implied frontiers recomputed so far, counted per location. For tests.
  uint64_t update_count() const { return core_.update_count; }

 private:
  static void Nest(internal::ScopeTrackerBase* outer, internal::ScopeTrackerBase* inner) {
    HEADWAY_CHECK(inner->parent() == nullptr || inner->parent() == outer);
    inner->set_parent(outer);
  }

  absl::Status CheckCycles() const;
  absl::Status MalformedRound(const internal::RoundFault& fault) const;
  void DeliverAnnouncements();
  void PromoteWaiting();
  void ReportChanges();

  internal::TrackerCore core_;
  std::vector<std::unique_ptr<internal::ScopeTrackerBase>> scopes_;
  std::vector<uint32_t> change_bytes_;  // by location, since Finish
};

}  // namespace headway

#endif  // HEADWAY_PROGRESS_TRACKER_H_
