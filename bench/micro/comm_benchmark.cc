// The parts that workers of a process share: mailboxes, progress logs, free lists, and waking.

#include <benchmark/benchmark.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "comm/local/broadcast_log.h"
#include "comm/local/mailbox.h"
#include "comm/local/parker.h"
#include "comm/memory/block_pool.h"

namespace headway::internal {
namespace {

// Sends and receives on one thread: the instructions without traffic of cache lines.
void BM_MailboxOneThread(benchmark::State& state) {
  Mailbox mailbox;
  Message message;
  for (auto _ : state) {
    mailbox.TrySend(message);
    benchmark::DoNotOptimize(mailbox.TryReceive(&message));
  }
}
BENCHMARK(BM_MailboxOneThread);

// A message goes to another thread and another one comes back. Both threads spin.
void BM_MailboxRoundTrip(benchmark::State& state) {
  Mailbox there;
  Mailbox back;
  std::atomic<bool> stop{false};
  std::thread echo([&] {
    Message message;
    while (!stop.load(std::memory_order_relaxed)) {
      if (there.TryReceive(&message)) back.TrySend(message);
    }
  });
  Message message;
  for (auto _ : state) {
    there.TrySend(message);
    while (!back.TryReceive(&message)) {
    }
  }
  stop = true;
  echo.join();
}
BENCHMARK(BM_MailboxRoundTrip)->UseRealTime();

// A stream of messages to another thread.
void BM_MailboxThroughput(benchmark::State& state) {
  Mailbox mailbox;
  std::atomic<bool> stop{false};
  std::thread receiver([&] {
    Message message;
    while (!stop.load(std::memory_order_relaxed)) mailbox.TryReceive(&message);
  });
  Message message;
  for (auto _ : state) {
    while (!mailbox.TrySend(message)) {
    }
  }
  stop = true;
  receiver.join();
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_MailboxThroughput)->UseRealTime();

// Publishes an entry of a given size and reads it with a given number of readers, on one thread.
void BM_BroadcastLog(benchmark::State& state) {
  const std::vector<std::byte> entry(static_cast<size_t>(state.range(0)));
  const int readers = static_cast<int>(state.range(1));
  BroadcastLog log(readers);
  for (auto _ : state) {
    log.TryPublish(0, entry);
    for (int reader = 0; reader < readers; ++reader) {
      uint32_t dataflow = 0;
      std::span<const std::byte> bytes;
      benchmark::DoNotOptimize(log.reader(reader).TryRead(&dataflow, &bytes));
      log.reader(reader).Release();
    }
  }
}
BENCHMARK(BM_BroadcastLog)->Args({32, 1})->Args({48, 1})->Args({480, 1})->Args({32, 7});

// An entry goes to another thread, which answers with an entry in its own log. Both threads spin.
// It is the lower bound of a barrier between two workers.
void BM_BroadcastLogRoundTrip(benchmark::State& state) {
  std::array<std::byte, 32> entry = {};
  BroadcastLog there(1);
  BroadcastLog back(1);
  std::atomic<bool> stop{false};
  std::thread echo([&] {
    uint32_t dataflow = 0;
    std::span<const std::byte> bytes;
    while (!stop.load(std::memory_order_relaxed)) {
      if (!there.reader(0).TryRead(&dataflow, &bytes)) continue;
      back.TryPublish(dataflow, bytes);
      there.reader(0).Release();
    }
  });
  uint32_t dataflow = 0;
  std::span<const std::byte> bytes;
  for (auto _ : state) {
    there.TryPublish(0, entry);
    while (!back.reader(0).TryRead(&dataflow, &bytes)) {
    }
    back.reader(0).Release();
  }
  stop = true;
  echo.join();
}
BENCHMARK(BM_BroadcastLogRoundTrip)->UseRealTime();

// Takes a number of blocks, writes a line of each, and returns them.
void BM_BlockPool(benchmark::State& state) {
  BlockPool pool;
  std::vector<Block*> blocks(static_cast<size_t>(state.range(0)));
  for (auto _ : state) {
    for (Block*& block : blocks) {
      block = pool.Get();
      *block->payload() = std::byte{1};
    }
    for (Block* block : blocks) pool.Put(block);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_BlockPool)->Arg(1)->Arg(16)->Arg(256);

// The same with blocks from the heap, to show the gain of recycling.
void BM_BlocksFromHeap(benchmark::State& state) {
  std::vector<Block*> blocks(static_cast<size_t>(state.range(0)));
  for (auto _ : state) {
    BlockPool pool;
    for (Block*& block : blocks) {
      block = pool.Get();
      *block->payload() = std::byte{1};
    }
    for (Block* block : blocks) pool.Put(block);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_BlocksFromHeap)->Arg(16)->Arg(256);

// Unpark of a thread that is awake: the cost of every message to a busy worker.
void BM_UnparkAwake(benchmark::State& state) {
  Parker parker;
  for (auto _ : state) parker.Unpark();
}
BENCHMARK(BM_UnparkAwake);

// Wakes a parked thread and waits, parked, for its answer: two wake-ups.
void BM_ParkedRoundTrip(benchmark::State& state) {
  Parker here;
  Parker there;
  std::atomic<uint64_t> asked{0};
  std::atomic<uint64_t> answered{0};
  std::atomic<bool> stop{false};
  std::thread echo([&] {
    uint64_t done = 0;
    while (!stop.load(std::memory_order_acquire)) {
      if (asked.load(std::memory_order_acquire) == done) {
        there.Park(std::nullopt, [&] {
          return asked.load(std::memory_order_relaxed) != done ||
                 stop.load(std::memory_order_relaxed);
        });
        continue;
      }
      answered.store(++done, std::memory_order_release);
      here.Unpark();
    }
  });
  uint64_t round = 0;
  for (auto _ : state) {
    asked.store(++round, std::memory_order_release);
    there.Unpark();
    while (answered.load(std::memory_order_acquire) != round) {
      here.Park(std::nullopt, [&] { return answered.load(std::memory_order_relaxed) == round; });
    }
  }
  stop.store(true, std::memory_order_release);
  there.Unpark();
  echo.join();
}
BENCHMARK(BM_ParkedRoundTrip)->UseRealTime();

}  // namespace
}  // namespace headway::internal
