#ifndef HEADWAY_OPERATORS_WINDOWS_SLIDING_SUMS_H_
#define HEADWAY_OPERATORS_WINDOWS_SLIDING_SUMS_H_

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <map>
#include <ranges>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/state/flat_table.h"
#include "operators/windows/window.h"

namespace headway::internal {

// Sums up the slices of windows that slide, so that a window costs a few merges of each key instead
// of one for each of its slices. The slices of one window, the front, have a sum from each of them
// to the last. The slices after it, the back, have one sum. When a window begins behind the front,
// it becomes the front. Takes about as much memory as the slices, and up to kSlicesMax times as
// much if each slice has other keys. Belongs to the worker's thread.
//
// The two stacks of Tangwongsan, Hirzel, Schneider, Wu: General Incremental Sliding-Window
// Aggregation, VLDB 2015.
template <class K, class Agg>
class SlidingSums {
 public:
  using State = typename Agg::State;
  using Sums = FlatTable<K, State>;
  using View = typename Sums::View;

  // Sums of states that own memory could take a multiple of theirs.
  static constexpr bool kMayUse = std::is_trivially_copyable_v<State> && sizeof(State) <= 64;

  // Whether the next window is one for MoveTo. Slices that change behind the sums make them
  // useless: then some windows have to be summed up slice by slice.
  bool Takes(size_t slice_count) {
    if (refused_ == 0) return slice_count >= kSlicesMin && slice_count <= kSlicesMax;
    --refused_;
    return false;
  }

  // Sums up a window. `slices` are those that have records, in the order of time.
  template <class Slice>
  void MoveTo(const Window& window, const std::vector<Slice*>& slices, const Agg& aggregate) {
    front_.erase(front_.begin(), front_.lower_bound(window.start));
    if (front_.empty() || front_.begin()->first != slices.front()->range.start ||
        window.end < end_) {
      BuildFront(slices, aggregate);
    } else {
      for (Slice* slice : slices) {
        if (slice->range.start >= end_) AddTo(back_, slice->aggregates, aggregate);
      }
    }
    end_ = window.end;
  }

  // Where ForEachFrom has stopped.
  struct Position {
    size_t in_front = 0;
    size_t in_back = 0;
  };
  // Calls emit(View key, const State&) for the keys of the window of MoveTo, until it returns
  // false. Returns true if all keys were visited.
  template <class F>
  bool ForEachFrom(Position& position, const Agg& aggregate, F&& emit) {
    Sums& front = front_.begin()->second;
    const bool done = front.ForEachFrom(position.in_front, [&](View key, State& sum) -> bool {
      const State* rest = back_.Find(key);
      if (rest == nullptr) return emit(key, std::as_const(sum));
      State whole = sum;
      aggregate.Merge(whole, *rest);
      return emit(key, std::as_const(whole));
    });
    return done && back_.ForEachFrom(position.in_back, [&](View key, State& sum) {
      return front.Find(key) != nullptr || emit(key, std::as_const(sum));
    });
  }

  // The slice that begins at `start` changes.
  void NoteChange(EventTime start) {
    if (start >= end_) return;
    Clear();
    refused_ = kRefused;
  }
  void Clear() {
    front_.clear();
    back_.Clear();
    end_ = kNoWatermark;
  }

  // Adds states that are later than those of `sums`. Tables of one size have their keys in the same
  // order, so that the cache has the next ones.
  template <class Table>
  static void AddTo(Sums& sums, Table& table, const Agg& aggregate) {
    sums.Reserve(table.size());
    table.ForEach([&](View key, const State& state) {
      const size_t size_before = sums.size();
      State& sum = sums.At(key);
      if (sums.size() != size_before) {
        sum = state;
      } else {
        aggregate.Merge(sum, state);
      }
    });
  }

 private:
  static constexpr size_t kSlicesMin = 4;  // fewer are not worth it
  static constexpr size_t kSlicesMax = 64;
  static constexpr int kRefused = 16;

  template <class Slice>
  void BuildFront(const std::vector<Slice*>& slices, const Agg& aggregate) {
    Clear();
    Sums* later = nullptr;
    for (Slice* slice : slices | std::views::reverse) {
      Sums& sums = front_[slice->range.start];
      sums.Reserve(std::max(slice->aggregates.size(), later == nullptr ? 0 : later->size()));
      AddTo(sums, slice->aggregates, aggregate);
      if (later != nullptr) AddTo(sums, *later, aggregate);
      later = &sums;
    }
  }

  std::map<EventTime, Sums> front_;  // by the beginnings of their first slices
  Sums back_;                        // of the slices between the front and end_
  EventTime end_ = kNoWatermark;
  int refused_ = 0;  // windows that Takes refuses
};

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_WINDOWS_SLIDING_SUMS_H_
