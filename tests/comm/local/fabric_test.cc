#include "comm/local/fabric.h"

#include <doctest/doctest.h>

#include <atomic>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "tests/comm/local/workers.h"
#include "tests/comm/test_seed.h"
#include "tests/sanitizers.h"

namespace headway::internal {
namespace {

Block* BlockWith(Endpoint& endpoint, uint32_t number) {
  Block* block = endpoint.pool().Get();
  block->record_count = 1;
  std::memcpy(block->payload(), &number, sizeof(number));
  return block;
}

uint32_t NumberIn(const Block* block) {
  uint32_t number = 0;
  std::memcpy(&number, block->payload(), sizeof(number));
  return number;
}

Message Numbered(uint32_t number) {
  return Message::Credited(0, 0, {.process = 0, .bytes = number});
}

TEST_CASE("a message reaches the worker it was sent to, with its sender") {
  Workers workers(3);
  workers[0].Send(2, Message::Credited(4, 5, {.process = 0, .bytes = 6}));
  CHECK_FALSE(workers[1].HasIncoming());
  CHECK(workers[2].HasIncoming());
  int calls = 0;
  CHECK(workers[2].Receive([&](const Message& message, int from) {
    ++calls;
    CHECK(from == 0);
    CHECK(message.dataflow() == 4);
    CHECK(message.channel() == 5);
    CHECK(message.credited().bytes == 6);
    CHECK(message.block() == nullptr);
  }));
  CHECK(calls == 1);
  CHECK_FALSE(workers[2].Receive([](const Message&, int) {}));
}

TEST_CASE("a full ring spills in order, and a flush tells when all of it is sent") {
  Workers workers(2, {.mailbox_messages = 4});
  uint32_t sent = 0;
  uint32_t received = 0;
  const auto receive = [&](const Message& message, int) {
    CHECK(message.credited().bytes == received++);
  };
  for (int i = 0; i < 4; ++i) workers[0].Send(1, Numbered(sent++));
  CHECK(workers[0].Flush());
  for (int i = 0; i < 20; ++i) workers[0].Send(1, Numbered(sent++));
  CHECK_FALSE(workers[0].Flush());
  workers[1].Receive(receive);
  workers[0].Send(1, Numbered(sent++));  // room in the ring, but not before the spill
  while (!workers[0].Flush()) workers[1].Receive(receive);
  workers[1].Receive(receive);
  CHECK(received == sent);
}

TEST_CASE("one call takes a bounded number of messages from a peer") {
  Workers workers(2, {.mailbox_messages = 1024});
  for (int i = 0; i < 600; ++i) workers[0].Send(1, Numbered(0));
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
    workers[0].Send(1, Message::Batch(0, 0, block));
  }
}

TEST_CASE("a closed worker holds up neither messages nor progress of the others") {
  Workers workers(2, {.mailbox_messages = 2, .progress_frames = 2});
  workers[1].Close();
  for (int i = 0; i < 10; ++i) {
    workers[0].Send(1, Message::Batch(0, 0, workers[0].pool().Get()));
    CHECK(workers[0].TryPublishProgress(0, {}));
  }
  CHECK(workers[0].Flush());
}

// Sends `count` blocks from worker 0 to 1, and back if `echo`, `burst` at a time.
void Exchange(Workers& workers, int count, int burst, bool echo) {
  for (int i = 0; i < count; i += burst) {
    for (int j = 0; j < burst; ++j) {
      for (int from = 0; from < (echo ? 2 : 1); ++from) {
        workers[from].Send(1 - from, Message::Batch(0, 0, BlockWith(workers[from], 1)));
      }
    }
    for (int to = 0; to < 2; ++to) {
      std::vector<Block*> taken;  // consumed later, as an operator does
      workers[to].Flush();
      workers[to].Receive([&](const Message& message, int) { taken.push_back(message.block()); });
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

TEST_CASE("many senders to one worker all get their blocks back") {
  constexpr int kWorkers = 8;
  Workers workers(kWorkers);
  const auto rounds = [&](int count) {
    for (int i = 0; i < count; ++i) {
      for (int from = 1; from < kWorkers; ++from) {
        workers[from].Receive([](const Message&, int) {});
        workers[from].Send(0, Message::Batch(0, 0, BlockWith(workers[from], 1)));
      }
      workers[0].Receive([&](const Message& message, int) { workers[0].Recycle(message.block()); });
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
    workers[0].Send(1, Message::Batch(0, 0, block));
    workers[1].Receive([&](const Message& message, int) { workers[1].Recycle(message.block()); });
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

// The counts of a thread of the stress test.
struct Tally {
  int64_t messages = 0;
  int64_t progress = 0;
  int64_t activations = 0;
  int64_t wrong = 0;
};

// Sends numbered blocks and progress to every worker, at random, and receives until everything
// arrived. Sleeps without a limit: a lost wake-up hangs the test.
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
        endpoint.Send(to, Message::Batch(0, 0, BlockWith(endpoint, sent[to]++)));
      }
      sending |= sent[to] < messages;
    }
    if (published < rounds) {
      const std::vector<uint32_t> batch(1 + random() % 40, published);
      published += endpoint.TryPublishProgress(published, std::as_bytes(std::span(batch)));
    }
    endpoint.Receive([&](const Message& message, int from) {
      tally.wrong += NumberIn(message.block()) != received[from]++;
      ++tally.messages;
      endpoint.Recycle(message.block());
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
