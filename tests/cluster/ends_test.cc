#include <doctest/doctest.h>

#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "headway.h"
#include "tests/cluster/test_cluster.h"
#include "tests/engine/run_helpers.h"

// The end of a run is the same for all processes, whichever it begins at.

namespace headway {
namespace {

using Record = std::pair<int64_t, int64_t>;

auto Endless() {
  return ManualSource([](int worker, int, std::optional<int64_t>) -> Generator<Record> {
    for (int64_t i = 0;; ++i) co_yield {i + 1, worker * 1'000'000'000L + i};
  });
}

// How many records of each epoch a worker has got when the epoch is complete. Every worker gets
// all.
auto CountEpochs(Collected<std::pair<Epoch, int64_t>>& counts) {
  return UnaryNotify<int64_t>(
      "count", pact::Broadcast{}, [&counts](Capability<Epoch>, Notificator<Epoch>&) {
        return [&counts, open = std::map<Epoch, int64_t>()](
                   NodeInput<int64_t, Epoch>& in, NodeOutput<int64_t, Epoch>&,
                   Notificator<Epoch>& notificator) mutable {
          in.ForEach([&](const CapabilityRef<Epoch>& time, Batch<int64_t>& batch) {
            auto [entry, is_new] = open.try_emplace(time.time(), 0);
            if (is_new) notificator.NotifyAt(time.Retain());
            entry->second += static_cast<int64_t>(batch.size());
          });
          while (std::optional<Capability<Epoch>> done = notificator.Next(in.frontier())) {
            counts.Add({done->time(), open.extract(done->time()).mapped()});
          }
        };
      });
}

TEST_CASE("a stop that is asked of one of three processes ends all of them at one epoch") {
  for (int asked = 0; asked < 3; ++asked) {
    CAPTURE(asked);
    TestCluster cluster(3);
    cluster.options.worker_count_per_proc = 2;
    cluster.options.run.epoch_config = TestingEpochConfig{};
    for (int process = 0; process < 3; ++process) {
      cluster.Start(process, [&](const ToTest&, std::vector<std::string>& lines) {
        Collected<std::pair<Epoch, int64_t>> counts;
        ClusterOptions options = cluster.OptionsOf(process);
        const Dataflow flow("endless", [&](Scope<>& scope) {
          scope.Input("inp", Endless()) | Inspect("stop", [&](int64_t n) {
            if (process == asked && n % 1'000'000'000 == 500) options.run.stop.RequestStop();
          }) | CountEpochs(counts);
        });
        absl::Status status = ClusterMain(flow, options);
        for (const auto& [epoch, count] : counts.Sorted()) {
          lines.push_back(absl::StrCat(epoch, ": ", count));
        }
        return status;
      });
    }
    const std::vector<Outcome> outcomes = cluster.WaitForAll();
    for (const Outcome& outcome : outcomes) {
      CheckEndedWell(outcome);
      CHECK(outcome.lines.size() > 2 * 500);  // by both workers
      CHECK(outcome.lines == outcomes[0].lines);
    }
  }
}

TEST_CASE("a process that is stopped before the others are there ends well") {
  TestCluster cluster(2);
  cluster.options.run.cluster.connect_timeout = absl::InfiniteDuration();
  cluster.Start(0, [&](const ToTest&, std::vector<std::string>&) {
    ClusterOptions options = cluster.OptionsOf(0);
    options.run.stop.RequestStop();
    return ClusterMain(Dataflow("none", [](Scope<>&) {}), options);
  });
  CheckEndedWell(cluster.Wait(0));
}

// A process that hears of the failure before it has found all others says from whom.
void CheckSameCause(const std::vector<Outcome>& outcomes, int failing,
                    std::vector<std::string> parts) {
  const absl::Status& cause = outcomes[static_cast<size_t>(failing)].status;
  parts.emplace_back(cause.message());
  for (const Outcome& outcome : outcomes) {
    CheckFailed(outcome, absl::StatusCode::kAborted, parts);
    CHECK(outcome.took < 5 * kToEnd);
  }
}

TEST_CASE("an exception on one process ends all with the same cause") {
  for (int failing = 0; failing < 3; ++failing) {
    CAPTURE(failing);
    TestCluster cluster(3);
    cluster.options.worker_count_per_proc = 2;
    for (int process = 0; process < 3; ++process) {
      cluster.Start(process, Dataflow("failing", [failing](Scope<>& scope) {
                      const int worker = scope.worker_index();
                      scope.Input("inp", Endless()) |
                          Exchange("spread", [](int64_t n) { return n; }) |
                          Map("parse", [worker, failing, seen = 0](int64_t n) mutable {
                            if (worker == 2 * failing + 1 && ++seen == 5000) {
                              throw std::runtime_error("no number");
                            }
                            return n;
                          });
                    }));
    }
    CheckSameCause(cluster.WaitForAll(), failing,
                   {"step 'parse'", "no number",
                    absl::StrCat("worker ", 2 * failing + 1, " of process ", failing)});
  }
}

TEST_CASE("a process that cannot build its dataflow ends all with the same cause") {
  for (int failing = 0; failing < 3; ++failing) {
    CAPTURE(failing);
    TestCluster cluster(3);
    for (int process = 0; process < 3; ++process) {
      cluster.Start(process, Dataflow("failing", [failing](Scope<>& scope) {
                      if (scope.worker_index() == failing) throw std::runtime_error("no file");
                      scope.Input("inp", Endless()) |
                          Exchange("spread", [](int64_t n) { return n; });
                    }));
    }
    CheckSameCause(cluster.WaitForAll(), failing, {"no file", absl::StrCat("process ", failing)});
  }
}

}  // namespace
}  // namespace headway
