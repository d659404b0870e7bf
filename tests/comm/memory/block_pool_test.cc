#include "comm/memory/block_pool.h"

#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <vector>

namespace headway::internal {
namespace {

TEST_CASE("a block keeps its time and its payload is aligned to 64 bytes") {
  BlockPool pool;
  Block* block = pool.Get();
  const std::array<uint64_t, 4> time = {1, 2, 3, UINT64_MAX};
  block->SetTime(time);
  CHECK(block->Time<std::array<uint64_t, 4>>() == time);
  CHECK(reinterpret_cast<uintptr_t>(block->payload()) % 64 == 0);
  CHECK(block->capacity == kBlockPayloadBytes);
  pool.Put(block);
}

TEST_CASE("a block that would be too large for 32 bits is refused") {
  BlockPool pool;
  CHECK_THROWS_AS(pool.GetAtLeast(size_t{1} << 31), BlockTooLarge);
  CHECK_THROWS_AS(pool.GetTight(SIZE_MAX - 1), BlockTooLarge);
}

TEST_CASE("a block list is first in, first out, and appending moves everything") {
  BlockPool pool;
  std::vector<Block*> blocks;
  for (int i = 0; i < 6; ++i) blocks.push_back(pool.Get());
  BlockList first;
  BlockList second;
  CHECK(first.PopFront() == nullptr);
  first.Append(&second);
  CHECK(first.empty());
  for (int i = 0; i < 3; ++i) first.PushBack(blocks[i]);
  for (int i = 3; i < 6; ++i) second.PushBack(blocks[i]);
  first.Append(&second);
  CHECK(second.empty());
  CHECK(second.count() == 0);
  BlockList moved = std::move(first);
  CHECK(moved.count() == 6);
  for (int i = 0; i < 6; ++i) {
    Block* block = moved.PopFront();
    CHECK(block == blocks[i]);
    CHECK(block->next == nullptr);
    pool.Put(block);
  }
  CHECK(moved.empty());
}

TEST_CASE("a block that was returned is reused, empty, and costs no allocation") {
  BlockPool pool;
  Block* block = pool.Get();
  block->record_count = 7;
  block->charged_bytes = 56;
  pool.Put(block);
  for (int i = 0; i < 100; ++i) {
    Block* again = pool.Get();
    CHECK(again == block);
    CHECK(again->record_count == 0);
    CHECK(again->charged_bytes == 0);
    CHECK(again->next == nullptr);
    pool.Put(again);
  }
  CHECK(pool.allocated() == 1);
}

TEST_CASE("a large block has room for what was asked and is not kept") {
  BlockPool pool;
  for (size_t bytes : {size_t{1}, kBlockPayloadBytes, kBlockPayloadBytes + 1, size_t{1} << 20}) {
    Block* block = pool.GetAtLeast(bytes);
    CHECK(block->capacity >= bytes);
    block->payload()[block->capacity - 1] = std::byte{1};
    pool.Put(block);
  }
  CHECK(pool.free_count() == 1);
  CHECK(pool.allocated() == 3);
}

TEST_CASE(
    "a tight block has the memory that was asked for, in whole cache lines, and is not kept") {
  BlockPool pool;
  for (size_t bytes : {size_t{1}, size_t{64}, size_t{65}, size_t{5'000}, size_t{1} << 20}) {
    Block* block = pool.GetTight(bytes);
    CHECK(block->capacity >= bytes);
    CHECK(block->capacity < bytes + 64);
    CHECK(block->capacity % 64 == 0);
    block->payload()[block->capacity - 1] = std::byte{1};
    pool.Put(block);
  }
  CHECK(pool.free_count() == 0);
}

TEST_CASE("trimming halves the free list down to sixteen blocks") {
  BlockPool pool;
  BlockList list;
  for (int i = 0; i < 100; ++i) list.PushBack(pool.Get());
  while (Block* block = list.PopFront()) pool.Put(block);
  for (size_t expected : {50, 25, 16, 16}) {
    pool.Trim();
    CHECK(pool.free_count() == expected);
  }
}

TEST_CASE("a block may return to another pool than its own") {
  BlockPool second;
  {
    BlockPool first;
    second.Put(first.Get());
  }
  CHECK(second.free_count() == 1);
  second.Put(second.Get());
  CHECK(second.allocated() == 0);
}

}  // namespace
}  // namespace headway::internal
