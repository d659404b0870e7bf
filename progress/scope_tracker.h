#ifndef HEADWAY_PROGRESS_SCOPE_TRACKER_H_
#define HEADWAY_PROGRESS_SCOPE_TRACKER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "check.h"
#include "progress/antichain.h"
#include "progress/change_batch.h"
#include "progress/encoded_change.h"
#include "progress/implied_frontier.h"
#include "progress/mutable_antichain.h"
#include "progress/product.h"
#include "progress/timestamp.h"
#include "progress/tracker_core.h"
#include "progress/work_list.h"

namespace headway {

class Tracker;
template <Timestamp T>
class ScopeTracker;

// The implied frontier of one location: the times that may still appear there. A small value that
// always reads the current state; it must not outlive its Tracker. Spans from elements() are valid
// until the next Propagate.
template <Timestamp T>
class FrontierView {
 public:
  FrontierView(const ScopeTracker<T>* scope, uint32_t index) : scope_(scope), index_(index) {}

  // Whether some element is less than `time`, and not equal to it.
  bool LessThan(const T& time) const { return internal::AnyLessThan(elements(), time); }
  // Whether `time` may still appear.
  bool LessEqual(const T& time) const { return internal::AnyLessEqual(elements(), time); }
  // Whether nothing will appear any more.
  bool empty() const { return elements().empty(); }
  std::span<const T> elements() const;

 private:
  const ScopeTracker<T>* scope_;
  uint32_t index_;
};

// One scope's part of a Tracker: the locations with timestamp T, the edges between them, and their
// counts. Made and owned by Tracker::AddScope. Not thread safe.
//
// Every location has counts of outstanding times (capabilities and batches), and an implied
// frontier: the minimal elements of its own minimal outstanding times and of what the implied
// frontiers of its predecessors result in over the edges (I8).
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

  // Notes that `delta` more of `time` are outstanding at `location`. Takes effect, here and for the
  // peers, with Tracker::Publish. Changes that cancel before it are never seen.
  void Record(LocationId location, const T& time, int64_t delta) {
    PendingAt(location).Update(time, delta);
  }

  // Notes that one outstanding `from` at `location` gives way to one `to`, which is another time.
  void RecordMove(LocationId location, const T& from, const T& to) {
    PendingAt(location).Move(from, to);
  }

  // The times that may still appear at `location`, as of the last Tracker::Propagate. Empty before
  // Tracker::Finish.
  FrontierView<T> frontier(LocationId location) const { return {this, IndexOf(location)}; }

  // Has Tracker::changed report `location`.
  void Watch(LocationId location) { places_[IndexOf(location)].flags |= kWatched; }

 private:
  friend class Tracker;
  friend class FrontierView<T>;
  template <Timestamp U>
  friend class ScopeTracker;

  using Traits = TimestampTraits<T>;
  using Change = typename ChangeBatch<T>::Change;

  // Bits of Place::flags. Not a uint8_t: a write to one may alias anything.
  using Flags = uint16_t;
  static constexpr Flags kPending = 1;   // has pending changes
  static constexpr Flags kTouched = 2;   // its counts changed since the last propagation
  static constexpr Flags kWaiting = 4;   // lost an element, waits to be promoted
  static constexpr Flags kWatched = 8;   // see Watch
  static constexpr Flags kSaved = 16;    // its former implied frontier is in saved_
  static constexpr Flags kCrosses = 32;  // has an edge to another scope
  static constexpr Flags kInCycle = 64;  // a path leads back to it, perhaps through other scopes

  static constexpr uint32_t kNoPlace = ~uint32_t{0};
  struct Edge {
    uint32_t to;
    Summary summary;
  };
  // What a propagation reads of a location that it passes through: for an Epoch one cache line.
  struct alignas(64) Place {
    explicit Place(LocationId id) : id(id) {}
    bool HasSuccessor() const { return edge_count > 0 || (flags & kCrosses) != 0; }

    Flags flags = 0;
    LocationId id;
    uint32_t edges_begin = 0;  // in edges_
    uint32_t edge_count = 0;
    uint32_t next = kNoPlace;  // the only successor, if it gets the same times
    internal::ImpliedFrontier<T> implied;
  };
  static_assert(!std::is_same_v<T, Epoch> || sizeof(Place) == 64);
  struct Counts {
    MutableAntichain<T> outstanding;
    Antichain<T> own_sources;  // the frontier of `outstanding` as it is counted in Place::implied
  };
  struct BuildEdge {
    uint32_t from;
    Edge edge;
  };
  // An edge to a location of another scope.
  struct CrossEdge {
    virtual ~CrossEdge() = default;
    virtual void Deliver(const T& time, bool added) = 0;
    uint32_t from = 0;
  };
  template <Timestamp U, class F>
  struct CrossEdgeTo final : CrossEdge {
    CrossEdgeTo(ScopeTracker<U>* scope, uint32_t to, F map) : scope(scope), to(to), map(map) {}
    void Deliver(const T& time, bool added) override {
      if (added) {
        scope->template Receive<true>(to, map(time));
      } else {
        scope->template Receive<false>(to, map(time));
      }
    }
    ScopeTracker<U>* scope;
    uint32_t to;
    F map;
  };
  // An element that joined or left the implied frontier of `index`: news for the successors.
  struct Announcement {
    T time;
    uint32_t index;
    bool added;
  };
  // The element of totally ordered times, if there is one.
  using FormerFrontier =
      std::conditional_t<Traits::kTotallyOrdered, std::optional<T>, Antichain<T>>;
  struct SavedFrontier {
    uint32_t index;
    FormerFrontier implied;
  };
  // A source whose time becomes a later one.
  struct SourceMove {
    uint32_t index;
    T from;
    T to;
  };
  // A source that a waiting location is to be given before promotions begin.
  struct LateSource {
    T time;
    uint32_t index;
  };

