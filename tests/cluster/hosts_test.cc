#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "headway.h"
#include "tests/cluster/test_cluster.h"
#include "tests/cluster/test_network.h"
#include "tests/cluster/trickle.h"

// Clusters on several hosts, which are network namespaces, over links that are slow, lossy or cut.

namespace headway {
namespace {

constexpr absl::Duration kPeerTimeout = kShortPeerTimeout;

// One process on each host; says why there are none where this machine may not make them.
struct Hosts {
  explicit Hosts(int count) : cluster(count) {
    made = TestNetwork::Make(count, &network);
    cluster.options.addresses.clear();
    for (int host = 0; host < count; ++host) {
      cluster.options.addresses.push_back(TestNetwork::AddressOf(host));
    }
    cluster.options.run.cluster.secret = "a secret";
    cluster.options.run.cluster.peer_timeout = kPeerTimeout;
    if (!made.ok()) MESSAGE("skipped, as this needs hosts: ", made.ToString());
  }

  // Each process counts to `records`, spread over all, and signals when it is at work.
  void Start(int64_t records) {
    for (int host = 0; host < cluster.process_count(); ++host) {
      network.InHost(host, [&] {
        cluster.Start(host, [&, host](const ToTest& test, std::vector<std::string>& lines) {
          int64_t seen = 0;
          const Dataflow flow("count", [&](Scope<>& scope) {
            scope.Input("inp", Trickle{records}) | Exchange("spread", [](int64_t n) { return n; }) |
                Inspect("see", [&](int64_t) {
                  if (++seen == 100) test.Signal();
                });
          });
          absl::Status status = ClusterMain(flow, cluster.OptionsOf(host));
          lines = {std::to_string(seen)};
          return status;
        });
      });
    }
  }
  void CarryUntilAllWork() {
    REQUIRE(network.CarryUntil(
        [&] {
          for (int host = 0; host < cluster.process_count(); ++host) {
            if (!cluster.HasSignal(host)) return false;
          }
          return true;
        },
        kGiveUp));
  }
  std::vector<Outcome> CarryUntilAllEnd() {
    REQUIRE(network.CarryUntil(
        [&] {
          for (int host = 0; host < cluster.process_count(); ++host) {
            if (!cluster.HasEnded(host)) return false;
          }
          return true;
        },
        kGiveUp));
    return cluster.WaitForAll();
  }

  absl::Status made;
  TestNetwork network;
  TestCluster cluster;
};

void CheckCounted(const std::vector<Outcome>& outcomes, int64_t records) {
  int64_t seen = 0;
  for (const Outcome& outcome : outcomes) {
    CheckEndedWell(outcome);
    seen += std::stoll(outcome.lines.at(0));
  }
  CHECK(seen == records * static_cast<int64_t>(outcomes.size()));
}

TEST_CASE(
    "processes of two and three hosts work together, also when packets take long or get lost") {
  for (const int count : {2, 3}) {
    Hosts hosts(count);
    if (!hosts.made.ok()) return;
    hosts.network.delay = count == 2 ? absl::Milliseconds(20) : absl::Milliseconds(1);
    hosts.network.loss = 0.01;
    hosts.Start(5000);
    CheckCounted(hosts.CarryUntilAllEnd(), 5000);
  }
}

TEST_CASE("a link that is cut for less than peer_timeout does no harm") {
  Hosts hosts(2);
  if (!hosts.made.ok()) return;
  hosts.Start(20'000);
  hosts.CarryUntilAllWork();
  hosts.network.SetCut(0, 1, true);
  hosts.network.CarryUntil([] { return false; }, kPeerTimeout / 4);
  hosts.network.SetCut(0, 1, false);
  CheckCounted(hosts.CarryUntilAllEnd(), 20'000);
}

TEST_CASE("a link that is cut for longer ends both processes, which name each other") {
  Hosts hosts(2);
  if (!hosts.made.ok()) return;
  hosts.Start(INT64_MAX);
  hosts.CarryUntilAllWork();
  hosts.network.SetCut(0, 1, true);
  const absl::Time cut = absl::Now();
  const std::vector<Outcome> outcomes = hosts.CarryUntilAllEnd();
  for (size_t host = 0; host < 2; ++host) {
    CheckFailed(outcomes[host], absl::StatusCode::kUnavailable,
                {NameOf(1 - static_cast<int>(host)),
                 "nothing heard for " + absl::FormatDuration(kPeerTimeout)});
    CHECK(outcomes[host].ended - cut < kPeerTimeout + kToEnd);
  }
}

TEST_CASE("one link of three that is cut ends all processes, which name one of its ends") {
  Hosts hosts(3);
  if (!hosts.made.ok()) return;
  hosts.Start(INT64_MAX);
  hosts.CarryUntilAllWork();
  hosts.network.SetCut(1, 2, true);
  const absl::Time cut = absl::Now();
  for (const Outcome& outcome : hosts.CarryUntilAllEnd()) {
    CheckFailed(outcome, absl::StatusCode::kUnavailable,
                {"nothing heard for " + absl::FormatDuration(kPeerTimeout), "process"});
    CHECK(outcome.ended - cut < kPeerTimeout + kToEnd);
  }
}

}  // namespace
}  // namespace headway
