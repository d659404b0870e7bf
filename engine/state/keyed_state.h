#ifndef HEADWAY_ENGINE_STATE_KEYED_STATE_H_
#define HEADWAY_ENGINE_STATE_KEYED_STATE_H_

#include <cstddef>
#include <optional>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "comm/codec/codec.h"
#include "comm/codec/stable_hash.h"
#include "engine/state/flat_table.h"
#include "engine/state/state_base.h"

namespace headway {

// State under keys: a FlatTable of K to S that records which keys changed. Functions receive keys
// of type std::string as std::string_view. A reference to a state is valid until a key is added or
// erased. Not thread safe.
template <class K, class S>
class KeyedState final : public StateBase {
 public:
  using KeyView = typename FlatTable<K, S>::View;

  // The state of a key, made by its default constructor if it is absent.
  template <class Key>
  S& At(const Key& key) {
    Note(key);
    return table_.At(key);
  }
  // The state of a key, or null.
  template <class Key>
  S* Find(const Key& key) {
    S* found = table_.Find(key);
    if (found != nullptr) Note(key);
    return found;
  }
  template <class Key>
  void Erase(const Key& key) {
    if (tracking_ && table_.Find(key) != nullptr) Note(key);
    table_.Erase(key);
  }

  // At and Find for the keys of a batch: f(i, S& state of key(i)) and f(i, S* state), for i from 0
  // to `count`. Several times faster than single lookups when the state is larger than the cache.
  // `f` may add and erase keys. key(i) is called more than once.
  template <class KeyAt, class F>
  void AtEach(size_t count, KeyAt&& key, F&& f) {
    table_.AtEach(count, key, [&](size_t i, S& state) {
      Note(key(i));
      f(i, state);
    });
  }
  template <class KeyAt, class F>
  void FindEach(size_t count, KeyAt&& key, F&& f) {
    table_.FindEach(count, key, [&](size_t i, S* state) {
      if (state != nullptr) Note(key(i));
      f(i, state);
    });
  }

  template <class F>
  void ForEach(F&& f) const {
    table_.ForEach(f);
  }
  void Clear() {
    if (tracking_) {
      table_.ForEach([&](KeyView key, const S&) { changed_.At(key); });
    }
    table_.Clear();
  }
  size_t size() const { return table_.size(); }

  void TrackChanges() override { tracking_ = true; }

  void Snapshot(absl::FunctionRef<void(const StateEntry&)> write) override {
    RequireCodec<K>();
    RequireCodec<S>();
    changed_.ForEach([&](KeyView view, std::monostate) {
      const std::vector<std::byte> key_bytes = internal::EncodeKey(K(view));
      if (const S* state = table_.Find(view); state == nullptr) {
        write({key_bytes, std::nullopt, {}, StableHash(view)});
      } else {
        const std::vector<std::byte> state_bytes = EncodeToBytes(*state);
        write({key_bytes, state_bytes, {}, StableHash(view)});
      }
    });
    changed_.Clear();
  }

  absl::Status Restore(const StateEntry& entry) override {
    K key{};
    S state{};
    if (!DecodeFromBytes(entry.key, &key) ||
        (entry.state.has_value() && !DecodeFromBytes(*entry.state, &state))) {
      return absl::DataLossError(
          "stored state cannot be decoded: it was written by another version of the step, or is "
          "damaged");
    }
    if (entry.state.has_value()) {
      table_.At(key) = std::move(state);
    } else {
      table_.Erase(key);
    }
    return absl::OkStatus();
  }

 private:
  template <class Key>
  void Note(const Key& key) {
    if (tracking_) changed_.At(key);
  }

  FlatTable<K, S> table_;
  bool tracking_ = false;
  FlatTable<K, std::monostate> changed_;
};

}  // namespace headway

#endif  // HEADWAY_ENGINE_STATE_KEYED_STATE_H_
