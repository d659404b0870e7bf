#ifndef HEADWAY_ENGINE_STORE_BLOCK_H_
#define HEADWAY_ENGINE_STORE_BLOCK_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/store/column.h"
#include "engine/store/hash_column.h"
#include "engine/store/row.h"
#include "engine/store/store.h"

// A block has a head of 24 bytes, then one frame of zstd. docs/recovery-format.md has an example.
// The head is five fields:
//
//    0  the characters HBLK
//    4  version, 4 bytes
//    8  number of rows, 4 bytes
//   12  size of the frame's content, 4 bytes
//   16  checksum of bytes 0 to 15 and of the frame, 8 bytes
//
// The frame has columns, in the order of rows: keys, hashes, parts, tombstones, and the states of
// the other rows.

namespace headway::internal {

inline constexpr uint32_t kBlockVersion = 1;
inline constexpr size_t kBlockRowsMax = 32768;
inline constexpr size_t kBlockBytesMax = size_t{1} << 20;  // of its rows, unless it has only one

// Makes the blocks of a run from rows in their order: up to kBlockRowsMax rows and kBlockBytesMax
// each, encoded in columns, compressed, with a version and a checksum. Not thread safe.
class BlockWriter {
 public:
  BlockWriter();
  ~BlockWriter();

  // REQUIRES: the row is greater than the one before, and has at most kRowBytesMax bytes.
  void Add(const StateRow& row);
  // The blocks of all rows that were added. The writer is empty then.
  std::vector<StoredBlock> Finish();

 private:
  struct Compressor;

  void FinishBlock();

  std::unique_ptr<Compressor> compressor_;
  std::vector<StoredBlock> blocks_;
  // The rows of the block that is not finished.
  HashColumnWriter hashes_;
  ColumnWriter keys_;
  ColumnWriter parts_;
  std::vector<bool> is_tombstone_;
  size_t tombstone_count_ = 0;
  ColumnWriter states_;
  size_t byte_count_ = 0;
  std::string columns_;  // scratch
};

// The rows of a block, in order. Owns their bytes. Not thread safe.
class BlockReader {
 public:
  // DataLoss: the block is damaged. FailedPrecondition: it has a newer version.
  static absl::StatusOr<BlockReader> Open(std::string_view bytes);

  // Returns false at the end. The row is valid as long as the reader.
  bool Next(StateRow* row) {
    if (next_ == hashes_.size()) return false;
    row->hash = hashes_[next_];
    row->key = keys_.at(next_);
    row->part = parts_.at(next_);
    if (!is_tombstone_.empty() && is_tombstone_[next_]) {
      row->state.reset();
    } else {
      row->state = states_.at(next_state_++);
    }
    ++next_;
    return true;
  }

 private:
  BlockReader() = default;

  bool ReadColumns(std::string_view columns, size_t row_count);

  std::unique_ptr<char[]> columns_;
  std::vector<uint64_t> hashes_;
  ColumnReader keys_;
  ColumnReader parts_;
  std::vector<bool> is_tombstone_;  // empty: there is none
  ColumnReader states_;
  size_t next_ = 0;
  size_t next_state_ = 0;
};

// Sorts the rows of buffers (AppendRow) and makes the blocks of a run of them. Of several rows of
// the same key and part, the last one counts. DataLoss: a buffer is malformed. InvalidArgument: a
// row has more than kRowBytesMax bytes.
absl::StatusOr<std::vector<StoredBlock>> BlocksOf(const std::vector<std::string>& buffers);

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STORE_BLOCK_H_
