#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "comm/mesh/tcp_mesh.h"
#include "headway.h"
#include "tests/cluster/test_cluster.h"

// Processes that are no cluster together: each of them ends, and says why.

namespace headway {
namespace {

constexpr absl::Duration kConnectTimeout = absl::Seconds(3);

// A source that ends at once.
Dataflow Empty(const std::string& step = "spread") {
  return Dataflow("empty", [step](Scope<>& scope) {
    scope.Input("inp", ManualSource([](int, int, std::optional<int64_t>)
                                        -> Generator<std::pair<int64_t, int64_t>> { co_return; })) |
        Exchange(step, [](int64_t n) { return n; });
  });
}

// One process of three that differs from the others.
struct Refusal {
  std::string what;
  int odd_one;
  std::function<void(ClusterOptions& options, bool is_odd)> change;
  absl::StatusCode code;
  std::string says;
};

std::vector<Refusal> Refusals() {
  std::vector<Refusal> refusals;
  for (int odd_one = 0; odd_one < 3; ++odd_one) {
    refusals.push_back({"another secret", odd_one,
                        [](ClusterOptions& options, bool is_odd) {
                          options.run.cluster.secret = is_odd ? "wrong" : "right";
                        },
                        absl::StatusCode::kPermissionDenied, "have different secrets"});
    refusals.push_back({"no secret", odd_one,
                        [](ClusterOptions& options, bool is_odd) {
                          if (!is_odd) options.run.cluster.secret = "right";
                        },
                        absl::StatusCode::kPermissionDenied, "secret, and"});
    refusals.push_back({"another number of workers", odd_one,
                        [](ClusterOptions& options, bool is_odd) {
                          options.worker_count_per_proc = is_odd ? 3 : 1;
                        },
                        absl::StatusCode::kFailedPrecondition, "has 3"});
    refusals.push_back({"another number of processes", odd_one,
                        [](ClusterOptions& options, bool is_odd) {
                          // As process 3 nobody ever comes.
                          if (is_odd) options.addresses.push_back("127.0.0.1:1");
                        },
                        absl::StatusCode::kFailedPrecondition, "counts 4"});
    refusals.push_back({"another cluster", odd_one,
                        [](ClusterOptions& options, bool is_odd) {
                          options.run.cluster.name = is_odd ? "blue" : "green";
                        },
                        absl::StatusCode::kFailedPrecondition, "'blue'"});
  }
  return refusals;
}

void CheckEndedInTime(const Outcome& outcome, absl::Duration timeout = kConnectTimeout) {
  CHECK(outcome.reported);
  CHECK(outcome.took < timeout + kToEnd);
}

// In a cluster with a secret, one that cannot prove it is refused and waited for: the processes
// that have it name it when their time is over.
TEST_CASE("a process that does not belong to the others is refused, and all say why") {
  const std::vector<Refusal> refusals = Refusals();
  std::vector<std::unique_ptr<TestCluster>> clusters;
  for (const Refusal& refusal : refusals) {  // at the same time, as they mostly wait
    TestCluster& cluster = *clusters.emplace_back(std::make_unique<TestCluster>(3));
    cluster.options.run.cluster.connect_timeout = kConnectTimeout;
    for (int process = 0; process < 3; ++process) {
      ClusterOptions options = cluster.OptionsOf(process);
      refusal.change(options, process == refusal.odd_one);
      cluster.Start(process, Empty(), options);
    }
  }
  for (size_t i = 0; i < refusals.size(); ++i) {
    const Refusal& refusal = refusals[i];
    INFO(refusal.what, " of process ", refusal.odd_one);
    const std::vector<Outcome> outcomes = clusters[i]->WaitForAll();
    int refused = 0;
    for (const Outcome& outcome : outcomes) {
      CheckEndedInTime(outcome);
      // A process that comes when the others have given up already can only say that they are gone.
      if (outcome.status.code() == absl::StatusCode::kUnavailable) {
        CheckFailed(outcome, absl::StatusCode::kUnavailable, {"still misses, after"});
      } else {
        CheckFailed(outcome, refusal.code, {refusal.says, NameOf(refusal.odd_one)});
        ++refused;
      }
    }
    CHECK(refused >= 2);
  }
}

TEST_CASE("a process of another generation of the cluster is refused") {
  TestCluster cluster(2);
  cluster.options.run.cluster.connect_timeout = kConnectTimeout;
  cluster.Start(0, Empty());
  cluster.Start(1, [&](const ToTest&, std::vector<std::string>&) {
    const internal::MeshOptions options{
        .process_id = 1, .process_count = 2, .generation = 7, .connect_timeout = kConnectTimeout};
    return internal::TcpMesh::Connect(options, cluster.addresses()).status();
  });
  for (const Outcome& outcome : cluster.WaitForAll()) {
    CheckFailed(outcome, absl::StatusCode::kFailedPrecondition, {"generation 7", "generation 0"});
    CheckEndedInTime(outcome);
  }
}

TEST_CASE(
    "a process with another dataflow is an error everywhere that names the first other step") {
  for (int odd_one = 0; odd_one < 3; ++odd_one) {
    TestCluster cluster(3);
    for (int process = 0; process < 3; ++process) {
      cluster.Start(process, Empty(process == odd_one ? "other_step" : "step"));
    }
    for (const Outcome& outcome : cluster.WaitForAll()) {
      CheckFailed(outcome, absl::StatusCode::kInvalidArgument, {"'step'", "'other_step'"});
    }
  }
}

TEST_CASE("two processes with one id end soon, and so do the others; all name the id and address") {
  for (int twin = 0; twin < 3; ++twin) {
    for (const int other : {(twin + 1) % 3, (twin + 2) % 3}) {  // or the rest is not there at all
      CAPTURE(twin);
      CAPTURE(other);
      TestCluster cluster(3);
      for (const int process : {twin, other, twin}) cluster.Start(process, Empty());
      const std::string& address = cluster.addresses()[static_cast<size_t>(twin)];
      for (const int number : {twin, other, 3}) {
        const Outcome outcome = cluster.Wait(number);
        CheckFailed(outcome, absl::StatusCode::kFailedPrecondition,
                    {"two processes have the id of " + NameOf(twin) + address + ")"});
        CheckEndedInTime(outcome);
      }
    }
  }
}

TEST_CASE("two processes that are the only ones, with one id, find each other") {
  for (int twin = 0; twin < 2; ++twin) {
    TestCluster cluster(2);
    cluster.Start(twin, Empty());
    cluster.Start(twin, Empty());
    for (const int number : {twin, 2}) {
      const Outcome outcome = cluster.Wait(number);
      CheckFailed(outcome, absl::StatusCode::kFailedPrecondition,
                  {"two processes have the id of " + NameOf(twin)});
      CheckEndedInTime(outcome);
    }
  }
}

internal::FileDescriptor ListenAt(const std::string& address, int backlog) {
  internal::FileDescriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in where = {};
  where.sin_family = AF_INET;
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  where.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(address.find(':') + 1))));
  REQUIRE(bind(socket.get(), reinterpret_cast<sockaddr*>(&where), sizeof(where)) == 0);
  REQUIRE(listen(socket.get(), backlog) == 0);
  return socket;
}

