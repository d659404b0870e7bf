#include "comm/memory/slab.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "comm/memory/block_pool.h"

namespace headway::internal {
namespace {

struct PoolRelease {
  void operator()(SlabPool* pool) const { pool->Release(); }
};
using Pool = std::unique_ptr<SlabPool, PoolRelease>;

TEST_CASE("a slab is aligned, has the usual size at least, and is used again") {
  Pool pool(SlabPool::Create());
  Slab* slab = pool->Get();
  CHECK(slab->capacity() == SlabPool::kSlabBytes);
  CHECK(reinterpret_cast<uintptr_t>(slab->data()) % 64 == 0);
  CHECK(slab->Unshared());
  CHECK(pool->outstanding() == 1);
  slab->Unref();
  CHECK(pool->outstanding() == 0);
  Slab* again = pool->Get(100);
  CHECK(again == slab);
  CHECK(again->Unshared());
  Slab* large = pool->Get(SlabPool::kSlabBytes + 64);
  CHECK(large->capacity() == SlabPool::kSlabBytes + 64);
  large->Unref();
  again->Unref();
  CHECK(pool->outstanding() == 0);
}

TEST_CASE("a block that lies in a slab keeps it until the block is freed, on any thread") {
  Pool pool(SlabPool::Create());
  Slab* slab = pool->Get();
  std::byte* payload = slab->data() + Slab::kHeadroomBytes;
  std::memset(payload, 7, 64);
  Block* block = slab->PlaceBlock(payload, 64);
  CHECK(block->payload() == payload);
  CHECK(block->capacity == 64);
  CHECK(block->in_slab);
  CHECK(block->record_count == 0);
  CHECK(Slab::Of(block) == slab);
  CHECK_FALSE(slab->Unshared());
  slab->Unref();
  CHECK(pool->outstanding() == 1);
  CHECK(payload[63] == std::byte{7});
  std::thread(BlockPool::FreeBlock, block).join();
  CHECK(pool->outstanding() == 0);
}

TEST_CASE("slabs outlive the owner of their pool") {
  SlabPool* pool = SlabPool::Create();
  Slab* slab = pool->Get();
  Slab* other = pool->Get();
  other->Unref();
  pool->Release();
  std::memset(slab->data(), 1, slab->capacity());
  slab->Unref();  // the address sanitizer sees a use after free, or a leak
}

TEST_CASE("blocks of one slab are freed by many threads") {
  Pool pool(SlabPool::Create());
  constexpr int kThreads = 4;
  constexpr size_t kBlocks = 400;
  Slab* slab = pool->Get();
  std::vector<std::vector<Block*>> blocks(kThreads);
  for (size_t i = 0; i < kBlocks; ++i) {
    blocks[i % kThreads].push_back(slab->PlaceBlock(slab->data() + 128 + i * 192, 64));
  }
  slab->Unref();
  std::vector<std::thread> threads;
  for (const auto& mine : blocks) {
    threads.emplace_back([&mine] {
      for (Block* block : mine) BlockPool::FreeBlock(block);
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(pool->outstanding() == 0);
}

}  // namespace
}  // namespace headway::internal
