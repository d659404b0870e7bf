// How an idle worker spends its time, with a clock by hand and a thread that is a fake.
#include "engine/runtime/idle_strategy.h"

#include <doctest/doctest.h>

namespace headway {
namespace {

using internal::IdleStrategy;
using Decision = IdleStrategy::Decision;
using Limits = IdleStrategy::Limits;

// Counts yields and moves. A yield takes as long as the test says.
class FakeThread final : public internal::ThreadControl {
 public:
  explicit FakeThread(ManualClock& clock) : clock_(clock) {}
  void Yield() override {
    ++yields;
    clock_.Advance(absl::Nanoseconds(yield_nanos));
  }
  void MoveOn() override { ++moves; }

  int64_t yield_nanos = 500;
  int yields = 0;
  int moves = 0;

 private:
  ManualClock& clock_;
};

struct Idler {
  explicit Idler(const Limits& limits) : strategy(limits, clock, thread) {}

  // Idle steps up to the first that ends in a sleep; that one does not count.
  int PollsUntilSleep() {
    int polls = 0;
    while (strategy.Idle() == Decision::kPoll) ++polls;
    return polls;
  }
  // So many yields in a row that let another thread run. Work between them keeps it from sleeping.
  void YieldLong(int count) {
    thread.yield_nanos = 10'000;
    for (int i = 0; i < count; ++i) {
      CHECK(strategy.Idle() == Decision::kPoll);
      strategy.Worked();
    }
  }

