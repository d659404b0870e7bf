#ifndef HEADWAY_ENGINE_STATE_KEYED_STATE_H_
#define HEADWAY_ENGINE_STATE_KEYED_STATE_H_

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "comm/codec/codec.h"
#include "comm/codec/stable_hash.h"
#include "engine/state/flat_table.h"
#include "engine/state/key_codec.h"
#include "engine/state/state_base.h"
#include "engine/state/table_changes.h"

namespace headway {

// State under keys: a FlatTable of K to S that knows which keys changed. Functions receive keys of
// type std::string as std::string_view. A reference to a state is valid until a key is added or
// erased; to look one up is to change it. Not thread safe.
template <class K, class S>
class KeyedState final : public StateBase {
 public:
  using KeyView = typename FlatTable<K, S>::View;

  // The state of a key, made by its default constructor if it is absent.
  template <class Key>
  S& At(const Key& key) {
    S& state = table_.At(key);
    changes_.Note(table_, state);
    return state;
  }
  // The state of a key, or null.
  template <class Key>
  S* Find(const Key& key) {
    S* found = table_.Find(key);
    if (found != nullptr) changes_.Note(table_, *found);
    return found;
  }
  // The same to read it: that is no change.
  template <class Key>
  const S* Peek(const Key& key) {
    return table_.Find(key);
  }
  template <class Key>
  void Erase(const Key& key) {
    changes_.Erase(table_, key);
  }

  // At and Find for the keys of a batch: f(i, S& state of key(i)) and f(i, S* state), for i from 0
  // to `count`. Several times faster than single lookups when the state is larger than the cache.
  // `f` may add and erase keys. key(i) is called more than once.
  //
  // If `f` returns a bool, false says that a state is as it was, and needs no place in the next
  // snapshot. Such an `f` adds a key only where it receives null, and erases none; for a state that
  // AtEach has made it returns true.
  template <class KeyAt, class F>
  void AtEach(size_t count, KeyAt&& key, F&& f) {
    table_.AtEach(count, key, [&](size_t i, S& state) {
      if constexpr (std::is_same_v<std::invoke_result_t<F&, size_t, S&>, bool>) {
        if (f(i, state)) changes_.Note(table_, state);
      } else {
        changes_.Note(table_, state);
        f(i, state);
      }
    });
  }
  template <class KeyAt, class F>
  void FindEach(size_t count, KeyAt&& key, F&& f) {
    table_.FindEach(count, key, [&](size_t i, S* state) {
      if constexpr (std::is_same_v<std::invoke_result_t<F&, size_t, S*>, bool>) {
        if (f(i, state) && state != nullptr) changes_.Note(table_, *state);
      } else {
        if (state != nullptr) changes_.Note(table_, *state);
        f(i, state);
      }
    });
  }
  // FindEach to read: f(i, const S* state). `f` must not change the state.
  template <class KeyAt, class F>
  void PeekEach(size_t count, KeyAt&& key, F&& f) {
    table_.FindEach(count, key, [&](size_t i, const S* state) { f(i, state); });
  }

  template <class F>
  void ForEach(F&& f) const {
    table_.ForEach(f);
  }
  // ForEach in pieces, as FlatTable has it: f(KeyView key, const S& state) returns false to stop.
  template <class F>
  bool ForEachFrom(size_t& position, F&& f) {
    return table_.ForEachFrom(position,
                              [&](KeyView key, S& state) { return f(key, std::as_const(state)); });
  }
  void Clear() { changes_.Clear(table_); }
  size_t size() const { return table_.size(); }

  void ExpectEntries(size_t count) override { table_.Reserve(table_.size() + count); }
  void TrackChanges() override {
    table_.Shrink();  // fewer keys may have come than were expected
    restored_ = {};
    changes_.Track(table_);
  }

  // An entry for each key, without a part.
  void Snapshot(absl::FunctionRef<void(const StateEntry&)> write) override {
    SnapshotRouted([](KeyView key) { return StableHash(key); }, write);
  }
  // The same for keys that are routed otherwise: hash_of(KeyView key) is the hash of an entry.
  template <class HashOf>
  void SnapshotRouted(HashOf&& hash_of, absl::FunctionRef<void(const StateEntry&)> write) {
    SnapshotPart({}, hash_of, write);
  }
  // The same with a part in each entry, for a step with several states under the same keys.
  template <class HashOf>
  void SnapshotPart(std::span<const std::byte> part, HashOf&& hash_of,
                    absl::FunctionRef<void(const StateEntry&)> write) {
    RequireCodec<K>();
    RequireCodec<S>();
    Encoder encoder;
    changes_.Take(table_, [&](KeyView key, const S* state) {
      encoder.Clear();
      key_codec_.Encode(key, encoder);
      const size_t key_size = encoder.size();
      if (state != nullptr) Codec<S>::Encode(*state, encoder);
      const std::span<const std::byte> bytes = encoder.bytes();
      StateEntry entry{
          .key = bytes.first(key_size), .state = std::nullopt, .part = part, .hash = hash_of(key)};
      if (state != nullptr) entry.state = bytes.subspan(key_size);
      write(entry);
    });
  }

  absl::Status Restore(const StateEntry& entry) override {
    const K* key = key_codec_.Decode(entry.key);
    S state{};
    if (key == nullptr || (entry.state.has_value() && !DecodeFromBytes(*entry.state, &state))) {
      return Undecodable();
    }
    if (entry.state.has_value()) {
      PutRestored(table_.At(*key), std::move(state));
    } else {
      table_.Erase(*key);
    }
    return absl::OkStatus();
  }
  absl::Status RestoreEach(std::span<const StateEntry> entries) override {
    const auto is_gone = [](const StateEntry& entry) { return !entry.state.has_value(); };
    if (std::ranges::any_of(entries, is_gone)) return StateBase::RestoreEach(entries);
    if (restored_.size() < entries.size()) restored_.resize(entries.size());
    for (size_t i = 0; i < entries.size(); ++i) {
      if (!DecodeFromBytes(entries[i].key, &restored_[i].key)) return Undecodable();
    }
    bool decoded = true;
    table_.AtEach(
        entries.size(), [this](size_t i) -> const K& { return restored_[i].key; },
        [&](size_t i, S& restored) {
          S state{};
          decoded = DecodeFromBytes(*entries[i].state, &state) && decoded;
          PutRestored(restored, std::move(state));
        });
    return decoded ? absl::OkStatus() : Undecodable();
  }

 private:
  // A class, because a vector of bool has no elements to refer to.
  struct RestoredKey {
    K key{};
  };

  void PutRestored(S& restored, S&& state) {
    restored = std::move(state);
    changes_.NoteStored(table_, restored);
  }
  static absl::Status Undecodable() {
    return absl::DataLossError(
        "stored state cannot be decoded: it was written by another version of the step, or is "
        "damaged");
  }

  FlatTable<K, S> table_;
  internal::TableChanges<K, S> changes_;
  internal::KeyCodec<K> key_codec_;
  std::vector<RestoredKey> restored_;  // scratch of RestoreEach
};

}  // namespace headway

#endif  // HEADWAY_ENGINE_STATE_KEYED_STATE_H_