TEST_CASE("the address of a process that another program has is an error that names it") {
  TestCluster cluster(3);
  cluster.options.run.cluster.connect_timeout = kConnectTimeout / 3;
  const internal::FileDescriptor other_program = ListenAt(cluster.addresses()[1], 100);
  for (int process = 0; process < 3; ++process) cluster.Start(process, Empty());
  const std::vector<Outcome> outcomes = cluster.WaitForAll();
  CheckFailed(outcomes[1], absl::StatusCode::kUnavailable, {NameOf(1), "in use"});
  for (const int other : {0, 2}) {
    const Outcome& outcome = outcomes[static_cast<size_t>(other)];
    CheckFailed(outcome, absl::StatusCode::kUnavailable, {NameOf(1)});
    CheckEndedInTime(outcome);
  }
}

TEST_CASE("a process that is not there after connect_timeout is named by all others") {
  std::vector<std::unique_ptr<TestCluster>> clusters;
  for (int missing = 0; missing < 3; ++missing) {
    TestCluster& cluster = *clusters.emplace_back(std::make_unique<TestCluster>(3));
    cluster.options.run.cluster.connect_timeout = absl::Seconds(1);
    for (int process = 0; process < 3; ++process) {
      if (process != missing) cluster.Start(process, Empty());
    }
  }
  for (int missing = 0; missing < 3; ++missing) {
    CAPTURE(missing);
    for (int process = 0; process < 3; ++process) {
      if (process == missing) continue;
      const Outcome outcome = clusters[static_cast<size_t>(missing)]->Wait(process);
      CheckFailed(outcome, absl::StatusCode::kUnavailable, {"still misses, after 1s, process"});
      CheckEndedInTime(outcome, absl::Seconds(1));
    }
  }
}

TEST_CASE("a host that never answers is given up after connect_timeout") {
  TestCluster cluster(2);
  cluster.options.run.cluster.connect_timeout = absl::Seconds(1);
  // A listener whose backlog is full: the next connection gets no answer at all.
  const internal::FileDescriptor silent = ListenAt(cluster.addresses()[0], 0);
  sockaddr_in where = {};
  socklen_t size = sizeof(where);
  REQUIRE(getsockname(silent.get(), reinterpret_cast<sockaddr*>(&where), &size) == 0);
  std::vector<internal::FileDescriptor> filling;
  for (int i = 0; i < 4; ++i) {
    filling.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    connect(filling.back().get(), reinterpret_cast<sockaddr*>(&where), size);
  }
  cluster.Start(1, Empty());
  const Outcome outcome = cluster.Wait(1);
  CheckFailed(outcome, absl::StatusCode::kUnavailable,
              {"still misses, after 1s, process 0 (" + cluster.addresses()[0]});
  CheckEndedInTime(outcome, absl::Seconds(1));
}

}  // namespace
}  // namespace headway
