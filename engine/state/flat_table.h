#ifndef HEADWAY_ENGINE_STATE_FLAT_TABLE_H_
#define HEADWAY_ENGINE_STATE_FLAT_TABLE_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>

#include "engine/state/table_key.h"
#include "engine/state/table_marks.h"
#include "engine/state/table_memory.h"
#include "engine/state/table_tags.h"

namespace headway {

// A hash table from keys K to values V, for large tables and lookups of whole batches. Keys and
// values are in one array of slots; a second, small array has a tag for each slot. AtEach and
// FindEach prefetch, so that the cache misses of many lookups overlap. Functions receive keys of
// type std::string as std::string_view; a slot holds up to 15 characters of one. Not thread safe.
//
// Invariants:
//  1. The capacity is a power of two. At least a fifth of the slots (rounded down) are vacant.
//  2. A key is in the slot that the low bits of its hash select, or behind it with no vacant slot
//     between them (linear probing). An erased key leaves no mark (Knuth, volume 3, 6.4, R).
//  3. A tag is 0 if its slot is vacant, else TagOf the key's hash. The first tags are repeated
//     behind the last, so that a group of them can be read from any slot on.
//
// A pointer or reference to a value is valid until a key is added or erased.
template <class K, class V>
class FlatTable {
  using Keys = internal::TableKey<K>;
  using Lookup = typename Keys::Lookup;

 public:
  // `const K&`, or std::string_view. Functions that take a key also take types that Keys prepares
  // faster (BatchString).
  using View = typename Keys::View;

  FlatTable() = default;
  FlatTable(FlatTable&& other) noexcept { *this = std::move(other); }
  FlatTable& operator=(FlatTable&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(slots_, other.slots_);
    std::swap(tags_, other.tags_);
    std::swap(mask_, other.mask_);
    std::swap(size_, other.size_);
    std::swap(size_max_, other.size_max_);
    std::swap(marks_, other.marks_);
    return *this;
  }
  ~FlatTable() { DestroyAll(); }

  size_t size() const { return size_; }

  // The value of a key, made by its default constructor if it is absent.
  template <class Key>
  V& At(const Key& key) {
    return AtPrepared(PrepareNow(key), key);
  }

  // The value of a key, or null.
  template <class Key>
  V* Find(const Key& key) {
    return FindPrepared(PrepareNow(key), key);
  }

  // Returns false if the key is absent.
  template <class Key>
  bool Erase(const Key& key) {
    const size_t slot = Probe(PrepareNow(key), key);
    if (IsVacant(slot)) return false;
    EraseSlot(slot);
    return true;
  }
  // Erases the key of a value, without a lookup.
  void EraseValue(const V& value) { EraseSlot(SlotOf(value)); }

  // f(i, V& value of key(i)) for i from 0 to `count`, in this order. Absent values are made. `f`
  // may change the table. key(i) is called up to twice, once ahead of time.
  template <class KeyAt, class F>
  [[gnu::always_inline]] void AtEach(size_t count, KeyAt&& key, F&& f) {
    LookAhead(count, key, [&](size_t i, const Lookup& lookup, size_t guess) {
      if (IsSurelyAt(guess, lookup)) {
        f(i, *slots_[guess].value());
        return;
      }
      decltype(auto) k = key(i);
      f(i, IsAt(guess, lookup, k) ? *slots_[guess].value() : AtPrepared(lookup, k));
    });
  }

  // The same with f(i, V* value), null for absent keys.
  template <class KeyAt, class F>
  [[gnu::always_inline]] void FindEach(size_t count, KeyAt&& key, F&& f) {
    LookAhead(count, key, [&](size_t i, const Lookup& lookup, size_t guess) {
      if (IsSurelyAt(guess, lookup)) {
        f(i, slots_[guess].value());
        return;
      }
      decltype(auto) k = key(i);
      f(i, IsAt(guess, lookup, k) ? slots_[guess].value() : FindPrepared(lookup, k));
    });
  }

