#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "headway.h"
#include "tests/cluster/test_cluster.h"
#include "tests/sanitizers.h"

// The memory of processes whose consumer is slower than the source, and of runs of many epochs.

#ifdef HEADWAY_SANITIZED

TEST_CASE("the memory of processes") {
  MESSAGE("not tested: a sanitizer's own memory hides that of the engine");
}

#else

namespace headway {
namespace {

constexpr int64_t kMebibyte = 1 << 20;
constexpr int64_t kLimit = 16 * kMebibyte;

// A size in /proc/self/status, in bytes: "VmRSS", "VmHWM" (the most ever).
int64_t MemoryOf(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    int64_t kibibytes;
    if (word == name + ":" && status >> kibibytes) return kibibytes * 1024;
  }
  return -1;
}

struct Growth {
  int64_t baseline = -1;  // when the first record came; -1 before
  void Begin() {
    if (baseline < 0) baseline = MemoryOf("VmRSS");
  }
  std::string Line() const { return std::to_string(MemoryOf("VmHWM") - baseline); }
};

// The bytes in flight, and 10 %; the rest of the process does not grow.
void CheckWithinLimit(const std::vector<Outcome>& outcomes) {
  for (const Outcome& outcome : outcomes) {
    CheckEndedWell(outcome);
    REQUIRE(outcome.lines.size() >= 1);
    INFO("grew by ", outcome.lines[0], " bytes");
    CHECK(std::stoll(outcome.lines[0]) < kLimit + kLimit / 10);
  }
}

// Counts up to `count` on worker 0, as fast as it can.
auto FastSource(int64_t count) {
  return ManualSource(
      [count](int worker, int, std::optional<int64_t>) -> Generator<std::pair<int64_t, int64_t> > {
        for (int64_t i = 0; worker == 0 && i < count; ++i) co_yield {i, i};
      });
}

// Takes a while for each record, all in all `duration` on worker 1.
class SlowConsumer {
 public:
  SlowConsumer(int64_t records, absl::Duration duration)
      : pause_(duration / static_cast<double>(records / kTogether)) {}
  void Take() {
    if (++taken_ % kTogether == 0) absl::SleepFor(pause_);
  }
  int64_t taken() const { return taken_; }

