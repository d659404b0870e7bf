// Any bytes are a block, a buffer of rows, or refused. The first two bytes are the number of rows
// of a block, and the others its content: a head with a right checksum is made for them.

#include <zstd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "check.h"
#include "comm/codec/stable_hash.h"
#include "engine/store/block.h"
#include "engine/store/row.h"
#include "tests/fuzz/fuzz_target.h"

namespace headway::internal {
namespace {

void Read(std::string_view bytes) {
  absl::StatusOr<BlockReader> reader = BlockReader::Open(bytes);
  if (!reader.ok()) return;
  StateRow row;
  uint64_t last_hash = 0;
  std::string copy;
  while (reader->Next(&row)) {
    HEADWAY_CHECK(row.hash >= last_hash);
    last_hash = row.hash;
    copy.assign(row.key).append(row.part).append(row.state.value_or(""));
  }
}

std::string BlockOf(std::string_view content, uint32_t row_count) {
  std::string block = "HBLK";
  for (const uint32_t field : {uint32_t{1}, row_count, static_cast<uint32_t>(content.size())}) {
    block.append(reinterpret_cast<const char*>(&field), sizeof(field));
  }
  std::string frame(ZSTD_compressBound(content.size()), '\0');
  frame.resize(ZSTD_compress(frame.data(), frame.size(), content.data(), content.size(), 1));
  const uint64_t checksum =
      CombineHashes(HashBytes(block.data(), block.size()), HashBytes(frame.data(), frame.size()));
  block.append(reinterpret_cast<const char*>(&checksum), sizeof(checksum));
  return block + frame;
}

}  // namespace
}  // namespace headway::internal

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace headway::internal;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  Read(bytes);
  RowReader rows(bytes);
  StateRow row;
  std::string again;
  while (rows.Next(&row)) AppendRow(row, again);
  if (!rows.malformed()) HEADWAY_CHECK(again == bytes);
  uint16_t row_count = 0;
  if (size < sizeof(row_count)) return 0;
  std::memcpy(&row_count, data, sizeof(row_count));
  Read(BlockOf(bytes.substr(sizeof(row_count)), row_count));
  return 0;
}