  // f(View key, V& value) for all, in an order that is the same for the same history. `f` must not
  // change the table.
  template <class F>
  void ForEach(F&& f) {
    size_t position = 0;
    ForEachFrom(position, [&](View key, V& value) {
      f(key, value);
      return true;
    });
  }
  // The same in pieces: starts behind the last key that was visited, where `position` is 0 at
  // first. Stops when f(View key, V& value) returns false. Returns true if all keys were visited.
  // The table must not change between the pieces.
  template <class F>
  bool ForEachFrom(size_t& position, F&& f) {
    if (size_ == 0) return true;
    // In the order of slots the keys would be in the order of their hashes, and crowd together in a
    // table downstream that is still small. So blocks of slots are visited in the order of
    // multiples of an odd number, modulo the number of blocks, a power of two.
    const size_t blocks = std::max<size_t>(1, capacity() / kBlock);
    while (position < capacity()) {
      const size_t begin = (position / kBlock * internal::kHashSecret0 & (blocks - 1)) * kBlock;
      const size_t end = std::min(begin + kBlock, capacity());
      for (size_t s = begin + position % kBlock; s < end; ++s) {
        ++position;
        if (!IsVacant(s) && !f(Keys::Get(slots_[s].key), *slots_[s].value())) return false;
      }
    }
    return true;
  }
  template <class F>
  void ForEach(F&& f) const {
    const_cast<FlatTable*>(this)->ForEach(
        [&](View key, V& value) { f(key, std::as_const(value)); });
  }

  // Erases all keys, and frees the memory, that of the marks too.
  void Clear() {
    FlatTable empty;
    *this = std::move(empty);
  }

  // Frees the memory that the present number of keys does not need.
  void Shrink() {
    const size_t new_capacity = CapacityFor(size_);
    if (new_capacity < capacity()) Rehash(new_capacity);
  }
  // Gets the memory for `count` keys at once.
  void Reserve(size_t count) {
    const size_t new_capacity = CapacityFor(count);
    if (new_capacity > capacity()) Rehash(new_capacity);
  }

  // Keeps marks of the entries from now on (TableMarks). The present entries are stored. The
  // functions below need marks. They find a mark by the address of the value, without a lookup.
  void KeepMarks() {
    marks_ = internal::TableMarks(capacity());
    for (size_t s = 0; s < capacity(); ++s) {
      if (!IsVacant(s)) marks_.SetStored(s);
    }
  }
  void MarkChanged(const V& value) { marks_.SetChanged(SlotOf(value)); }
  void MarkStored(const V& value) { marks_.SetStored(SlotOf(value)); }
  bool IsStored(const V& value) const { return marks_.IsStored(SlotOf(value)); }
  // f(View key, V& value) for the changed entries, in an order that is the same for the same
  // history. They are stored then, and unchanged. `f` must not change the table.
  template <class F>
  void TakeChanged(F&& f) {
    marks_.TakeChanged([&](size_t s) { f(Keys::Get(slots_[s].key), *slots_[s].value()); });
  }

  // The largest number of slots that the lookup of a present key passes.
  size_t LongestProbe() const {
    size_t longest = 0;
    for (size_t s = 0; s < capacity(); ++s) {
      if (!IsVacant(s)) {
        longest = std::max(longest, ((s - Keys::HashOf(slots_[s].key)) & mask_) + 1);
      }
    }
    return longest;
  }

 private:
  struct Slot {
    typename Keys::Stored key;
    alignas(V) std::byte bytes[sizeof(V)];
    V* value() { return std::launder(reinterpret_cast<V*>(bytes)); }
  };

  static_assert(alignof(V) <= internal::TableMemory::kAlignment,
                "state of this type needs a larger alignment than that of a cache line");

  static constexpr size_t kCapacityMin = internal::TagGroup::kSize;
  static constexpr size_t kBlock = 64;      // slots that ForEach visits in a row
  static constexpr size_t kLookAhead = 16;  // about as many as there can be cache misses at once

  size_t capacity() const { return memory_.data() == nullptr ? 0 : mask_ + 1; }
  static size_t SizeMaxOf(size_t capacity) { return capacity - capacity / 5; }
  static size_t CapacityFor(size_t count) {
    size_t enough = kCapacityMin;
    while (SizeMaxOf(enough) < count) enough *= 2;
    return enough;
  }
  bool IsVacant(size_t slot) const { return tags_[slot] == 0; }

  // REQUIRES: the value is in this table.
  size_t SlotOf(const V& value) const {
    const std::byte* slot = reinterpret_cast<const std::byte*>(&value) - offsetof(Slot, bytes);
    return static_cast<size_t>(reinterpret_cast<const Slot*>(slot) - slots_);
  }

  // REQUIRES: there is memory.
  void SetTag(size_t slot, uint8_t tag) {
    tags_[slot] = tag;
    if (slot < internal::TagGroup::kSize) tags_[mask_ + 1 + slot] = tag;
  }