  ManualClock clock;
  FakeThread thread{clock};
  IdleStrategy strategy;
};

TEST_CASE("an idle worker polls at once, then yields between polls, then sleeps") {
  Idler idler({.polls_before_yield = 3, .spin_nanos = 2'000});
  for (int poll = 0; poll < 3; ++poll) {
    CHECK(idler.strategy.Idle() == Decision::kPoll);
    CHECK(idler.thread.yields == 0);
  }
  for (int yield = 1; yield <= 4; ++yield) {  // of 500 ns each
    CHECK(idler.strategy.Idle() == Decision::kPoll);
    CHECK(idler.thread.yields == yield);
  }
  CHECK(idler.strategy.Idle() == Decision::kSleep);
  CHECK(idler.thread.yields == 4);
  CHECK(idler.thread.moves == 0);
}

TEST_CASE("work, and the end of a sleep, begin the polls anew") {
  Idler idler({.polls_before_yield = 3, .spin_nanos = 2'000});
  CHECK(idler.PollsUntilSleep() == 3 + 4);
  idler.strategy.Woke();
  CHECK(idler.PollsUntilSleep() == 3 + 4);
  idler.strategy.Worked();
  CHECK(idler.PollsUntilSleep() == 3 + 4);
  // Without either, it sleeps again at once.
  CHECK(idler.PollsUntilSleep() == 0);
}

TEST_CASE("a worker whose yield took long yields without polls before, until a yield is short") {
  Idler idler({.polls_before_yield = 3, .spin_nanos = 50'000});
  idler.thread.yield_nanos = 1'501;
  for (int poll = 0; poll < 3; ++poll) CHECK(idler.strategy.Idle() == Decision::kPoll);
  CHECK(idler.strategy.Idle() == Decision::kPoll);
  CHECK(idler.thread.yields == 1);
  idler.strategy.Worked();
  idler.thread.yield_nanos = 1'500;
  CHECK(idler.strategy.Idle() == Decision::kPoll);
  CHECK(idler.thread.yields == 2);  // at once
  idler.strategy.Worked();
  CHECK(idler.strategy.Idle() == Decision::kPoll);
  CHECK(idler.thread.yields == 2);  // polls first
}

TEST_CASE("the spin ends under a clock that stands still") {
  Idler idler({.polls_before_yield = 0, .spin_nanos = 50'000});
  idler.thread.yield_nanos = 0;
  CHECK(idler.PollsUntilSleep() == 100'000 - 1);
}

TEST_CASE("a worker without a spin sleeps at once") {
  Idler idler({});
  CHECK(idler.strategy.Idle() == Decision::kSleep);
  CHECK(idler.thread.yields == 0);
}

TEST_CASE("a worker that shares its core for many yields in a row moves to another one") {
  Idler idler({.spin_nanos = 50'000, .long_yields_before_move = 8});
  idler.YieldLong(7);
  CHECK(idler.thread.moves == 0);
  idler.thread.yield_nanos = 100;
  CHECK(idler.strategy.Idle() == Decision::kPoll);  // a short yield ends the row
  idler.YieldLong(7);
  CHECK(idler.thread.moves == 0);
  idler.YieldLong(1);
  CHECK(idler.thread.moves == 1);
}

TEST_CASE("a sleep ends the row of long yields") {
  Idler idler({.spin_nanos = 50'000, .long_yields_before_move = 8});
  idler.YieldLong(7);
  idler.strategy.Woke();
  idler.YieldLong(7);
  CHECK(idler.thread.moves == 0);
  idler.YieldLong(1);
  CHECK(idler.thread.moves == 1);
}

TEST_CASE(
    "moves in vain become seldom, up to one a second, and frequent again after a quiet second") {
  Idler idler({.spin_nanos = 50'000, .long_yields_before_move = 8});
  // The time from one move to the next, in milliseconds, while the worker shares every core.
  const auto until_move = [&] {
    const int64_t start = idler.clock.NowNanos();
    for (const int moves = idler.thread.moves; idler.thread.moves == moves;) idler.YieldLong(1);
    return (idler.clock.NowNanos() - start) / 1'000'000;
  };
  until_move();
  CHECK(until_move() == 5);
  CHECK(until_move() == 10);
  CHECK(until_move() == 20);
  for (int i = 0; i < 6; ++i) until_move();
  CHECK(until_move() == 1000);
  CHECK(until_move() == 1000);
  idler.clock.Advance(absl::Milliseconds(1001));
  idler.thread.yield_nanos = 100;
  CHECK(idler.strategy.Idle() == Decision::kPoll);
  until_move();
  CHECK(until_move() == 5);
}

TEST_CASE("a worker of a process with fewer cores than workers never moves") {
  Idler idler({.spin_nanos = 50'000, .long_yields_before_move = 0});
  idler.YieldLong(1000);
  CHECK(idler.thread.moves == 0);
}

TEST_CASE("the pool is trimmed after a second without work, once a second") {
  Idler idler({});
  const auto is_due = [&] { return idler.strategy.TrimIsDue(idler.clock.NowNanos()); };
  CHECK_FALSE(is_due());
  idler.strategy.Worked();
  idler.clock.Advance(absl::Seconds(1));
  CHECK_FALSE(is_due());  // it has worked in this second
  idler.clock.Advance(absl::Milliseconds(999));
  CHECK_FALSE(is_due());
  idler.clock.Advance(absl::Milliseconds(1));
  CHECK(is_due());
  CHECK_FALSE(is_due());
  idler.clock.Advance(absl::Seconds(1));
  CHECK(is_due());
}

TEST_CASE("the limits suit the cores and the processes of the run") {
  const auto limits = [](int processes, int workers, int index, bool each_has_a_core) {
    return Limits::Of({.process_count = processes, .workers_per_process = workers}, index,
                      each_has_a_core);
  };
  CHECK(limits(1, 1, 0, true).polls_before_yield == 0);  // nobody answers
  CHECK(limits(1, 1, 0, true).spin_nanos == 0);
  CHECK(limits(1, 2, 0, true).polls_before_yield == 64);
  CHECK(limits(1, 2, 0, true).spin_nanos == 50'000);
  CHECK(limits(1, 2, 0, false).polls_before_yield == 0);
  CHECK(limits(1, 2, 0, false).spin_nanos == 5'000);
  CHECK(limits(2, 1, 0, true).polls_before_yield == 16);  // a poll is a system call
  CHECK(limits(2, 1, 0, true).spin_nanos == 50'000);
  CHECK(limits(2, 2, 0, true).polls_before_yield == 0);
  // Not all workers that share a processor leave it at once.
  CHECK(limits(1, 2, 0, true).long_yields_before_move == 8);
  CHECK(limits(1, 2, 1, true).long_yields_before_move == 16);
  CHECK(limits(1, 2, 256, true).long_yields_before_move == 8);
  CHECK(limits(1, 2, 1, false).long_yields_before_move == 0);
}

}  // namespace
}  // namespace headway