  static constexpr size_t kEncodedChangeBytes = internal::kTimeOffset + (sizeof(T) + 7) / 8 * 8;

  explicit ScopeTracker(internal::TrackerCore* core)
      : ScopeTrackerBase(Traits::kDepth, kEncodedChangeBytes,
                         std::has_unique_object_representations_v<T>),
        core_(core) {}

  bool Owns(LocationId location) const {
    return location < core_->locations.size() && core_->locations[location].scope == this;
  }

  uint32_t IndexOf(LocationId location) const {
    HEADWAY_DCHECK(Owns(location));
    return core_->locations[location].index;
  }

  // The changes of `location` that wait for the next Publish, which will now look at them.
  ChangeBatch<T>& PendingAt(LocationId location) {
    const uint32_t index = IndexOf(location);
    Place& place = places_[index];
    if ((place.flags & kPending) == 0) {
      place.flags |= kPending;
      if (pending_places_.empty()) core_->with_pending.push_back(this);
      pending_places_.push_back(index);
    }
    return pending_[index];
  }

  template <Timestamp U, class F>
  void AddCrossEdge(LocationId from, ScopeTracker<U>* scope, LocationId to, F map);
  auto CrossEdgesFrom(uint32_t index);

  void Finish(const std::vector<bool>& in_cycle) override;
  bool PublishPending(std::vector<std::byte>* encoded) override;
  void EncodeCounts(std::vector<std::byte>* encoded) const override;
  size_t ApplyRun(std::span<const std::byte> encoded) override;
  bool ChangeOnlySource() override;
  absl::Status AddOwnSources() override;
  void RetractOwnSources() override;
  void DeliverAnnouncements() override;
  void AddLateSources() override;
  size_t PromoteRun(size_t begin) override;
  void ReportChanges() override;
  void ReportWatched() override;

  static void Encode(LocationId location, const T& time, int64_t delta, std::byte* to);
  void Count(uint32_t index, const T& time, int64_t delta);
  void CountAll(uint32_t index, std::span<const Change> changes);
  // Has the next propagation look at the counts of the place.
  [[gnu::always_inline]] void Touch(uint32_t index) {
    Place& place = places_[index];
    if ((place.flags & kTouched) != 0) return;
    place.flags |= kTouched;
    if (touched_.empty()) core_->with_touched.push_back(this);
    touched_.push_back(index);
  }
  absl::Status FrontierViolation(const Place& place, const T& time) const;

  template <bool kAdded>
  void Receive(uint32_t index, const T& time) {
    if constexpr (kAdded) {
      Assert(index, time);
    } else {
      Retract(index, time);
    }
  }
  void Assert(uint32_t index, const T& time);
  void Retract(uint32_t index, T time);
  bool MoveOwnSource(uint32_t index, std::span<const T> frontier);
  void FollowMove(uint32_t index, T from, T to);
  void QueueMoves(const Place& place, const T& from, const T& to);
  bool MoveSource(uint32_t index, const T& from, const T& to);
  void AddLateSource(uint32_t index, const T& time);
  void Promote(uint32_t index);
  template <bool kAdded>
  void Deliver(uint32_t index, T time);
  void Announce(uint32_t index, const T& time, bool added);
  void AwaitPromotion(uint32_t index);
  static bool NeedsSaving(const Place& place) {
    return (place.flags & (kWatched | kSaved)) == kWatched;
  }
  // Saves the frontier for ReportChanges; `lost` is an element that it has just lost, or null.
  void SaveFrontier(uint32_t index, const T* lost);
  // Saves what the frontier of a place was.
  [[gnu::always_inline]] void Save(uint32_t index, FormerFrontier former) {
    places_[index].flags |= kSaved;
    if (saved_.empty()) core_->with_saved.push_back(this);
    saved_.push_back({index, std::move(former)});
  }

  internal::TrackerCore* const core_;

  // By index.
  std::vector<Place> places_;
  std::vector<Counts> counts_;
  std::vector<ChangeBatch<T>> pending_;

  std::vector<Edge> edges_;                              // by the place that they lead from
  std::vector<std::unique_ptr<CrossEdge>> cross_edges_;  // sorted by from
  std::vector<BuildEdge> build_edges_;                   // until Finish

  // Lists of work, as indices.
  internal::WorkList<uint32_t> pending_places_;
  internal::WorkList<uint32_t> touched_;
  internal::WorkList<SavedFrontier> saved_;
  std::vector<Announcement> announcements_;
  std::vector<LateSource> late_;
  std::vector<SourceMove> moves_;  // scratch space of FollowMove
  Antichain<T> former_;            // scratch space of Promote
};

// Instantiated in scope_tracker.cc.
extern template class ScopeTracker<Epoch>;
extern template class ScopeTracker<Product<Epoch, uint64_t>>;

}  // namespace headway

#include "progress/scope_tracker_counts.h"  // IWYU pragma: keep
#include "progress/scope_tracker_impl.h"    // IWYU pragma: keep
#include "progress/scope_tracker_moves.h"   // IWYU pragma: keep

#endif  // HEADWAY_PROGRESS_SCOPE_TRACKER_H_