  // For a single lookup: the tag and the slot come into the cache at the same time.
  template <class Key>
  Lookup PrepareNow(const Key& key) const {
    const Lookup lookup = Keys::Prepare(key);
    __builtin_prefetch(slots_ + (lookup.hash & mask_), 1);
    return lookup;
  }

  // The slot of the key, or the vacant slot where it would be.
  template <class Key>
  size_t Probe(const Lookup& lookup, const Key& key) const {
    const uint8_t tag = internal::TagOf(lookup.hash);
    for (size_t i = lookup.hash & mask_;; i = (i + internal::TagGroup::kSize) & mask_) {
      const internal::TagGroup group(tags_ + i);
      for (uint32_t equal = group.Equal(tag); equal != 0; equal &= equal - 1) {
        const size_t slot = SlotIn(i, equal);
        if (Keys::Equals(slots_[slot].key, lookup, key)) [[likely]] {
          return slot;
        }
      }
      if (const uint32_t vacant = group.Vacant(); vacant != 0) return SlotIn(i, vacant);
    }
  }

  // The first slot of `mask`, in the group that begins with slot `first`.
  size_t SlotIn(size_t first, uint32_t mask) const {
    return (first + static_cast<size_t>(std::countr_zero(mask))) & mask_;
  }

  // The result of Probe according to the tags alone; seldom wrong.
  size_t Guess(const Lookup& lookup) const {
    const size_t first = lookup.hash & mask_;
    const internal::TagGroup group(tags_ + first);
    const uint32_t equal = group.Equal(internal::TagOf(lookup.hash));
    return SlotIn(first, equal != 0 ? equal : group.Vacant());
  }

  // Whether the key is in that slot. The table may have changed, and shrunk, since the guess.
  template <class Key>
  bool IsAt(size_t guess, const Lookup& lookup, const Key& key) const {
    return HasTag(guess, lookup) && Keys::Equals(slots_[guess].key, lookup, key);
  }
  // The same without the key: false where the lookup is not enough.
  bool IsSurelyAt(size_t guess, const Lookup& lookup) const {
    return HasTag(guess, lookup) && Keys::SurelyEquals(slots_[guess].key, lookup);
  }
  bool HasTag(size_t guess, const Lookup& lookup) const {
    return guess <= mask_ && tags_[guess] == internal::TagOf(lookup.hash);
  }

  template <class Key>
  V* FindPrepared(const Lookup& lookup, const Key& key) {
    const size_t slot = Probe(lookup, key);
    return IsVacant(slot) ? nullptr : slots_[slot].value();
  }

  template <class Key>
  V& AtPrepared(const Lookup& lookup, const Key& key) {
    const size_t slot = Probe(lookup, key);
    if (IsVacant(slot)) [[unlikely]] {
      return Add(slot, lookup, key);
    }
    return *slots_[slot].value();
  }

  template <class Key>
  [[gnu::noinline]] V& Add(size_t vacant, const Lookup& lookup, const Key& key) {
    if (size_ == size_max_) {
      const K kept(key);  // the key may lie in this table
      Rehash(std::max(kCapacityMin, 2 * capacity()));
      return Add(Probe(lookup, View(kept)), lookup, View(kept));
    }
    Slot& slot = slots_[vacant];
    new (slot.bytes) V();
    try {
      Keys::Construct(slot.key, lookup, key);
    } catch (...) {
      slot.value()->~V();
      throw;
    }
    SetTag(vacant, internal::TagOf(lookup.hash));
    ++size_;
    return *slot.value();
  }

  // Three stages, kLookAhead keys apart: the first prefetches a key's tags, the second the slot
  // that the tags suggest, and the third is f(i, lookup, that slot).
  // Inline, as its callers are: the functions of a batch's loop stay in registers.
  template <class Key, class F>
  [[gnu::always_inline]] void LookAhead(size_t count, Key& key, F&& f) {
    constexpr size_t kUnderWay = 2 * kLookAhead;
    struct UnderWay {
      Lookup lookup;
      size_t guess;
    };
    UnderWay under_way[kUnderWay];
    auto prepare = [&](size_t i) {
      // In place: a copy would be read before it is written, in pieces of other sizes.
      Lookup& lookup = under_way[i % kUnderWay].lookup;
      lookup = Keys::Prepare(key(i));
      __builtin_prefetch(tags_ + (lookup.hash & mask_));
    };
    auto guess = [&](size_t i) {
      UnderWay& each = under_way[i % kUnderWay];
      each.guess = Guess(each.lookup);
      // In a table without memory this is no address, and the prefetch has no effect.
      const uintptr_t slot = reinterpret_cast<uintptr_t>(slots_) + each.guess * sizeof(Slot);
      __builtin_prefetch(reinterpret_cast<const void*>(slot), 1);
      if constexpr (64 % sizeof(Slot) != 0) {
        __builtin_prefetch(reinterpret_cast<const void*>(slot + sizeof(Slot) - 1), 1);
      }
    };
    auto finish = [&](size_t i) {
      const UnderWay& each = under_way[i % kUnderWay];
      f(i, each.lookup, each.guess);
    };
    for (size_t i = 0; i < std::min(count, kUnderWay); ++i) prepare(i);
    for (size_t i = 0; i < std::min(count, kLookAhead); ++i) guess(i);
    size_t i = 0;
    for (; i + kUnderWay < count; ++i) {
      finish(i);
      guess(i + kLookAhead);
      prepare(i + kUnderWay);
    }
    for (; i < count; ++i) {
      finish(i);
      if (i + kLookAhead < count) guess(i + kLookAhead);
    }
  }

