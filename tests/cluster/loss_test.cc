#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "headway.h"
#include "tests/cluster/test_cluster.h"
#include "tests/cluster/trickle.h"
#include "tests/comm/test_seed.h"

// Processes that die or freeze, and processes that only seem to.

namespace headway {
namespace {

constexpr absl::Duration kPeerTimeout = kShortPeerTimeout;

// Runs for ever; signals when records arrive.
TestCluster::Body RunForEver(const ClusterOptions& options) {
  return [options](const ToTest& test, std::vector<std::string>&) {
    const Dataflow flow("endless", [&test](Scope<>& scope) {
      scope.Input("inp", Trickle{}) | Exchange("spread", [](int64_t n) { return n; }) |
          Inspect("see", [&test, seen = 0](int64_t) mutable {
            if (++seen == 100) test.Signal();
          });
    });
    return ClusterMain(flow, options);
  };
}

std::unique_ptr<TestCluster> StartEndless(int processes, absl::Duration connect_timeout) {
  auto cluster = std::make_unique<TestCluster>(processes);
  cluster->options.run.cluster.peer_timeout = kPeerTimeout;
  cluster->options.run.cluster.connect_timeout = connect_timeout;
  for (int process = 0; process < processes; ++process) {
    cluster->Start(process, RunForEver(cluster->OptionsOf(process)));
  }
  return cluster;
}

void AwaitRunning(TestCluster& cluster) {
  for (int process = 0; process < cluster.process_count(); ++process) cluster.AwaitSignal(process);
}

struct Attack {
  std::unique_ptr<TestCluster> cluster;
  int victim;
  int signal_number;
  absl::Time at;
};

// Of three processes, kills or freezes one after up to `latest`.
Attack AttackOne(std::unique_ptr<TestCluster> cluster, std::mt19937_64& random, int victim,
                 int signal_number, absl::Duration latest) {
  absl::SleepFor(std::uniform_real_distribution<>(0, 1)(random) * latest);
  cluster->SendSignal(victim, signal_number);
  return {std::move(cluster), victim, signal_number, absl::Now()};
}

void CheckSurvivors(Attack& attack, absl::Duration limit) {
  INFO("signal ", attack.signal_number, " to process ", attack.victim);
  for (int process = 0; process < 3; ++process) {
    if (process == attack.victim) continue;
    CAPTURE(process);
    const Outcome outcome = attack.cluster->Wait(process);
    CheckFailed(outcome, absl::StatusCode::kUnavailable, {NameOf(attack.victim)});
    CHECK(outcome.ended - attack.at < limit);
  }
}

constexpr int kAttacks = 20;
constexpr int kAtATime = 5;  // clusters

TEST_CASE("a process that dies or freezes in a run ends the others in time, and they name it") {
  std::mt19937_64 random(internal::TestSeed("loss in a run"));
  for (int done = 0; done < kAttacks; done += kAtATime) {
    std::vector<std::unique_ptr<TestCluster>> clusters;
    for (int i = 0; i < kAtATime; ++i) clusters.push_back(StartEndless(3, kGiveUp / 2));
    std::vector<Attack> attacks;
    for (int i = 0; i < kAtATime; ++i) {
      const int number = done + i;
      AwaitRunning(*clusters[static_cast<size_t>(i)]);
      attacks.push_back(AttackOne(std::move(clusters[static_cast<size_t>(i)]), random, number % 3,
                                  number % 2 == 0 ? SIGKILL : SIGSTOP, absl::Milliseconds(20)));
    }
    for (Attack& attack : attacks) CheckSurvivors(attack, kPeerTimeout + kToEnd);
  }
}

TEST_CASE("a process that dies or freezes before the run ends the others, and they name it") {
  constexpr absl::Duration kConnectTimeout = absl::Seconds(1);
  std::mt19937_64 random(internal::TestSeed("loss before a run"));
  std::vector<Attack> attacks;
  for (int number = 0; number < 12; ++number) {
    attacks.push_back(AttackOne(StartEndless(3, kConnectTimeout), random, number % 3,
                                number % 2 == 0 ? SIGKILL : SIGSTOP, absl::Milliseconds(5)));
  }
  for (Attack& attack : attacks) CheckSurvivors(attack, kConnectTimeout + kPeerTimeout + kToEnd);
}

TEST_CASE("a process whose workers are all in user code for long is not given up") {
  int nothing[2];
  REQUIRE(pipe(nothing) == 0);
  TestCluster cluster(3);
  cluster.options.worker_count_per_proc = 2;
  cluster.options.run.cluster.peer_timeout = kPeerTimeout;
  const Dataflow flow("slow", [&](Scope<>& scope) {
    const int process = scope.worker_index() / 2;
    scope.Input("inp",
                ManualSource(
                    [](int, int, std::optional<int64_t>) -> Generator<std::pair<int64_t, int64_t>> {
                      for (int64_t i = 0; i < 1000; ++i) co_yield {i + 1, i};
                    })) |
        Exchange("spread", [](int64_t n) { return n; }) |
        Inspect("read", [&nothing, process, slow = true](int64_t) mutable {
          if (process != 1 || !std::exchange(slow, false)) return;
          pollfd never = {nothing[0], POLLIN, 0};
          poll(&never, 1, static_cast<int>(absl::ToInt64Milliseconds(4 * kPeerTimeout)));
        });
  });
  for (int process = 0; process < 3; ++process) cluster.Start(process, flow);
  for (const Outcome& outcome : cluster.WaitForAll()) {
    CheckEndedWell(outcome);
    CHECK(outcome.took > 4 * kPeerTimeout);
  }
  for (const int end : nothing) close(end);
}

TEST_CASE("a process that is frozen for less than peer_timeout is not given up") {
  int end[2];
  REQUIRE(pipe2(end, O_NONBLOCK) == 0);
  TestCluster cluster(3);
  cluster.options.run.cluster.peer_timeout = absl::Seconds(4);
  for (int process = 0; process < 3; ++process) {
    ClusterOptions options = cluster.OptionsOf(process);
    cluster.Start(process, [=](const ToTest& test, std::vector<std::string>&) mutable {
      const Dataflow flow("until_stopped", [&](Scope<>& scope) {
        scope.Input("inp", Trickle{}) | Exchange("spread", [](int64_t n) { return n; }) |
            Inspect("see", [&, process, seen = 0](int64_t) mutable {
              ++seen;
              if (seen == 100) test.Signal();
              char told;
              if (process == 0 && read(end[0], &told, 1) == 1) options.run.stop.RequestStop();
            });
      });
      return ClusterMain(flow, options);
    });
  }
  AwaitRunning(cluster);
  cluster.SendSignal(1, SIGSTOP);
  absl::SleepFor(absl::Milliseconds(500));
  cluster.SendSignal(1, SIGCONT);
  CHECK(write(end[1], "e", 1) == 1);
  for (const Outcome& outcome : cluster.WaitForAll()) CheckEndedWell(outcome);
  for (const int each : end) close(each);
}

TEST_CASE("a process that wakes up when the others have given it up ends, too") {
  std::unique_ptr<TestCluster> cluster = StartEndless(3, kGiveUp / 2);
  AwaitRunning(*cluster);
  cluster->SendSignal(1, SIGSTOP);
  for (const int survivor : {0, 2}) {
    CheckFailed(cluster->Wait(survivor), absl::StatusCode::kUnavailable, {NameOf(1)});
  }
  cluster->SendSignal(1, SIGCONT);
  const absl::Time woken = absl::Now();
  const Outcome outcome = cluster->Wait(1);
  CheckFailed(outcome, absl::StatusCode::kUnavailable, {"process"});
  CHECK(outcome.ended - woken < kPeerTimeout + kToEnd);
}

}  // namespace
}  // namespace headway
