#ifndef HEADWAY_ENGINE_STEP_PARTITION_POSITION_H_
#define HEADWAY_ENGINE_STEP_PARTITION_POSITION_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "absl/functional/function_ref.h"
#include "engine/state/state_base.h"

namespace headway::internal {

// The position of a source or sink partition, which snapshots contain under the partition's name.
struct PartitionPosition {
  std::string name;
  std::optional<std::string> position;  // nullopt: the partition is gone

  static PartitionPosition Of(const StateEntry& entry) {
    PartitionPosition of{.name = Text(entry.key), .position = std::nullopt};
    if (entry.state.has_value()) of.position = Text(*entry.state);
    return of;
  }

  void WriteTo(absl::FunctionRef<void(const StateEntry&)> write, uint64_t hash) const {
    StateEntry entry{.key = std::as_bytes(std::span(name)), .state = std::nullopt, .hash = hash};
    if (position.has_value()) entry.state = std::as_bytes(std::span(*position));
    write(entry);
  }

 private:
  static std::string Text(std::span<const std::byte> bytes) {
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STEP_PARTITION_POSITION_H_
