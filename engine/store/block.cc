#include "engine/store/block.h"

#include <zstd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "check.h"
#include "comm/codec/stable_hash.h"
#include "engine/store/column.h"
#include "engine/store/hash_column.h"
#include "engine/store/row.h"
#include "format.h"

namespace headway::internal {
namespace {

constexpr std::array<char, 4> kMagic = {'H', 'B', 'L', 'K'};
constexpr int kCompressionLevel = 1;  // level 3 takes longer and saves nothing (measured)

// Which rows are tombstones: one byte, and for kSome a bit for each row, low bits first.
enum class Tombstones : char { kNone = 0, kAll = 1, kSome = 2 };

struct Head {
  std::array<char, 4> magic;
  uint32_t version;
  uint32_t row_count;
  uint32_t column_bytes;
  uint64_t checksum;
};
static_assert(sizeof(Head) == 24);

uint64_t Checksum(const Head& head, std::string_view frame) {
  return CombineHashes(HashBytes(&head, offsetof(Head, checksum)),
                       HashBytes(frame.data(), frame.size()));
}

// Bounds the memory that a damaged head can ask for. Lengths and the bits of tombstones add less
// than a byte to each byte of a full block.
uint64_t ColumnBytesMax(uint32_t row_count) {
  return row_count == 1 ? kRowBytesMax + kBlockBytesMax : 2 * kBlockBytesMax;
}

}  // namespace

struct BlockWriter::Compressor {
  Compressor() : context(ZSTD_createCCtx()) {
    HEADWAY_CHECK(context != nullptr);
    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, kCompressionLevel);
  }
  ~Compressor() { ZSTD_freeCCtx(context); }

  ZSTD_CCtx* context;
};

BlockWriter::BlockWriter() : compressor_(std::make_unique<Compressor>()) {}
BlockWriter::~BlockWriter() = default;

void BlockWriter::Add(const StateRow& row) {
  const size_t size = row.byte_count();
  HEADWAY_CHECK(size <= kRowBytesMax);
  const size_t bytes = sizeof(row.hash) + size;
  if (hashes_.size() > 0 &&
      (hashes_.size() == kBlockRowsMax || byte_count_ + bytes > kBlockBytesMax)) {
    FinishBlock();
  }
  HEADWAY_DCHECK(hashes_.size() == 0 || hashes_.last() <= row.hash);
  byte_count_ += bytes;
  hashes_.Add(row.hash, row.key);
  keys_.Add(row.key);
  parts_.Add(row.part);
  is_tombstone_.push_back(!row.state);
  if (row.state) {
    states_.Add(*row.state);
  } else {
    ++tombstone_count_;
  }
}

std::vector<StoredBlock> BlockWriter::Finish() {
  if (hashes_.size() > 0) FinishBlock();
  return std::exchange(blocks_, {});
}

void BlockWriter::FinishBlock() {
  const size_t count = hashes_.size();
  StoredBlock& block = blocks_.emplace_back();
  block.first_hash = hashes_.first();
  block.last_hash = hashes_.last();
  block.row_count = static_cast<uint32_t>(count);

  columns_.clear();
  keys_.Finish(columns_);
  hashes_.Finish(columns_);
  parts_.Finish(columns_);
  if (tombstone_count_ == 0 || tombstone_count_ == count) {
    columns_.push_back(
        static_cast<char>(tombstone_count_ == 0 ? Tombstones::kNone : Tombstones::kAll));
  } else {
    columns_.push_back(static_cast<char>(Tombstones::kSome));
    const size_t begin = columns_.size();
    columns_.resize(begin + (count + 7) / 8);
    for (size_t i = 0; i < count; ++i) {
      if (!is_tombstone_[i]) continue;
      char& byte = columns_[begin + i / 8];
      byte = static_cast<char>(byte | 1 << (i % 8));
    }
  }
  states_.Finish(columns_);

  block.bytes.resize(sizeof(Head) + ZSTD_compressBound(columns_.size()));
  const size_t frame_size =
      ZSTD_compress2(compressor_->context, block.bytes.data() + sizeof(Head),
                     block.bytes.size() - sizeof(Head), columns_.data(), columns_.size());
  HEADWAY_CHECK(!ZSTD_isError(frame_size));
  block.bytes.resize(sizeof(Head) + frame_size);
  block.bytes.shrink_to_fit();
  Head head = {kMagic, kBlockVersion, block.row_count, static_cast<uint32_t>(columns_.size()), 0};
  head.checksum = Checksum(head, std::string_view(block.bytes).substr(sizeof(Head)));
  std::memcpy(block.bytes.data(), &head, sizeof(head));

  is_tombstone_.clear();
  tombstone_count_ = 0;
  byte_count_ = 0;
}

absl::StatusOr<BlockReader> BlockReader::Open(std::string_view bytes) {
  Head head;
  if (bytes.size() < sizeof(head)) return absl::DataLossError("the block is cut off");
  std::memcpy(&head, bytes.data(), sizeof(head));
  const std::string_view frame = bytes.substr(sizeof(head));
  if (head.magic != kMagic) return absl::DataLossError("the bytes are no block");
  if (head.version > kBlockVersion) {
    return absl::FailedPreconditionError(
        Format("the block has version %d, and this program reads versions up to %d: use a newer "
               "version of Headway",
               head.version, kBlockVersion));
  }
  if (head.checksum != Checksum(head, frame)) {
    return absl::DataLossError("the checksum of the block is wrong");
  }
  BlockReader reader;
  absl::Status malformed = absl::DataLossError("the block is malformed");
  if (head.version == 0 || head.row_count == 0 || head.row_count > kBlockRowsMax ||
      head.column_bytes > ColumnBytesMax(head.row_count) ||
      ZSTD_getFrameContentSize(frame.data(), frame.size()) != head.column_bytes) {
    return malformed;
  }
  reader.columns_ = std::make_unique_for_overwrite<char[]>(head.column_bytes);
  if (ZSTD_decompress(reader.columns_.get(), head.column_bytes, frame.data(), frame.size()) !=
      head.column_bytes) {
    return malformed;
  }
  if (!reader.ReadColumns({reader.columns_.get(), head.column_bytes}, head.row_count)) {
    return malformed;
  }
  return reader;
}

bool BlockReader::ReadColumns(std::string_view columns, size_t row_count) {
  if (!keys_.Open(&columns, row_count) || !ReadHashColumn(&columns, keys_, row_count, &hashes_) ||
      !parts_.Open(&columns, row_count) || columns.empty()) {
    return false;
  }
  const auto tombstones = static_cast<Tombstones>(columns.front());
  columns.remove_prefix(1);
  size_t state_count = row_count;
  if (tombstones == Tombstones::kAll) {
    is_tombstone_.resize(row_count, true);
    state_count = 0;
  } else if (tombstones == Tombstones::kSome) {
    if (columns.size() < (row_count + 7) / 8) return false;
    is_tombstone_.resize(row_count);
    for (size_t i = 0; i < row_count; ++i) {
      if ((columns[i / 8] >> (i % 8) & 1) == 0) continue;
      is_tombstone_[i] = true;
      --state_count;
    }
    columns.remove_prefix((row_count + 7) / 8);
  } else if (tombstones != Tombstones::kNone) {
    return false;
  }
  return states_.Open(&columns, state_count) && columns.empty();
}

}  // namespace headway::internal