 private:
  static constexpr int64_t kTogether = 20'000;
  const absl::Duration pause_;
  int64_t taken_ = 0;
};

// A key that belongs on worker 1 of 2, which is process 1.
int64_t KeyOfWorker1() {
  static const int64_t key = [] {
    int64_t candidate = 0;
    while (RouteHash(StableHash(candidate), 2) != 1) ++candidate;
    return candidate;
  }();
  return key;
}

struct Load {
  const char* what;
  int64_t numbers;
  int64_t copies_from, copies_to;  // that the FlatMap makes of a number
};

void RunSlowConsumer(const Load& load, bool expand_at_consumer) {
  constexpr absl::Duration kDuration = absl::Seconds(1);
  int64_t records = 0;
  const auto copies = [load](int64_t n) {
    return load.copies_from + n % (load.copies_to - load.copies_from + 1);
  };
  for (int64_t n = 0; n < load.numbers; ++n) records += copies(n);
  TestCluster cluster(2);
  cluster.options.run.max_bytes_in_flight = kLimit;
  for (int process = 0; process < 2; ++process) {
    cluster.Start(process, [&](const ToTest&, std::vector<std::string>& lines) {
      Growth growth;
      SlowConsumer consumer(records, kDuration);
      const Dataflow flow("slow_consumer", [&](Scope<>& scope) {
        auto numbers = scope.Input("inp", FastSource(load.numbers)) |
                       Inspect("begin_here", [&](int64_t) { growth.Begin(); });
        auto many = FlatMap("many", [copies](int64_t n) {
          return std::vector<int64_t>(static_cast<size_t>(copies(n)), n);
        });
        auto to_1 = Exchange("to_1", [](int64_t) { return KeyOfWorker1(); });
        auto arrived = expand_at_consumer ? numbers | to_1 | many : numbers | many | to_1;
        arrived | Inspect("consume", [&](int64_t) {
          growth.Begin();
          consumer.Take();
        });
      });
      absl::Status status = ClusterMain(flow, cluster.OptionsOf(process));
      growth.Begin();
      lines = {growth.Line(), std::to_string(consumer.taken())};
      return status;
    });
  }
  const std::vector<Outcome> outcomes = cluster.WaitForAll();
  CheckWithinLimit(outcomes);
  int64_t taken = 0;
  for (const Outcome& outcome : outcomes) taken += std::stoll(outcome.lines[1]);
  CHECK(taken == records);
}

TEST_CASE("a slow consumer does not let the memory of either process grow") {
  RunSlowConsumer({"as they are", 16'000'000, 1, 1}, false);
}

TEST_CASE("so it does when a step makes 1 to 1,000 records of one, before or after the exchange") {
  for (const bool expand_at_consumer : {false, true}) {
    CAPTURE(expand_at_consumer);
    RunSlowConsumer({"many", 24'000, 1, 1000}, expand_at_consumer);
  }
}

TEST_CASE("a cycle across processes goes on under the limit") {
  constexpr int64_t kRecords = 200'000;
  constexpr int64_t kTurns = 5;
  TestCluster cluster(2);
  cluster.options.run.max_bytes_in_flight = kLimit;
  for (int process = 0; process < 2; ++process) {
    cluster.Start(process, [&](const ToTest&, std::vector<std::string>& lines) {
      Growth growth;
      int64_t left = 0;
      const Dataflow flow("cycle", [&](Scope<>& scope) {
        auto [loop, again] = scope.Feedback<int64_t>("again", 1);
        scope.Input("inp", FastSource(kRecords)) |
            Inspect("begin", [&](int64_t) { growth.Begin(); }) |
            Map("start", [](int64_t n) { return n * (kTurns + 1) + kTurns; }) |
            Merge("all", again) | Exchange("spread", [](int64_t n) { return n; }) |
            Filter("going",
                   [&](int64_t n) {
                     if (n % (kTurns + 1) == 0) ++left;
                     return n % (kTurns + 1) != 0;
                   }) |
            Map("turn", [](int64_t n) { return n - 1; }) | ConnectLoop(loop);
      });
      absl::Status status = ClusterMain(flow, cluster.OptionsOf(process));
      growth.Begin();
      lines = {growth.Line(), std::to_string(left)};
      return status;
    });
  }
  const std::vector<Outcome> outcomes = cluster.WaitForAll();
  int64_t left = 0;
  for (const Outcome& outcome : outcomes) {
    CheckEndedWell(outcome);
    REQUIRE(outcome.lines.size() == 2);
    INFO("grew by ", outcome.lines[0], " bytes");
    CHECK(std::stoll(outcome.lines[0]) < 2 * (kLimit + kLimit / 10));  // a cycle may hold twice
    left += std::stoll(outcome.lines[1]);
  }
  CHECK(left == kRecords);
}

// The memory of a process may grow for other reasons: it touches memory that it allocated earlier,
// or the system moves both processes to one processor, which lengthens their queues. A leak grows
// with every epoch.
TEST_CASE("100,000 epochs need no more memory than those before") {
  constexpr int64_t kSpan = 100'000;
  constexpr int64_t kFirst = 2 * kSpan;
  constexpr int64_t kEpochs = 6 * kSpan;
  TestCluster cluster(2);
  cluster.options.run.epoch_config = TestingEpochConfig{};
  cluster.options.run.max_epochs_in_flight = 100;
  for (int process = 0; process < 2; ++process) {
    cluster.Start(process, [&](const ToTest&, std::vector<std::string>& lines) {
      const Dataflow flow("epochs", [&](Scope<>& scope) {
        scope.Input("inp", ManualSource([&lines](int, int, std::optional<int64_t>)
                                            -> Generator<std::pair<int64_t, int64_t> > {
                      for (int64_t i = 0; i <= kEpochs; ++i) {
                        if (i >= kFirst && i % kSpan == 0) {
                          lines.push_back(std::to_string(MemoryOf("VmRSS")));
                        }
                        co_yield {i, i};
                      }
                    })) |
            Exchange("spread", [](int64_t n) { return n; }) |
            KeyOn("key", [](int64_t n) { return n % 100; }) |
            StatefulMap<int64_t>("sum", [](std::optional<int64_t>& sum, int64_t n) {
              sum = sum.value_or(0) + n;
              return *sum;
            });
      });
      return ClusterMain(flow, cluster.OptionsOf(process));
    });
  }
  for (const Outcome& outcome : cluster.WaitForAll()) {
    CheckEndedWell(outcome);
    REQUIRE(outcome.lines.size() == 5);
    INFO("bytes after each span: ", absl::StrJoin(outcome.lines, ", "));
    int64_t least = std::numeric_limits<int64_t>::max();
    for (size_t i = 1; i < outcome.lines.size(); ++i) {
      least =
          std::min<int64_t>(least, std::stoll(outcome.lines[i]) - std::stoll(outcome.lines[i - 1]));
    }
    CHECK(least < kMebibyte);  // a leak of a few words an epoch is more, in every span
  }
}

}  // namespace
}  // namespace headway

#endif
