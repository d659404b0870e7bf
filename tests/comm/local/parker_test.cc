#include "comm/local/parker.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace headway::internal {
namespace {

using std::chrono::nanoseconds;

TEST_CASE("parking does not sleep when there is work or no time to wait") {
  Parker parker;
  int calls = 0;
  parker.Park(std::nullopt, [&] { return ++calls == 1; });
  CHECK(calls == 1);
  parker.Park(nanoseconds(0), [] { return false; });
  parker.Park(nanoseconds(-5), [] { return false; });
}

TEST_CASE("parking ends after the time limit") {
  Parker parker;
  const auto start = std::chrono::steady_clock::now();
  parker.Park(std::chrono::milliseconds(2), [] { return false; });
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(10));
}

TEST_CASE("a wake-up finds nobody unless the owner is parked") {
  Parker parker;
  Parker::Fence();
  CHECK_FALSE(parker.WakeIfParked());
  bool woken = false;
  parker.Park(std::nullopt, [&] {
    woken = parker.WakeIfParked();  // after the announcement: the sleep that follows ends at once
    return false;
  });
  CHECK(woken);
  CHECK_FALSE(parker.WakeIfParked());
}

bool IsReadable(const Parker& parker) {
  pollfd polled = {parker.event(), POLLIN, 0};
  return poll(&polled, 1, 0) == 1;
}

TEST_CASE("an owner that waits outside finds its event readable after a wake-up, once") {
  Parker parker;
  parker.SetEvent(FileDescriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)));
  Parker::Fence();
  CHECK_FALSE(parker.WakeIfParked());
  CHECK_FALSE(IsReadable(parker));
  for (int round = 0; round < 3; ++round) {
    parker.ParkOutside();
    CHECK_FALSE(IsReadable(parker));
    parker.Unpark();
    parker.Unpark();
    CHECK(IsReadable(parker));
    parker.ParkOutside();
    CHECK_FALSE(IsReadable(parker));
    parker.WakeSelf();
    CHECK(IsReadable(parker));
  }
  // A sleep on the thread takes the place of the wait outside.
  parker.ParkOutside();
  parker.Park(std::nullopt, [&] {
    parker.Unpark();
    return false;
  });
  CHECK_FALSE(IsReadable(parker));
}

// Without a time limit: a lost wake-up hangs the test.
TEST_CASE("no wake-up is lost between two threads that take turns") {
  constexpr int kRounds = 20'000;
  Parker parkers[2];
  std::atomic<int> turn{0};
  const auto play = [&](int me) {
    for (int round = 0; round < kRounds; ++round) {
      const int mine = 2 * round + me;
      while (turn.load(std::memory_order_relaxed) != mine) {
        parkers[me].Park(std::nullopt,
                         [&] { return turn.load(std::memory_order_relaxed) == mine; });
      }
      turn.store(mine + 1, std::memory_order_relaxed);
      parkers[1 - me].Unpark();
    }
  };
  std::thread other(play, 1);
  play(0);
  other.join();
  CHECK(turn.load() == 2 * kRounds);
}

TEST_CASE("no wake-up is lost when several wakers share a parker and one fence") {
  constexpr int kWakers = 3;
  constexpr int kMessages = 10'000;
  Parker parkers[2];
  std::atomic<int> inbox[2] = {0, 0};
  const auto own = [&](int me) {
    int taken = 0;
    while (taken < kWakers * kMessages) {
      parkers[me].Park(std::nullopt, [&] { return inbox[me].load(std::memory_order_relaxed) > 0; });
      taken += inbox[me].exchange(0, std::memory_order_relaxed);
    }
  };
  std::vector<std::thread> threads;
  for (int me = 0; me < 2; ++me) threads.emplace_back(own, me);
  for (int waker = 0; waker < kWakers; ++waker) {
    threads.emplace_back([&] {
      for (int i = 0; i < kMessages; ++i) {
        for (std::atomic<int>& count : inbox) count.fetch_add(1, std::memory_order_relaxed);
        Parker::Fence();
        for (Parker& parker : parkers) parker.WakeIfParked();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(inbox[0].load() + inbox[1].load() == 0);
}

}  // namespace
}  // namespace headway::internal
