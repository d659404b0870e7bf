#ifndef HEADWAY_ENGINE_FLAT_TABLE_H_
#define HEADWAY_ENGINE_FLAT_TABLE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

#include "headway/engine/table_key.h"
#include "headway/engine/table_memory.h"

namespace headway {

// A hash table from keys K to values V, for large tables that are looked up in batches: keys and
// values lie in one array of slots, so that a lookup costs one cache miss, and AtEach and FindEach
// have many of them under way at once. Keys of type std::string are seen as std::string_view, and
// up to 15 characters of them lie in the slot. Not thread safe.
//
// Invariants:
//  1. The capacity is a power of two. At least a fifth of the slots (rounded down, but one) are
//     vacant.
//  2. A key is in the slot that the low bits of its hash select, or behind it with no vacant slot
//     between them (linear probing); what is erased leaves no mark (Knuth, volume 3, 6.4, R).
//
// A pointer or reference to a value holds until a key is added or erased.
template <class K, class V>
class FlatTable {
  using Keys = internal::TableKey<K>;
  using Lookup = typename Keys::Lookup;

 public:
  // `const K&`, or std::string_view. Where a key goes in, its type may also be one that Keys knows
  // to prepare faster (BatchString).
  using View = typename Keys::View;

  FlatTable() = default;
  FlatTable(FlatTable&& other) noexcept { *this = std::move(other); }
  FlatTable& operator=(FlatTable&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(slots_, other.slots_);
    std::swap(mask_, other.mask_);
    std::swap(size_, other.size_);
    std::swap(size_max_, other.size_max_);
    std::swap(apart_, other.apart_);
    return *this;
  }
  ~FlatTable() { DestroyAll(); }

  size_t size() const { return size_ + apart_.has_value(); }

  // The value of a key, made by its default constructor if there is none yet.
  template <class Key>
  V& At(const Key& key) {
    return AtPrepared(Keys::Prepare(key), key);
  }

  // The value of a key, or null.
  template <class Key>
  V* Find(const Key& key) {
    return FindPrepared(Keys::Prepare(key), key);
  }

  // Whether there was something to erase.
  template <class Key>
  bool Erase(const Key& key) {
    if (Keys::IsApart(key)) return std::exchange(apart_, std::nullopt).has_value();
    Slot& slot = Probe(Keys::Prepare(key), key);
    if (Keys::IsVacant(slot.key)) return false;
    EraseSlot(static_cast<size_t>(&slot - slots_));
    return true;
  }

  // f(i, V& value of key(i)) for i from 0 to `count`, in this order; values are made where there
  // are none. `f` may change the table. key(i) is called twice, once ahead of time.
  template <class KeyAt, class F>
  void AtEach(size_t count, KeyAt&& key, F&& f) {
    LookAhead(count, key,
              [&](size_t i, const Lookup& lookup) { f(i, AtPrepared(lookup, key(i))); });
  }

  // The same with f(i, V* value), null where there is none.
  template <class KeyAt, class F>
  void FindEach(size_t count, KeyAt&& key, F&& f) {
    LookAhead(count, key,
              [&](size_t i, const Lookup& lookup) { f(i, FindPrepared(lookup, key(i))); });
  }

  // f(View key, V& value) for all, in an order that is the same for the same history. `f` must not
  // change the table.
  template <class F>
  void ForEach(F&& f) {
    if (apart_.has_value()) f(K{}, *apart_);
    if (size_ == 0) return;
    // In the order of slots, blocks of the keys would arrive at what is next downstream in the
    // order of their hashes, and crowd together in a table that is still small. So blocks are
    // visited in an order that jumps about: that of an odd factor, modulo each power of two.
    const size_t blocks = std::max<size_t>(1, capacity() / kBlock);
    for (size_t i = 0; i < blocks; ++i) {
      const size_t begin = (i * internal::kHashSecret0 & (blocks - 1)) * kBlock;
      const size_t end = std::min(begin + kBlock, capacity());
      for (size_t s = begin; s < end; ++s) {
        if (!Keys::IsVacant(slots_[s].key)) f(Keys::Get(slots_[s].key), *slots_[s].value());
      }
    }
  }
  template <class F>
  void ForEach(F&& f) const {
    const_cast<FlatTable*>(this)->ForEach(
        [&](View key, V& value) { f(key, std::as_const(value)); });
  }

  // Forgets all, and gives the memory back.
  void Clear() {
    FlatTable empty;
    *this = std::move(empty);
  }

