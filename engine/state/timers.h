#ifndef HEADWAY_ENGINE_STATE_TIMERS_H_
#define HEADWAY_ENGINE_STATE_TIMERS_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "comm/codec/codec.h"
#include "comm/codec/stable_hash.h"
#include "engine/state/flat_table.h"
#include "engine/state/key_codec.h"
#include "engine/state/state_base.h"
#include "engine/state/table_changes.h"

namespace headway {

// Timers of keys: a set of (key, time) pairs in the order of time. `Time` is a 64-bit integer. Not
// thread safe.
//
// A heap has the order, a hash table the timers that are set. To cancel a timer is to erase it from
// the table; its heap entry stays until it is the earliest, or until most entries are stale and the
// heap is built anew. So setting and cancelling take amortized constant time where times
// grow, and memory is proportional to the number of set timers.
template <class K, class Time>
class Timers final : public StateBase {
 public:
  using Timer = std::pair<K, Time>;

  // `tag` begins the parts of its snapshot entries, and tells them from those of other state of the
  // same keys.
  explicit Timers(std::byte tag) : tag_(tag) {}

  // Returns false if the timer is set already.
  bool Set(const K& key, Time time) {
    const std::monostate* added = Add(key, time);
    if (added == nullptr) return false;
    changes_.Note(set_, *added);
    return true;
  }

  // Returns false if the timer is not set.
  bool Cancel(const K& key, Time time) {
    if (!changes_.Erase(set_, Timer(key, time))) return false;
    DropStale();
    return true;
  }

  // The time of the earliest timer.
  std::optional<Time> First() {
    while (!heap_.empty()) {
      const Entry& entry = heap_.front();
      if (set_.Find(Timer(entry.key, entry.time)) != nullptr) return entry.time;
      PopEntry();
    }
    return std::nullopt;
  }

  // Removes and returns the earliest timer, unless it is later than `last`. Timers of the same time
  // come in an order that depends on their keys alone.
  std::optional<Timer> TakeDue(Time last) {
    const std::optional<Time> first = First();
    if (!first.has_value() || *first > last) return std::nullopt;
    Timer timer(heap_.front().key, *first);
    PopEntry();
    changes_.Erase(set_, timer);
    DropStale();
    return timer;
  }

  // Calls f(const K& key, Time time) for each timer, in no particular order. `f` must not change
  // the timers.
  template <class F>
  void ForEach(F&& f) const {
    set_.ForEach([&](const Timer& timer, std::monostate) { f(timer.first, timer.second); });
  }

  size_t size() const { return set_.size(); }
  bool empty() const { return set_.size() == 0; }
  // For tests: the entries of the heap, stale ones included.
  size_t heap_size() const { return heap_.size(); }

  void TrackChanges() override { changes_.Track(set_); }

  // An entry for each timer, under its key. The part is the tag and the time, the state is empty.
  void Snapshot(absl::FunctionRef<void(const StateEntry&)> write) override {
    RequireCodec<K>();
    Encoder encoder;
    changes_.Take(set_, [&](const Timer& timer, const std::monostate* is_set) {
      encoder.Clear();
      key_codec_.Encode(timer.first, encoder);
      const Part part = PartOf(timer.second);
      StateEntry entry{.key = encoder.bytes(),
                       .state = std::nullopt,
                       .part = part,
                       .hash = StableHash(timer.first)};
      if (is_set != nullptr) entry.state.emplace();
      write(entry);
    });
  }

  absl::Status Restore(const StateEntry& entry) override {
    const K* key = key_codec_.Decode(entry.key);
    if (key == nullptr || entry.part.size() != sizeof(Part) || entry.part[0] != tag_) {
      return absl::DataLossError(
          "a stored timer cannot be decoded: it was written by another version of the step, or is "
          "damaged");
    }
    uint64_t bits = 0;
    for (std::byte byte : entry.part.subspan(1)) bits = bits << 8 | static_cast<uint8_t>(byte);
    const auto time = static_cast<Time>(bits);
    if (!entry.state.has_value()) {
      if (set_.Erase(Timer(*key, time))) DropStale();
    } else if (const std::monostate* added = Add(*key, time)) {
      changes_.NoteStored(set_, *added);
    }
    return absl::OkStatus();
  }

 private:
  static_assert(sizeof(Time) == sizeof(uint64_t));
  using Part = std::array<std::byte, 1 + sizeof(Time)>;  // the tag, then the time, big-endian

  struct Entry {
    Time time;
    uint64_t hash;
    K key;
  };
  struct Later {
    bool operator()(const Entry& a, const Entry& b) const {
      return a.time != b.time ? a.time > b.time : a.hash > b.hash;
    }
  };

  static constexpr size_t kStaleMin = 64;  // fewer are not worth the work

  // Returns null if the timer is set already.
  const std::monostate* Add(const K& key, Time time) {
    const size_t size_before = set_.size();
    const std::monostate& added = set_.At(Timer(key, time));
    if (set_.size() == size_before) return nullptr;
    largest_size_ = std::max(largest_size_, set_.size());
    heap_.push_back({time, StableHash(key), key});
    std::push_heap(heap_.begin(), heap_.end(), Later());
    if (HasManyStale()) BuildHeap();
    return &added;
  }

  void PopEntry() {
    std::pop_heap(heap_.begin(), heap_.end(), Later());
    heap_.pop_back();
  }

  bool HasManyStale() const { return heap_.size() >= 2 * set_.size() + kStaleMin; }

  void DropStale() {
    const bool is_sparse = largest_size_ > 8 * set_.size() + kStaleMin;
    if (is_sparse) {
      set_.Shrink();
      largest_size_ = set_.size();
    }
    if (is_sparse || HasManyStale()) BuildHeap();
  }

  void BuildHeap() {
    heap_ = {};
    heap_.reserve(set_.size());
    set_.ForEach([&](const Timer& timer, std::monostate) {
      heap_.push_back({timer.second, StableHash(timer.first), timer.first});
    });
    std::make_heap(heap_.begin(), heap_.end(), Later());
  }

  Part PartOf(Time time) const {
    Part part{tag_};
    for (size_t i = 0; i < sizeof(Time); ++i) {
      part[part.size() - 1 - i] = static_cast<std::byte>(static_cast<uint64_t>(time) >> (8 * i));
    }
    return part;
  }

  const std::byte tag_;
  FlatTable<Timer, std::monostate> set_;
  std::vector<Entry> heap_;  // the earliest first; of the timers that are set, and stale ones
  size_t largest_size_ = 0;  // of set_ since it got its memory
  internal::TableChanges<Timer, std::monostate> changes_;
  internal::KeyCodec<K> key_codec_;
};

}  // namespace headway

#endif  // HEADWAY_ENGINE_STATE_TIMERS_H_
