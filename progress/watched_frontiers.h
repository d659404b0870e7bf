#ifndef HEADWAY_PROGRESS_WATCHED_FRONTIERS_H_
#define HEADWAY_PROGRESS_WATCHED_FRONTIERS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

#include "progress/antichain.h"
#include "progress/location_id.h"
#include "progress/scope_graph.h"
#include "progress/scope_work.h"
#include "progress/timestamp.h"
#include "progress/work_list.h"

namespace headway::internal {

// A set of incomparable times, as WatchedFrontiers stores it.
template <Timestamp T>
using FrontierValue =
    std::conditional_t<TimestampTraits<T>::kTotallyOrdered, std::optional<T>, Antichain<T>>;

template <Timestamp T>
struct SavedFrontier {
  uint32_t index;
  FrontierValue<T> implied;
};

// Finds the watched places of one scope whose implied frontier a propagation changed. A propagation
// saves the frontier of a watched place before its first change; afterwards the saved frontiers are
// compared with the current ones. Not thread safe.
template <Timestamp T>
class WatchedFrontiers {
 public:
  // Reports locations of `graph` to `changed`. Both must outlive it.
  WatchedFrontiers(ScopeGraph<T>* graph, ScopeWork<WorkList<SavedFrontier<T>>> saved,
                   WorkList<LocationId>* changed)
      : graph_(*graph), saved_(std::move(saved)), changed_(*changed) {}

  void AddPlace() { saved_.Reserve(graph_.size()); }

  void Watch(uint32_t index) { graph_[index].Set(Place<T>::kWatched); }

  // Saves the frontier of `index` before it changes, if it is watched.
  [[gnu::always_inline]] void BeforeChange(uint32_t index) {
    if (NeedsSaving(graph_[index])) SaveWith(index, nullptr);
  }
  // The same, after `lost` has lost its last source and is no element any more.
  [[gnu::always_inline]] void BeforeLoss(uint32_t index, const T& lost) {
    if (NeedsSaving(graph_[index])) SaveWith(index, &lost);
  }
  // The same, after the only element `from` has moved. For totally ordered times.
  [[gnu::always_inline]] void AfterMove(uint32_t index, const T& from) {
    if (NeedsSaving(graph_[index])) Save(index, from);
  }

  // Reports the places whose frontier differs from the saved one.
  void ReportChanges();

  // Reports every watched place.
  void ReportAll();

 private:
  static bool NeedsSaving(const Place<T>& place) {
    return (place.flags & (Place<T>::kWatched | Place<T>::kSaved)) == Place<T>::kWatched;
  }

  // Saves the elements of `index`, and `lost` unless it is null.
  void SaveWith(uint32_t index, const T* lost);
  [[gnu::always_inline]] void Save(uint32_t index, FrontierValue<T> former) {
    graph_[index].Set(Place<T>::kSaved);
    saved_.Add({index, std::move(former)});
  }

  static void Insert(const T& time, FrontierValue<T>* frontier) {
    if constexpr (TimestampTraits<T>::kTotallyOrdered) {
      *frontier = time;
    } else {
      frontier->Insert(time);
    }
  }
  static FrontierValue<T> ValueOf(const Place<T>& place) {
    if constexpr (TimestampTraits<T>::kTotallyOrdered) {
      FrontierValue<T> value;
      for (const T& time : place.implied.elements()) value = time;
      return value;
    } else {
      return place.implied.antichain();
    }
  }

  ScopeGraph<T>& graph_;
  ScopeWork<WorkList<SavedFrontier<T>>> saved_;
  WorkList<LocationId>& changed_;
};

template <Timestamp T>
void WatchedFrontiers<T>::SaveWith(uint32_t index, const T* lost) {
  FrontierValue<T> former = ValueOf(graph_[index]);
  if (lost != nullptr) Insert(*lost, &former);
  Save(index, std::move(former));
}

template <Timestamp T>
void WatchedFrontiers<T>::ReportChanges() {
  for (const SavedFrontier<T>& saved : saved_.items()) {
    Place<T>& place = graph_[saved.index];
    place.Clear(Place<T>::kSaved);
    if (!(saved.implied == ValueOf(place))) changed_.push_back(place.id);
  }
  saved_.Clear();
}

template <Timestamp T>
void WatchedFrontiers<T>::ReportAll() {
  for (const Place<T>& place : graph_.places()) {
    if (place.Has(Place<T>::kWatched)) changed_.push_back(place.id);
  }
}

}  // namespace headway::internal

#endif  // HEADWAY_PROGRESS_WATCHED_FRONTIERS_H_