  // How many slots the lookup of the key that is farthest from its first slot has to look at.
  size_t LongestProbe() const {
    size_t longest = 0;
    for (size_t s = 0; s < capacity(); ++s) {
      if (!Keys::IsVacant(slots_[s].key)) {
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

  static constexpr size_t kCapacityMin = 8;
  static constexpr size_t kBlock = 64;      // slots that ForEach visits in a row
  static constexpr size_t kLookAhead = 32;  // more than there can be cache misses at once

  size_t capacity() const { return memory_.data() == nullptr ? 0 : mask_ + 1; }

  // The slot of the key, or the vacant slot where it would be.
  template <class Key>
  Slot& Probe(const Lookup& lookup, const Key& key) {
    Slot* const slots = slots_;
    const size_t mask = mask_;
    for (size_t i = lookup.hash & mask;; i = (i + 1) & mask) {
      Slot& slot = slots[i];
      if (Keys::Equals(slot.key, lookup, key) || Keys::IsVacant(slot.key)) return slot;
    }
  }

  template <class Key>
  V* FindPrepared(const Lookup& lookup, const Key& key) {
    if (Keys::IsApart(key)) [[unlikely]] {
      return apart_.has_value() ? &*apart_ : nullptr;
    }
    Slot& slot = Probe(lookup, key);
    return Keys::IsVacant(slot.key) ? nullptr : slot.value();
  }

  template <class Key>
  V& AtPrepared(const Lookup& lookup, const Key& key) {
    if (Keys::IsApart(key)) [[unlikely]] {
      if (!apart_.has_value()) apart_.emplace();
      return *apart_;
    }
    Slot& slot = Probe(lookup, key);
    if (Keys::IsVacant(slot.key)) [[unlikely]] {
      return Add(slot, lookup, key);
    }
    return *slot.value();
  }

  template <class Key>
  [[gnu::noinline]] V& Add(Slot& vacant, const Lookup& lookup, const Key& key) {
    Slot* slot = &vacant;
    if (size_ == size_max_) {
      const K kept(key);  // the key may lie in this table
      Grow();
      return Add(Probe(lookup, View(kept)), lookup, View(kept));
    }
    new (slot->bytes) V();
    try {
      Keys::Construct(slot->key, lookup, key);
    } catch (...) {
      slot->value()->~V();
      throw;
    }
    ++size_;
    return *slot->value();
  }

  template <class Key, class F>
  void LookAhead(size_t count, Key& key, F&& f) {
    Lookup ahead[kLookAhead];
    auto prepare = [&](size_t i) {
      const Lookup lookup = Keys::Prepare(key(i));
      const char* slot = reinterpret_cast<const char*>(slots_ + (lookup.hash & mask_));
      __builtin_prefetch(slot, 1);
      if constexpr (64 % sizeof(Slot) != 0) __builtin_prefetch(slot + sizeof(Slot) - 1, 1);
      ahead[i % kLookAhead] = lookup;
    };
    for (size_t i = 0; i < std::min(count, kLookAhead); ++i) prepare(i);
    size_t i = 0;
    for (; i + kLookAhead < count; ++i) {
      const Lookup lookup = ahead[i % kLookAhead];
      prepare(i + kLookAhead);
      f(i, lookup);
    }
    for (; i < count; ++i) f(i, ahead[i % kLookAhead]);
  }

  static void Relocate(Slot& from, Slot& to) {
    new (to.bytes) V(std::move(*from.value()));
    from.value()->~V();
    Keys::Relocate(from.key, to.key);
  }

  void Grow() {
    FlatTable larger;
    const size_t old_capacity = capacity();
    const size_t new_capacity = std::max(kCapacityMin, 2 * old_capacity);
    larger.memory_ = internal::TableMemory(new_capacity * sizeof(Slot));
    larger.slots_ = static_cast<Slot*>(larger.memory_.data());
    larger.mask_ = new_capacity - 1;
    for (size_t s = 0; s < old_capacity; ++s) {
      if (Keys::IsVacant(slots_[s].key)) continue;
      size_t to = Keys::HashOf(slots_[s].key) & larger.mask_;
      while (!Keys::IsVacant(larger.slots_[to].key)) to = (to + 1) & larger.mask_;
      Relocate(slots_[s], larger.slots_[to]);
    }
    memory_ = std::move(larger.memory_);
    slots_ = larger.slots_;
    mask_ = larger.mask_;
    size_max_ = new_capacity - new_capacity / 5;
    larger.slots_ = &no_slot_;
    larger.mask_ = 0;
    // `larger` has the old memory, in which all slots are vacant.
  }

  // Moves keys that would no longer be found into the hole, one after another.
  void EraseSlot(size_t hole) {
    slots_[hole].value()->~V();
    Keys::Destroy(slots_[hole].key);
    slots_[hole].key = {};
    --size_;
    for (size_t s = (hole + 1) & mask_; !Keys::IsVacant(slots_[s].key); s = (s + 1) & mask_) {
      const size_t first = Keys::HashOf(slots_[s].key) & mask_;
      if (((s - first) & mask_) < ((s - hole) & mask_)) continue;
      Relocate(slots_[s], slots_[hole]);
      hole = s;
    }
  }

  void DestroyAll() {
    constexpr bool kNothingToDo =
        std::is_trivially_destructible_v<V> && std::is_trivially_destructible_v<K>;
    if constexpr (!kNothingToDo) {
      for (size_t s = 0; size_ > 0 && s < capacity(); ++s) {
        if (Keys::IsVacant(slots_[s].key)) continue;
        slots_[s].value()->~V();
        Keys::Destroy(slots_[s].key);
      }
    }
  }

  // What a table without memory looks at: vacant, and never written.
  inline static Slot no_slot_ = {};

  internal::TableMemory memory_;
  Slot* slots_ = &no_slot_;
  size_t mask_ = 0;
  size_t size_ = 0;      // keys in slots
  size_t size_max_ = 0;  // more make the table grow
  std::optional<V> apart_;
};

}  // namespace headway

#endif  // HEADWAY_ENGINE_FLAT_TABLE_H_
