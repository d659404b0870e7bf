#ifndef HEADWAY_ENGINE_STATE_STATE_BASE_H_
#define HEADWAY_ENGINE_STATE_STATE_BASE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "engine/runtime/status_macros.h"

namespace headway {

// One entry of a snapshot: state under a key, or that the key is gone. A key may have several
// entries, which its parts tell apart. Keys and states are encoded by Codec. The bytes belong to
// the caller, and are valid during the call that receives the entry.
struct StateEntry {
  std::span<const std::byte> key;
  std::optional<std::span<const std::byte>> state;
  std::span<const std::byte> part = {};  // empty: the state itself
  // Routes the entry: it belongs to the worker RouteHash(hash, number of workers), as the records
  // of the key do.
  uint64_t hash = 0;
};

// The state of a step on a worker, in the form that recovery stores: bytes under keys.
// Not thread safe.
class StateBase {
 public:
  virtual ~StateBase() = default;
  // Calls `write` with each entry that changed since the last snapshot (or since TrackChanges).
  virtual void Snapshot(absl::FunctionRef<void(const StateEntry&)> write) = 0;
  // Restores an entry. Errors: DataLoss if the bytes are not an encoding of the key or the state.
  virtual absl::Status Restore(const StateEntry& entry) = 0;
  // The same for several entries, in their order; an error leaves some of them restored. Their
  // bytes are valid during the whole call. A state of many keys looks all of them up together.
  virtual absl::Status RestoreEach(std::span<const StateEntry> entries) {
    for (const StateEntry& entry : entries) HEADWAY_RETURN_IF_ERROR(Restore(entry));
    return absl::OkStatus();
  }
  // Says that about so many more entries without a part will be restored before TrackChanges. So a
  // table makes room for them at once.
  virtual void ExpectEntries(size_t) {}
  // Starts to record which entries change. Before that, a snapshot is empty.
  virtual void TrackChanges() = 0;
};

}  // namespace headway

#endif  // HEADWAY_ENGINE_STATE_STATE_BASE_H_
