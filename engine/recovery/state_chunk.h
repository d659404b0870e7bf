#ifndef HEADWAY_ENGINE_RECOVERY_STATE_CHUNK_H_
#define HEADWAY_ENGINE_RECOVERY_STATE_CHUNK_H_

#include <cstdint>
#include <string>

namespace headway::internal {

// Changes of a step in an epoch, on their way to the worker that writes their partition. A chunk
// without rows says that participants have closed the epoch, to the worker that owns partition 0.
struct StateChunk {
  uint32_t partition = 0;
  uint32_t step = 0;
  std::string rows = {};  // AppendRow
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_RECOVERY_STATE_CHUNK_H_
