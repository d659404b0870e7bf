#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

#include "comm/local/fabric.h"
#include "tests/comm/local/workers.h"

// Batches of a few records, which travel in their message.

namespace headway::internal {
namespace {

// A block with `numbers` 8-byte records and the time {7, 8}.
Block* PlainBlock(Endpoint& endpoint, uint32_t numbers) {
  Block* block = endpoint.pool().Get();
  block->record_count = numbers;
  block->charged_bytes = 1000 + numbers;
  block->sender = 3;
  block->SetTime(std::array<uint64_t, 2>{7, 8});
  for (uint64_t i = 0; i < numbers; ++i) std::memcpy(block->payload() + i * 8, &i, 8);
  return block;
}

void CheckPlainBlock(const Block& block, uint32_t numbers) {
  CHECK(block.record_count == numbers);
  CHECK(block.charged_bytes == 1000 + numbers);
  CHECK(block.sender == 3);
  CHECK(block.Time<std::array<uint64_t, 2>>() == std::array<uint64_t, 2>{7, 8});
  for (uint64_t i = 0; i < numbers; ++i) {
    uint64_t number = 0;
    std::memcpy(&number, block.payload() + i * 8, 8);
    CHECK(number == i);
  }
}

TEST_CASE("a small plain batch arrives in a block of the receiver, a larger one in its own") {
  Workers workers(2, {.mailbox_messages = 2});
  for (uint32_t numbers : {1, 2, 8, 9, 100}) {
    CAPTURE(numbers);
    const bool is_small = 16 + numbers * 8 <= SmallBatch::kBytes;
    Block* const sent = PlainBlock(workers[0], numbers);
    const size_t free = workers[0].pool().free_count();
    workers[0].SendPlainBatch(1, Message::Batch(4, 5, sent), 16, numbers * 8);
    CHECK(workers[0].pool().free_count() == free + (is_small ? 1 : 0));
    CHECK(workers[0].Flush());
    int calls = 0;
    workers[1].Receive([&](const Message& message, int from) {
      ++calls;
      CHECK(from == 0);
      CHECK(message.kind() == MessageKind::kBatch);
      CHECK(message.dataflow() == 4);
      CHECK(message.channel() == 5);
      CHECK((message.block() == sent) == !is_small);
      CheckPlainBlock(*message.block(), numbers);
      workers[1].Recycle(message.block());
    });
    CHECK(calls == 1);
  }
}

TEST_CASE("small batches wait in order with the others while the ring is full") {
  Workers workers(2, {.mailbox_messages = 2});
  uint32_t sent = 0;
  const auto send = [&] {
    const uint32_t numbers = 1 + sent++ % 12;  // the last of them are too many to be small
    Block* block = PlainBlock(workers[0], numbers);
    workers[0].SendPlainBatch(1, Message::Batch(0, 0, block), 16, block->record_count * 8);
  };
  uint32_t received = 0;
  const auto receive = [&](const Message& message, int) {
    CheckPlainBlock(*message.block(), 1 + received++ % 12);
    workers[1].Recycle(message.block());
  };
  for (int i = 0; i < 30; ++i) send();
  CHECK_FALSE(workers[0].Flush());
  workers[1].Receive(receive);
  send();  // room in the ring, but waiting batches go first
  while (!workers[0].Flush()) workers[1].Receive(receive);
  workers[1].Receive(receive);
  CHECK(received == sent);
}

TEST_CASE("small batches in one direction allocate one block at the receiver") {
  Workers workers(2);
  for (int i = 0; i < 1000; ++i) {
    Block* block = PlainBlock(workers[0], 1);
    workers[0].SendPlainBatch(1, Message::Batch(0, 0, block), 16, block->record_count * 8);
    workers[0].Flush();
    workers[1].Receive([&](const Message& message, int) { workers[1].Recycle(message.block()); });
  }
  CHECK(workers[0].pool().allocated() == 1);
  CHECK(workers[1].pool().allocated() == 1);
}

TEST_CASE("a backlog of small batches does not keep its memory") {
  Workers workers(2, {.mailbox_messages = 4096});
  for (int burst = 0; burst < 3; ++burst) {
    std::vector<Block*> backlog;
    for (int i = 0; i < 2000; ++i) {
      Block* block = PlainBlock(workers[0], 1);
      workers[0].SendPlainBatch(1, Message::Batch(0, 0, block), 16, block->record_count * 8);
    }
    const auto keep = [&](const Message& message, int) { backlog.push_back(message.block()); };
    while (workers[1].Receive(keep)) continue;
    REQUIRE(backlog.size() == 2000);
    for (Block* block : backlog) workers[1].Recycle(block);
    CHECK(workers[1].pool().free_count() <= Endpoint::kReceiveBudget + 32);
  }
  CHECK(workers[0].pool().allocated() == 1);
}

}  // namespace
}  // namespace headway::internal
