#include "engine/store/block.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "comm/codec/codec.h"
#include "comm/codec/stable_hash.h"
#include "doctest/doctest.h"
#include "engine/store/row.h"
#include "engine/store/store.h"
#include "tests/comm/test_seed.h"

namespace headway::internal {
namespace {

using RowKey = std::tuple<uint64_t, std::string, std::string>;
using Rows = std::map<RowKey, std::optional<std::string>>;

Rows RowsOf(const std::vector<StoredBlock>& blocks) {
  Rows rows;
  bool is_ordered = true;
  for (const StoredBlock& block : blocks) {
    absl::StatusOr<BlockReader> reader = BlockReader::Open(block.bytes);
    REQUIRE(reader.ok());
    StateRow row;
    uint32_t count = 0;
    while (reader->Next(&row)) {
      if (count == 0) CHECK(row.hash == block.first_hash);
      RowKey key(row.hash, row.key, row.part);
      is_ordered = is_ordered && (rows.empty() || rows.rbegin()->first < key);
      rows.emplace_hint(rows.end(), std::move(key),
                        row.state ? std::optional<std::string>(*row.state) : std::nullopt);
      ++count;
    }
    CHECK(count == block.row_count);
    CHECK(row.hash == block.last_hash);
  }
  CHECK(is_ordered);
  return rows;
}

std::string Text(std::mt19937_64& random, size_t size) {
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(random() % 4);
  return text;
}

TEST_CASE("blocks hold the last row of each key and part, in order") {
  const uint64_t seed = TestSeed("block_test");
  for (int round = 0; round < 60; ++round) {
    std::mt19937_64 random(seed + static_cast<uint64_t>(round));
    // Few hashes collide, or many; sizes are fixed or not; states are gone or not.
    const uint64_t hashes = round % 3 == 0 ? 5 : ~uint64_t{0};
    const uint64_t key_sizes = random() % 3;
    const uint64_t part_sizes = random() % 3;
    const size_t state_size = random() % 80;
    const uint64_t tombstones = random() % 3;
    Rows expected;
    std::vector<std::string> buffers(1 + random() % 4);
    const size_t count = round % 30 == 0 ? 40000 : random() % 300;
    for (size_t i = 0; i < count; ++i) {
      const std::string key = Text(random, 8 + random() % (1 + key_sizes * 10));
      const std::string part = Text(random, random() % (1 + part_sizes * 3));
      const std::string state = Text(random, round % 2 == 0 ? state_size : random() % 300);
      const bool gone = tombstones == 2 || (tombstones == 1 && random() % 3 == 0);
      StateRow row{random() % hashes, key, part, state};
      if (gone) row.state.reset();
      AppendRow(row, buffers[i * buffers.size() / count]);
      expected[{row.hash, key, part}] = gone ? std::nullopt : std::optional(state);
    }
    const absl::StatusOr<std::vector<StoredBlock>> blocks = BlocksOf(buffers);
    REQUIRE(blocks.ok());
    INFO("round ", round);
    CHECK((RowsOf(*blocks) == expected));
    for (const StoredBlock& block : *blocks) CHECK(block.row_count <= kBlockRowsMax);
  }
}

TEST_CASE("hashes that the keys give are left out") {
  for (const bool strings : {false, true}) {
    std::vector<std::string> buffers(1);
    Rows expected;
    constexpr uint64_t kRows = 10000;
    for (uint64_t i = 0; i < kRows; ++i) {
      Encoder encoder;
      const std::string text(i % 200, static_cast<char>(i));
      if (strings) {
        Codec<std::string>::Encode(text, encoder);
      } else {
        Codec<uint64_t>::Encode(i, encoder);
      }
      const std::string key(reinterpret_cast<const char*>(encoder.bytes().data()), encoder.size());
      const uint64_t hash = strings ? StableHash(text) : StableHash(i);
      AppendRow({hash, key, "", ""}, buffers[0]);
      expected[{hash, key, ""}] = "";
    }
    std::vector<StoredBlock> blocks = *BlocksOf(buffers);
    CHECK((RowsOf(blocks) == expected));
    const auto bytes_of = [](const std::vector<StoredBlock>& all) {
      size_t bytes = 0;
      for (const StoredBlock& block : all) bytes += block.bytes.size();
      return bytes;
    };
    const size_t bytes = bytes_of(blocks);
    // One other hash, and all are stored.
    AppendRow({1, "other", "", ""}, buffers[0]);
    expected[{1, "other", ""}] = "";
    blocks = *BlocksOf(buffers);
    CHECK((RowsOf(blocks) == expected));
    CHECK(bytes_of(blocks) > bytes + 4 * expected.size());
  }
}

TEST_CASE("a block ends at about a mebibyte, and a larger row has one of its own") {
  std::vector<std::string> buffers(1);
  const std::string large(3 * kBlockBytesMax, 'x');
  const std::string half(kBlockBytesMax / 2, 'y');
  AppendRow({1, "a", "", half}, buffers[0]);
  AppendRow({2, "b", "", large}, buffers[0]);
  AppendRow({3, "c", "", half}, buffers[0]);
  AppendRow({4, "d", "", half}, buffers[0]);
  const absl::StatusOr<std::vector<StoredBlock>> blocks = BlocksOf(buffers);
  REQUIRE(blocks.ok());
  std::vector<uint32_t> counts;
  for (const StoredBlock& block : *blocks) counts.push_back(block.row_count);
  CHECK(counts == std::vector<uint32_t>{1, 1, 1, 1});
  CHECK(RowsOf(*blocks).at({2, "b", ""}) == large);
}

TEST_CASE("rows without changes make no blocks") {
  CHECK(BlocksOf({})->empty());
  CHECK(BlocksOf({"", ""})->empty());
}

TEST_CASE("a malformed buffer of rows is refused") {
  std::string buffer;
  AppendRow({1, "key", "part", "state"}, buffer);
  for (size_t size = 1; size < buffer.size(); ++size) {
    CHECK(BlocksOf({buffer.substr(0, size)}).status().code() == absl::StatusCode::kDataLoss);
  }
}

TEST_CASE("equal bytes of neighbouring keys and states are compressed") {
  // Counters of 16 bytes under keys of 8 bytes: most of their bytes are equal from row to row.
  std::vector<std::string> buffers(1);
  constexpr uint64_t kRows = 100000;
  for (uint64_t i = 0; i < kRows; ++i) {
    const uint64_t state[2] = {i % 1000, 1700000000000 + i % 1000};
    AppendRow({StableHash(i),
               {reinterpret_cast<const char*>(&i), sizeof(i)},
               "",
               std::string_view(reinterpret_cast<const char*>(state), sizeof(state))},
              buffers[0]);
  }
  const absl::StatusOr<std::vector<StoredBlock>> blocks = BlocksOf(buffers);
  REQUIRE(blocks.ok());
  size_t bytes = 0;
  for (const StoredBlock& block : *blocks) bytes += block.bytes.size();
  CHECK(bytes < kRows * 14);
}

std::string SmallBlock() {
  std::vector<std::string> buffers(1);
  for (uint64_t i = 0; i < 100; ++i) {
    const std::string key = std::to_string(i);
    StateRow row{i << 50, key, i % 2 == 0 ? "" : "part", key};
    if (i % 5 == 0) row.state.reset();
    AppendRow(row, buffers[0]);
  }
  return BlocksOf(buffers)->front().bytes;
}

TEST_CASE("a block with a wrong bit or a missing end is refused") {
  const std::string block = SmallBlock();
  REQUIRE(BlockReader::Open(block).ok());
  for (size_t size = 0; size < block.size(); ++size) {
    CHECK(BlockReader::Open(block.substr(0, size)).status().code() == absl::StatusCode::kDataLoss);
  }
  for (size_t bit = 0; bit < 8 * block.size(); ++bit) {
    std::string wrong = block;
    wrong[bit / 8] = static_cast<char>(wrong[bit / 8] ^ (1 << (bit % 8)));
    CHECK(!BlockReader::Open(wrong).ok());
  }
}

TEST_CASE("a block of a newer version is refused with a sentence") {
  std::string block = SmallBlock();
  block[4] = 2;
  const absl::Status status = BlockReader::Open(block).status();
  CHECK(status.code() == absl::StatusCode::kFailedPrecondition);
  CHECK(status.message() ==
        "the block has version 2, and this program reads versions up to 1: use a newer version of "
        "Headway");
}

}  // namespace
}  // namespace headway::internal
