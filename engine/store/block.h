#ifndef HEADWAY_ENGINE_STORE_BLOCK_H_
#define HEADWAY_ENGINE_STORE_BLOCK_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/store/row.h"
#include "engine/store/store.h"

namespace headway::internal {

// Makes the blocks of a run from rows in their order: up to 32,768 rows and about 1 MiB each,
// encoded in columns, compressed, with a version and a checksum. Not thread safe.
class BlockWriter {
 public:
  // REQUIRES: the row is not less than the one before.
  void Add(const StateRow& row);
  // The blocks of all rows that were added. The writer is empty then.
  std::vector<StoredBlock> Finish();
};

// The rows of a block, in order. Owns their bytes.
class BlockReader {
 public:
  // DataLoss: the block is damaged. FailedPrecondition: it has a newer version.
  static absl::StatusOr<BlockReader> Open(std::string_view bytes);

  // Returns false at the end. The row is valid as long as the reader.
  bool Next(StateRow* row);
};

// Sorts the rows of buffers (AppendRow) and makes the blocks of a run of them. Of several rows of
// the same key and part, the last one counts. DataLoss: a buffer is malformed.
absl::StatusOr<std::vector<StoredBlock>> BlocksOf(const std::vector<std::string>& buffers);

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STORE_BLOCK_H_
