#include "headway/comm/fabric.h"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cstring>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "headway/tests/comm/test_seed.h"
#include "headway/tests/sanitizers.h"

namespace headway::internal {
namespace {

constexpr uint32_t kData = 1;

// The endpoints of a whole process, for tests that play all workers on one thread.
struct Workers {
  explicit Workers(int count, Fabric::Options options = {}) : fabric(count, options) {
    for (int i = 0; i < count; ++i) endpoints.push_back(std::make_unique<Endpoint>(&fabric, i));
  }
  Endpoint& operator[](int i) { return *endpoints[i]; }

  Fabric fabric;
  std::vector<std::unique_ptr<Endpoint>> endpoints;
};

Block* BlockWith(Endpoint& endpoint, uint32_t number) {
  Block* block = endpoint.pool().Get();
  block->record_count = 1;
  block->byte_count = sizeof(number);
  std::memcpy(block->payload(), &number, sizeof(number));
  return block;
}

uint32_t NumberIn(const Block* block) {
  uint32_t number = 0;
  std::memcpy(&number, block->payload(), sizeof(number));
  return number;
}

TEST_CASE("a message reaches the worker it was sent to, with its sender") {
  Workers workers(3);
  workers[0].Send(2, {.kind = kData, .dataflow = 4, .channel = 5, .extra = 6});
  CHECK_FALSE(workers[1].HasIncoming());
  CHECK(workers[2].HasIncoming());
  int calls = 0;
  CHECK(workers[2].Receive([&](const Message& message, int from) {
    ++calls;
    CHECK(from == 0);
    CHECK(message.dataflow == 4);
    CHECK(message.channel == 5);
    CHECK(message.extra == 6);
    CHECK(message.block == nullptr);
  }));
  CHECK(calls == 1);
  CHECK_FALSE(workers[2].Receive([](const Message&, int) {}));
}

TEST_CASE("a full ring spills in order, and a flush tells when all of it is sent") {
  Workers workers(2, {.mailbox_messages = 4});
  uint32_t sent = 0;
  uint32_t received = 0;
  const auto receive = [&](const Message& message, int) { CHECK(message.extra == received++); };
  for (int i = 0; i < 4; ++i) workers[0].Send(1, {.kind = kData, .extra = sent++});
  CHECK(workers[0].Flush());
  for (int i = 0; i < 20; ++i) workers[0].Send(1, {.kind = kData, .extra = sent++});
  CHECK_FALSE(workers[0].Flush());
  workers[1].Receive(receive);
  workers[0].Send(1,
                  {.kind = kData, .extra = sent++});  // room in the ring, but not before the spill
  while (!workers[0].Flush()) workers[1].Receive(receive);
  workers[1].Receive(receive);
  CHECK(received == sent);
}

TEST_CASE("one call takes a bounded number of messages from a peer") {
  Workers workers(2, {.mailbox_messages = 1024});
  for (int i = 0; i < 600; ++i) workers[0].Send(1, {.kind = kData});
  int received = 0;
  const auto receive = [&](const Message&, int) { ++received; };
  CHECK(workers[1].Receive(receive));
  CHECK(received == Endpoint::kReceiveBudget);
  while (workers[1].Receive(receive)) continue;
  CHECK(received == 600);
}

TEST_CASE("blocks that nobody received are freed, chains included") {
  // The address sanitizer is the judge.
  Workers workers(2, {.mailbox_messages = 2});
  for (int i = 0; i < 5; ++i) {
    Block* block = workers[0].pool().Get();
    block->next = workers[0].pool().GetAtLeast(100'000);
    workers[0].Send(1, {.kind = kData, .block = block});
  }
}

TEST_CASE("a closed worker holds up neither messages nor progress of the others") {
  Workers workers(2, {.mailbox_messages = 2, .progress_frames = 2});
  workers[1].Close();
  for (int i = 0; i < 10; ++i) {
    workers[0].Send(1, {.kind = kData, .block = workers[0].pool().Get()});
    CHECK(workers[0].TryPublishProgress(0, {}));
  }
  CHECK(workers[0].Flush());
}

// Sends `count` blocks from worker 0 to 1, and back if `echo`, `burst` at a time.
void Exchange(Workers& workers, int count, int burst, bool echo) {
  for (int i = 0; i < count; i += burst) {
    for (int j = 0; j < burst; ++j) {
      for (int from = 0; from < (echo ? 2 : 1); ++from) {
        workers[from].Send(1 - from, {.kind = kData, .block = BlockWith(workers[from], 1)});
      }
    }
    for (int to = 0; to < 2; ++to) {
      std::vector<Block*> taken;  // consumed later, as an operator does
      workers[to].Flush();
      workers[to].Receive([&](const Message& message, int) { taken.push_back(message.block); });
      for (Block* block : taken) workers[to].Recycle(block);
    }
  }
}

TEST_CASE("traffic in one direction allocates nothing after a warm-up, in bursts too") {
  for (int burst : {1, 10, 200}) {
    Workers workers(2);
    Exchange(workers, 4 * burst + 100, burst, false);
    const uint64_t allocated = workers[0].pool().allocated();
    CHECK(allocated <= static_cast<uint64_t>(2 * burst + 64));
    Exchange(workers, Repeated(100, 20) * burst, burst, false);
    CHECK(workers[0].pool().allocated() == allocated);
    CHECK(workers[1].pool().allocated() == 0);
  }
}

TEST_CASE("equal traffic both ways returns no blocks and allocates nothing") {
  Workers workers(2);
  Exchange(workers, 1000, 10, true);
  const uint64_t allocated = workers[0].pool().allocated() + workers[1].pool().allocated();
  Exchange(workers, Repeated(10'000, 2'000), 10, true);
  CHECK(workers[0].pool().allocated() + workers[1].pool().allocated() == allocated);
  CHECK(workers[0].pool().free_count() + workers[1].pool().free_count() == allocated);
  CHECK(workers.fabric.mailbox(0, 1).empty());
  CHECK(workers.fabric.mailbox(1, 0).empty());
}

// A block with `numbers` 8-byte records and the time {7, 8}.
Block* PlainBlock(Endpoint& endpoint, uint32_t numbers) {
  Block* block = endpoint.pool().Get();
  block->record_count = numbers;
  block->byte_count = numbers * 8;
  block->sender = 3;
  block->SetTime(std::array<uint64_t, 2>{7, 8});
  for (uint64_t i = 0; i < numbers; ++i) std::memcpy(block->payload() + i * 8, &i, 8);
  return block;
}

void CheckPlainBlock(const Block& block, uint32_t numbers) {
  CHECK(block.record_count == numbers);
  CHECK(block.byte_count == numbers * 8);
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
    workers[0].SendPlainBatch(1, {.kind = kData, .dataflow = 4, .channel = 5, .block = sent}, 16,
                              sent->byte_count);
    CHECK(workers[0].pool().free_count() == free + (is_small ? 1 : 0));
    CHECK(workers[0].Flush());
    int calls = 0;
    workers[1].Receive([&](const Message& message, int from) {
      ++calls;
      CHECK(from == 0);
      CHECK(message.kind == kData);
      CHECK(message.dataflow == 4);
      CHECK(message.channel == 5);
      CHECK((message.block == sent) == !is_small);
      CheckPlainBlock(*message.block, numbers);
      workers[1].Recycle(message.block);
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
    workers[0].SendPlainBatch(1, {.kind = kData, .block = block}, 16, block->byte_count);
  };
  uint32_t received = 0;
  const auto receive = [&](const Message& message, int) {
    CheckPlainBlock(*message.block, 1 + received++ % 12);
    workers[1].Recycle(message.block);
  };
  for (int i = 0; i < 30; ++i) send();
  CHECK_FALSE(workers[0].Flush());
  workers[1].Receive(receive);
  send();  // room in the ring, but not before what waits
  while (!workers[0].Flush()) workers[1].Receive(receive);
  workers[1].Receive(receive);
  CHECK(received == sent);
}

TEST_CASE("small batches in one direction allocate one block at the receiver") {
  Workers workers(2);
  for (int i = 0; i < 1000; ++i) {
    Block* block = PlainBlock(workers[0], 1);
    workers[0].SendPlainBatch(1, {.kind = kData, .block = block}, 16, block->byte_count);
    workers[0].Flush();
    workers[1].Receive([&](const Message& message, int) { workers[1].Recycle(message.block); });
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
      workers[0].SendPlainBatch(1, {.kind = kData, .block = block}, 16, block->byte_count);
    }
    const auto keep = [&](const Message& message, int) { backlog.push_back(message.block); };
    while (workers[1].Receive(keep)) continue;
    REQUIRE(backlog.size() == 2000);
    for (Block* block : backlog) workers[1].Recycle(block);
    CHECK(workers[1].pool().free_count() <= Endpoint::kReceiveBudget + 32);
  }
  CHECK(workers[0].pool().allocated() == 1);
}

TEST_CASE("many senders to one worker all get their blocks back") {
  constexpr int kWorkers = 8;
  Workers workers(kWorkers);
  const auto rounds = [&](int count) {
    for (int i = 0; i < count; ++i) {
      for (int from = 1; from < kWorkers; ++from) {
        workers[from].Receive([](const Message&, int) {});
        workers[from].Send(0, {.kind = kData, .block = BlockWith(workers[from], 1)});
      }
      workers[0].Receive([&](const Message& message, int) { workers[0].Recycle(message.block); });
    }
  };
  const auto allocated = [&] {
    uint64_t sum = 0;
    for (int i = 0; i < kWorkers; ++i) sum += workers[i].pool().allocated();
    return sum;
  };
  rounds(1000);
  const uint64_t before = allocated();
  rounds(Repeated(10'000, 2'000));
  CHECK(allocated() == before);
}

TEST_CASE("large blocks are freed by their consumer and owed to nobody") {
  Workers workers(2);
  for (int i = 0; i < 100; ++i) {
    Block* block = workers[0].pool().GetAtLeast(kBlockPayloadBytes + 1);
    workers[0].Send(1, {.kind = kData, .block = block});
    workers[1].Receive([&](const Message& message, int) { workers[1].Recycle(message.block); });
  }
  CHECK(workers[1].pool().free_count() == 0);
  CHECK_FALSE(workers[0].HasIncoming());
}

TEST_CASE("progress reaches all other workers and stops at a slow one") {
  Workers workers(3, {.progress_frames = 4});
  const std::vector<std::byte> bytes(32, std::byte{7});
  int published = 0;
  while (workers[0].TryPublishProgress(9, bytes)) ++published;
  CHECK(published == 4);
  const auto expect = [&](int worker) {
    int received = 0;
    workers[worker].ReceiveProgress(
        [&](int from, uint32_t dataflow, std::span<const std::byte> got) {
          ++received;
          CHECK(from == 0);
          CHECK(dataflow == 9);
          CHECK(std::equal(got.begin(), got.end(), bytes.begin(), bytes.end()));
        });
    CHECK(received == 4);
  };
  expect(1);
  CHECK_FALSE(workers[0].TryPublishProgress(9, bytes));
  expect(2);
  CHECK(workers[0].TryPublishProgress(9, bytes));
  CHECK(workers[1].HasIncoming());
  CHECK_FALSE(workers[0].HasIncoming());
}

TEST_CASE("an activation is delivered once, however often it was asked for") {
  Workers workers(2);
  for (uint64_t token : {5, 3, 5, 5, 3, 8}) workers[1].ActivateFromAnyThread(token);
  CHECK(workers[1].HasIncoming());
  CHECK_FALSE(workers[0].HasIncoming());
  std::vector<uint64_t> tokens = {99};
  CHECK(workers[1].TakeActivations(&tokens));
  CHECK(tokens == std::vector<uint64_t>{5, 3, 8});
  CHECK_FALSE(workers[1].TakeActivations(&tokens));
  CHECK(tokens.empty());
  workers.fabric.Activate(1, 5);
  CHECK(workers[1].TakeActivations(&tokens));
  CHECK(tokens == std::vector<uint64_t>{5});
}

TEST_CASE("a worker alone has nobody to talk to and still parks and recycles") {
  Workers workers(1);
  workers[0].Recycle(workers[0].pool().Get());
  CHECK(workers[0].TryPublishProgress(0, {}));
  CHECK(workers[0].Flush());
  workers[0].Park(std::chrono::nanoseconds(0));
  workers[0].ActivateFromAnyThread(1);
  workers[0].Park(std::nullopt);
}

// What a thread of the stress test counts.
struct Tally {
  int64_t messages = 0;
  int64_t progress = 0;
  int64_t activations = 0;
  int64_t wrong = 0;
};

// Sends numbered blocks and progress to everybody, at random, and takes what comes until everything
// came. Sleeps without a limit: a lost wake-up hangs the test.
Tally RunWorker(Fabric* fabric, int me, uint64_t seed, uint32_t messages, uint32_t rounds,
                std::atomic<int>* finished) {
  std::mt19937_64 random(seed + static_cast<uint64_t>(me));
  Endpoint endpoint(fabric, me);
  const int workers = endpoint.worker_count();
  std::vector<uint32_t> sent(workers);
  std::vector<uint32_t> received(workers);
  std::vector<uint32_t> progress_received(workers);
  uint32_t published = 0;
  Tally tally;
  std::vector<uint64_t> tokens;
  sent[me] = messages;
  const int64_t expected_messages = static_cast<int64_t>(messages) * (workers - 1);
  const int64_t expected_progress = static_cast<int64_t>(rounds) * (workers - 1);
  bool said = false;
  while (finished->load() < workers) {
    bool sending = published < rounds;
    for (int to = 0; to < workers; ++to) {
      for (uint64_t burst = random() % 40; burst > 0 && sent[to] < messages; --burst) {
        endpoint.Send(to, {.kind = kData, .block = BlockWith(endpoint, sent[to]++)});
      }
      sending |= sent[to] < messages;
    }
    if (published < rounds) {
      const std::vector<uint32_t> batch(1 + random() % 40, published);
      published += endpoint.TryPublishProgress(published, std::as_bytes(std::span(batch)));
    }
    endpoint.Receive([&](const Message& message, int from) {
      tally.wrong += NumberIn(message.block) != received[from]++;
      ++tally.messages;
      endpoint.Recycle(message.block);
    });
    endpoint.ReceiveProgress([&](int from, uint32_t number, std::span<const std::byte> bytes) {
      uint32_t first = 0;
      std::memcpy(&first, bytes.data(), sizeof(first));
      tally.wrong += number != progress_received[from] || first != number;
      ++progress_received[from];
      ++tally.progress;
    });
    if (endpoint.TakeActivations(&tokens)) {
      tally.activations += static_cast<int64_t>(tokens.size());
    }
    if (!said && !sending && endpoint.Flush() && tally.messages == expected_messages &&
        tally.progress == expected_progress) {
      said = true;
      if (finished->fetch_add(1) + 1 == workers) endpoint.WakeAll();
    }
    if (sending) {
      endpoint.Flush();
    } else {
      endpoint.Park(std::nullopt, [&] { return finished->load() == workers; });
    }
  }
  endpoint.Flush();
  tally.wrong += endpoint.pool().free_count() > 16 * messages;
  return tally;
}

TEST_CASE("workers that send at random lose, repeat and reorder nothing and always wake") {
  const uint64_t seed = TestSeed("fabric stress");
  for (int workers : {2, 3, 4}) {
    constexpr uint32_t kMessages = Repeated(4'000, 1'000);
    constexpr uint32_t kRounds = Repeated(2'000, 500);
    Fabric fabric(workers, {.mailbox_messages = 16, .progress_frames = 8});
    std::atomic<int> finished{0};
    std::vector<Tally> tallies(workers);
    std::vector<std::thread> threads;
    for (int me = 0; me < workers; ++me) {
      threads.emplace_back(
          [&, me] { tallies[me] = RunWorker(&fabric, me, seed, kMessages, kRounds, &finished); });
    }
    for (uint64_t i = 0; i < 1000; ++i) {
      fabric.Activate(static_cast<int>(i % static_cast<uint64_t>(workers)), i % 5);
    }
    for (std::thread& thread : threads) thread.join();
    for (const Tally& tally : tallies) {
      CHECK(tally.wrong == 0);
      CHECK(tally.messages == int64_t{kMessages} * (workers - 1));
      CHECK(tally.progress == int64_t{kRounds} * (workers - 1));
      CHECK(tally.activations <= 1000);
    }
  }
}

}  // namespace
}  // namespace headway::internal
