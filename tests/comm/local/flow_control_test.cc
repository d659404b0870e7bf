#include "comm/local/flow_control.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "comm/local/fabric.h"

namespace headway::internal {
namespace {

TEST_CASE("bytes are in flight from being sent to being taken, by whomever") {
  FlowControl flow(3, 1000);
  flow.AddSent(0, 300);
  flow.AddSent(1, 200);
  CHECK(flow.InFlight() == 500);
  flow.AddTaken(2, 400);
  flow.AddTaken(0, 100);
  CHECK(flow.InFlight() == 0);
}

// A reader that was kept from running between two counters once ended runs: all that went round
// meanwhile seemed to be in flight.
TEST_CASE("never more bytes are said to be in flight at least than can be") {
  constexpr int kWorkers = 4;
  constexpr int64_t kBytes = 1000;
  FlowControl flow(kWorkers, 1);
  std::atomic<bool> done{false};
  std::vector<std::thread> workers;
  for (int worker = 0; worker < kWorkers; ++worker) {
    workers.emplace_back([&, worker] {
      while (!done.load(std::memory_order_relaxed)) {
        flow.AddSent(worker, kBytes);
        flow.AddTaken(worker, kBytes);
      }
    });
  }
  int64_t most = 0;
  int64_t least = 0;
  for (int i = 0; i < 20'000; ++i) {
    most = std::max(most, flow.InFlightAtLeast());
    least = std::min(least, flow.InFlight());
  }
  done = true;
  for (std::thread& worker : workers) worker.join();
  CHECK(most <= kWorkers * kBytes);
  CHECK(least == 0);
  CHECK(flow.InFlightAtLeast() == 0);
}

TEST_CASE("the pool is full an eighth before the limit, and has room again when bytes are taken") {
  FlowControl flow(2, 16'000);
  FlowControl::View view(&flow, 0);
  int64_t sent = 0;
  while (view.PoolHasRoom()) {
    flow.AddSent(0, 100);
    sent += 100;
    REQUIRE(sent <= 16'000);
  }
  CHECK(sent >= 14'000);
  flow.AddTaken(1, 5'000);
  CHECK(view.PoolHasRoom());
}

TEST_CASE("workers that send at full speed do not pass the limit together") {
  FlowControl flow(4, 16'000);
  std::vector<FlowControl::View> views;
  for (int worker = 0; worker < 4; ++worker) views.emplace_back(&flow, worker);
  bool any = true;
  while (any) {
    any = false;
    for (int worker = 0; worker < 4; ++worker) {
      if (!views[worker].PoolHasRoom()) continue;
      any = true;
      flow.AddSent(worker, 10);
    }
    REQUIRE(flow.InFlight() <= 16'000);
  }
  CHECK(flow.InFlight() >= 14'000);
}

TEST_CASE("a limit of zero or a few bytes works") {
  FlowControl none(2, 0);
  CHECK_FALSE(FlowControl::View(&none, 0).PoolHasRoom());
  FlowControl one(2, 1);
  FlowControl::View view(&one, 1);
  CHECK(view.PoolHasRoom());
  one.AddSent(1, 1);
  CHECK_FALSE(view.PoolHasRoom());
}

TEST_CASE("the exclusive credit of a sender is its own") {
  for (int workers : {1, 2, 7, 8, 9, 20}) {
    ChannelCredits credits(workers);
    for (int sender = 0; sender < workers; ++sender) {
      CHECK(credits.HasRoom(sender));
      credits.AddSent(sender, kExclusiveBytes + sender);
      CHECK_FALSE(credits.HasRoom(sender));
      for (int receiver = 0; receiver < workers; ++receiver) {
        credits.AddTaken(receiver, sender, 1);
      }
      CHECK(credits.InFlight(sender) == kExclusiveBytes + sender - workers);
    }
  }
}

TEST_CASE("a starving worker is reported once") {
  FlowControl flow(2, 100);
  CHECK_FALSE(flow.TakeStarving());
  flow.SetStarving();
  CHECK(flow.TakeStarving());
  CHECK_FALSE(flow.TakeStarvingBeforePark());
  flow.SetStarving();
  CHECK(flow.TakeStarvingBeforePark());
}

// A sender that lacks credit sleeps without a limit, and so does a receiver without messages: a
// missed wake-up hangs the test.
TEST_CASE("a sender that waits for credit is always woken, and the limit holds") {
  constexpr int64_t kLimit = 1'600;
  constexpr int kMessages = 20'000;
  constexpr int64_t kBytes = 50;
  Fabric fabric(2);
  FlowControl flow(2, kLimit);
  std::atomic<bool> done{false};
  int64_t highest = 0;
  std::thread sender([&] {
    Endpoint endpoint(&fabric, 0);
    FlowControl::View view(&flow, 0);
    for (int i = 0; i < kMessages; ++i) {
      while (!view.PoolHasRoom()) {
        endpoint.Park(std::nullopt, [&] {
          flow.SetStarving();
          return view.PoolHasRoom();
        });
      }
      flow.AddSent(0, kBytes);
      endpoint.Send(1, Message::Credited(0, 0, {}));
      highest = std::max(highest, flow.InFlight());
      if (i % 7 == 0) endpoint.Flush();
    }
    while (!done.load()) {
      endpoint.Flush();
      std::this_thread::yield();
    }
  });
  Endpoint endpoint(&fabric, 1);
  int received = 0;
  while (received < kMessages) {
    endpoint.Receive([&](const Message&, int) {
      ++received;
      flow.AddTaken(1, kBytes);
    });
    if (flow.TakeStarving() || flow.TakeStarvingBeforePark()) endpoint.WakeAll();
    if (received < kMessages) endpoint.Park(std::nullopt);
  }
  endpoint.Flush();
  done.store(true);
  sender.join();
  CHECK(highest <= kLimit);
  CHECK(flow.InFlight() == 0);
}

}  // namespace
}  // namespace headway::internal
