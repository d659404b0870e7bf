#ifndef HEADWAY_ENGINE_KEYED_STATE_H_
#define HEADWAY_ENGINE_KEYED_STATE_H_

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "headway/comm/codec.h"
#include "headway/comm/stable_hash.h"

namespace headway {

// One entry of a snapshot: the state of a key, or that the key is gone. Encoded by Codec.
struct StateEntry {
  std::span<const std::byte> key;
  std::optional<std::span<const std::byte>> state;
};

// The state of a step on a worker, as recovery sees it: bytes under keys. Not thread safe.
class StateBase {
 public:
  virtual ~StateBase() = default;
  // Calls `write` with each key that changed since the last snapshot (or since tracking began),
  // then begins anew.
  virtual void Snapshot(absl::FunctionRef<void(const StateEntry&)> write) = 0;
  // Puts the state of a key back. Errors: DataLoss if the bytes are not what the key's or the
  // state's codec wrote.
  virtual absl::Status Restore(const StateEntry& entry) = 0;
  // Begins to note which keys change; until then a snapshot is empty.
  virtual void TrackChanges() = 0;
};

// State under keys: a hash map of K to S that notes what changed. Keys of type std::string are
// looked up by std::string_view.
template <class K, class S>
class KeyedState final : public StateBase {
 public:
  using KeyView = std::conditional_t<std::is_same_v<K, std::string>, std::string_view, const K&>;

  // The state of a key, made by its default constructor if there is none yet.
  S& At(KeyView key) {
    auto found = map_.find(key);
    if (found == map_.end()) found = map_.try_emplace(K(key)).first;
    if (tracking_) changed_.insert(found->first);
    return found->second;
  }
  // The state of a key, or null.
  S* Find(KeyView key) {
    auto found = map_.find(key);
    if (found == map_.end()) return nullptr;
    if (tracking_) changed_.insert(found->first);
    return &found->second;
  }
  void Erase(KeyView key) {
    auto found = map_.find(key);
    if (found == map_.end()) return;
    if (tracking_) changed_.insert(found->first);
    map_.erase(found);
  }
  template <class F>
  void ForEach(F&& f) const {
    for (const auto& [key, state] : map_) f(key, state);
  }
  void Clear() {
    if (tracking_) {
      for (const auto& [key, state] : map_) changed_.insert(key);
    }
    map_ = Map();
  }
  size_t size() const { return map_.size(); }

  void TrackChanges() override { tracking_ = true; }

  void Snapshot(absl::FunctionRef<void(const StateEntry&)> write) override {
    RequireCodec<K>();
    RequireCodec<S>();
    for (const K& key : changed_) {
      const std::vector<std::byte> key_bytes = EncodeToBytes(key);
      auto found = map_.find(key);
      if (found == map_.end()) {
        write({key_bytes, std::nullopt});
      } else {
        const std::vector<std::byte> state_bytes = EncodeToBytes(found->second);
        write({key_bytes, state_bytes});
      }
    }
    changed_.clear();
  }

  absl::Status Restore(const StateEntry& entry) override {
    K key{};
    S state{};
    if (!DecodeFromBytes(entry.key, &key) ||
        (entry.state.has_value() && !DecodeFromBytes(*entry.state, &state))) {
      return absl::DataLossError(
          "stored state cannot be decoded: it was written by a different version of the step, or "
          "is damaged");
    }
    if (entry.state.has_value()) {
      map_.insert_or_assign(std::move(key), std::move(state));
    } else {
      map_.erase(key);
    }
    return absl::OkStatus();
  }

 private:
  struct Hash {
    using is_transparent = void;
    template <class U>
    size_t operator()(const U& key) const {
      return StableHash(key);
    }
  };
  using Map = absl::flat_hash_map<K, S, Hash, std::equal_to<>>;

  Map map_;
  bool tracking_ = false;
  absl::flat_hash_set<K, Hash, std::equal_to<>> changed_;
};

}  // namespace headway

#endif  // HEADWAY_ENGINE_KEYED_STATE_H_