  // If a move throws, both slots are empty, and the table can only be cleared or destroyed.
  // REQUIRES: the tags of both say that they are vacant.
  static void Relocate(Slot& from, Slot& to) {
    try {
      new (to.bytes) V(std::move(*from.value()));
    } catch (...) {
      from.value()->~V();
      Keys::Destroy(from.key);
      throw;
    }
    from.value()->~V();
    try {
      Keys::Relocate(from.key, to.key);
    } catch (...) {
      to.value()->~V();
      Keys::Destroy(from.key);
      throw;
    }
  }

  // Moves all keys into memory of another capacity, which suffices for them.
  void Rehash(size_t new_capacity) {
    FlatTable moved;
    const size_t slot_bytes = new_capacity * sizeof(Slot);
    moved.memory_ = internal::TableMemory(slot_bytes + new_capacity + internal::TagGroup::kSize);
    moved.slots_ = static_cast<Slot*>(moved.memory_.data());
    moved.tags_ = static_cast<uint8_t*>(moved.memory_.data()) + slot_bytes;
    moved.mask_ = new_capacity - 1;
    moved.size_max_ = SizeMaxOf(new_capacity);
    if (marks_.exist()) moved.marks_ = internal::TableMarks(new_capacity);
    for (size_t s = 0; s < capacity(); ++s) {
      if (IsVacant(s)) continue;
      size_t to = Keys::HashOf(slots_[s].key) & moved.mask_;
      while (!moved.IsVacant(to)) to = (to + 1) & moved.mask_;
      const uint8_t tag = tags_[s];
      SetTag(s, 0);
      --size_;
      Relocate(slots_[s], moved.slots_[to]);
      moved.SetTag(to, tag);
      ++moved.size_;
      marks_.MoveTo(s, moved.marks_, to);
    }
    *this = std::move(moved);
  }

  // Moves keys that would no longer be found into the hole, one after another.
  void EraseSlot(size_t hole) {
    slots_[hole].value()->~V();
    Keys::Destroy(slots_[hole].key);
    SetTag(hole, 0);
    --size_;
    marks_.Clear(hole);
    for (size_t s = (hole + 1) & mask_; !IsVacant(s); s = (s + 1) & mask_) {
      const size_t first = Keys::HashOf(slots_[s].key) & mask_;
      if (((s - first) & mask_) < ((s - hole) & mask_)) continue;
      const uint8_t tag = tags_[s];
      SetTag(s, 0);
      --size_;
      Relocate(slots_[s], slots_[hole]);
      SetTag(hole, tag);
      ++size_;
      marks_.MoveTo(s, marks_, hole);
      hole = s;
    }
  }

  void DestroyAll() {
    constexpr bool kNothingToDo =
        std::is_trivially_destructible_v<V> && std::is_trivially_destructible_v<K>;
    if constexpr (!kNothingToDo) {
      for (size_t s = 0; size_ > 0 && s < capacity(); ++s) {
        if (IsVacant(s)) continue;
        slots_[s].value()->~V();
        Keys::Destroy(slots_[s].key);
      }
    }
  }

  internal::TableMemory memory_;  // the slots, then the tags
  Slot* slots_ = nullptr;
  uint8_t* tags_ = internal::no_tags;
  size_t mask_ = 0;
  size_t size_ = 0;
  size_t size_max_ = 0;  // more make the table grow
  internal::TableMarks marks_;
};

}  // namespace headway

#endif  // HEADWAY_ENGINE_STATE_FLAT_TABLE_H_
