#ifndef HEADWAY_OPERATORS_WINDOWS_SLICE_TABLES_H_
#define HEADWAY_OPERATORS_WINDOWS_SLICE_TABLES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "comm/codec/stable_hash.h"
#include "engine/state/keyed_state.h"
#include "engine/step/step_state.h"
#include "operators/windows/windowers.h"

namespace headway::internal {

// The aggregates of keys in slices, as state: a table for each slice. The part of a snapshot's
// entry says which slice it is. Not thread safe.
template <class K, class A, class W>
class SliceTables final : public StateBase {
 public:
  struct Slice {
    Window range;
    EventTime last_end = 0;  // of the windows that contain it
    KeyedState<K, A> aggregates;
    std::vector<uint32_t> records;         // of the batch that is being added
    FlatTable<K, std::monostate> changed;  // keys without an early pane of their last record
  };
  using Slices = std::map<EventTime, Slice>;  // by their beginnings

  explicit SliceTables(const W& windower) : windower_(windower) {}

  Slices& slices() { return slices_; }

  // The slice of that time, or null.
  Slice* Find(EventTime time) {
    auto after = slices_.upper_bound(time);
    if (after == slices_.begin()) return nullptr;
    Slice& slice = std::prev(after)->second;
    return slice.range.Contains(time) ? &slice : nullptr;
  }
  Slice& Add(const Window& range) {
    const auto [entry, is_new] = slices_.try_emplace(range.start);
    Slice& slice = entry->second;
    if (!is_new) return slice;  // the last time of all is in a slice that ends there
    slice.range = range;
    slice.last_end = LastEnd(range);
    if (tracks_) slice.aggregates.TrackChanges();
    return slice;
  }
  // The end of the last window that contains a slice.
  EventTime LastEnd(const Window& range) const {
    EventTime last = range.end;
    windower_.ForEachWindow(range,
                            [&](const Window& window) { last = std::max(last, window.end); });
    return last;
  }
  // Drops the slices for whose last end is_over(end) is true. Returns true if there were any.
  template <class IsOver>
  bool DropOver(IsOver&& is_over) {
    const size_t count = slices_.size();
    for (auto at = slices_.begin(); at != slices_.end();) {
      if (!is_over(at->second.last_end)) {
        ++at;
        continue;
      }
      if (tracks_) {
        at->second.aggregates.Clear();
        dropped_.emplace_back(at->second.range, std::move(at->second.aggregates));
      }
      at = slices_.erase(at);
    }
    return slices_.size() < count;
  }
  // Calls f(Slice&) for the slices of a window.
  template <class F>
  void ForEachIn(const Window& window, F&& f) {
    for (auto at = slices_.lower_bound(window.start); at != slices_.end() && at->first < window.end;
         ++at) {
      f(at->second);
    }
  }

  void TrackChanges() override {
    tracks_ = true;
    for (auto& [start, slice] : slices_) slice.aggregates.TrackChanges();
  }
  void Snapshot(absl::FunctionRef<void(const StateEntry&)> write) override {
    auto hash_of = [](typename KeyedState<K, A>::KeyView key) { return StableHash(key); };
    for (auto& [range, aggregates] : dropped_) {
      aggregates.SnapshotPart(PartOf(range), hash_of, write);
    }
    dropped_.clear();
    for (auto& [start, slice] : slices_) {
      slice.aggregates.SnapshotPart(PartOf(slice.range), hash_of, write);
    }
  }
  absl::Status Restore(const StateEntry& entry) override {
    if (entry.part.size() != sizeof(Part) || entry.part[0] != kFirstOwnPart) {
      return absl::DataLossError("a stored window has a part that is damaged");
    }
    const EventTime start = TimeAt(entry.part, 0);
    auto known = slices_.find(start);
    if (known == slices_.end()) {
      const std::optional<Window> range = windower_.SliceOf(start);
      if (!range.has_value() || range->start != start || range->end != TimeAt(entry.part, 1) ||
          LastEnd(*range) != TimeAt(entry.part, 2)) {
        return absl::FailedPreconditionError(
            "its stored windows begin and end at other times than those of this run; resume it "
            "with the same windows, or drop its state");
      }
      Add(*range);
      known = slices_.find(start);
    }
    return known->second.aggregates.Restore(entry);
  }

 private:
  // The tag; the start and the end of the slice, and the last end of its windows, big-endian.
  // Stored in snapshots: do not change.
  using Part = std::array<std::byte, 1 + 3 * sizeof(EventTime)>;

  Part PartOf(const Window& range) const {
    Part part{kFirstOwnPart};
    size_t at = 1;
    for (EventTime time : {range.start, range.end, LastEnd(range)}) {
      for (size_t shift = 64; shift > 0; shift -= 8) {
        part[at++] = static_cast<std::byte>(static_cast<uint64_t>(time) >> (shift - 8));
      }
    }
    return part;
  }
  static EventTime TimeAt(std::span<const std::byte> part, size_t index) {
    uint64_t bits = 0;
    for (std::byte byte : part.subspan(1 + index * sizeof(EventTime), sizeof(EventTime))) {
      bits = bits << 8 | static_cast<uint8_t>(byte);
    }
    return static_cast<EventTime>(bits);
  }

  const W& windower_;
  bool tracks_ = false;
  Slices slices_;
  std::vector<std::pair<Window, KeyedState<K, A>>> dropped_;  // since the last snapshot
};

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_WINDOWS_SLICE_TABLES_H_
