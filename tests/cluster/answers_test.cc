#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "headway.h"
#include "tests/cluster/test_cluster.h"
#include "tests/engine/run_helpers.h"
#include "tests/sanitizers.h"

// The results of a dataflow do not depend on the number of processes and workers, nor on the times
// and the order in which the processes start.

namespace headway {
namespace {

constexpr int64_t kNumbers = Repeated(3000, 500);

struct Shape {
  int processes;
  int workers;
};
constexpr Shape kShapes[] = {{1, 1}, {1, 4}, {2, 1}, {2, 2}, {4, 1}};

struct Order {
  std::string customer;
  std::vector<int> items;
  std::optional<double> price;
};
Order OrderOf(int64_t n) {
  return {absl::StrCat("customer ", n % 17), std::vector<int>(static_cast<size_t>(n % 5), 3),
          n % 2 == 0 ? std::optional<double>(n * 0.5) : std::nullopt};
}
std::string LineOf(const Order& order) {
  return absl::StrCat("order of ", order.customer, ": ", absl::StrJoin(order.items, "+"), " for ",
                      order.price.value_or(-1));
}

struct Walk {
  int64_t start;
  int64_t at;
  int64_t turns;
  Walk Turned() const { return {start, at % 2 == 0 ? at / 2 : 3 * at + 1, turns + 1}; }
};
std::string LineOf(const Walk& walk) {
  return absl::StrCat("walk from ", walk.start, " takes ", walk.turns);
}

using Lines = Collected<std::string>;
using Round = Product<Epoch, uint64_t>;

void AddWalks(const Stream<int64_t>& numbers, Scope<>& scope, Lines& lines) {
  scope.Iterate("walk", [&](Scope<Round>& inner) {
    auto [loop, again] = inner.Feedback<Walk>("again", {0, 1});
    auto all = numbers | Map("begin", [](int64_t n) { return Walk{n, n + 1, 0}; }) | Enter(inner) |
               Merge("all", again) | Exchange("by_place", [](const Walk& walk) { return walk.at; });
    all | Filter("above_1", [](const Walk& walk) { return walk.at != 1; }) |
        Map("turn", [](const Walk& walk) { return walk.Turned(); }) | ConnectLoop(loop);
    return all | Filter("at_1", [](const Walk& walk) { return walk.at == 1; }) | Leave(scope);
  }) | Inspect("walked", [&lines](const Walk& walk) { lines.Add(LineOf(walk)); });
}

// Each worker gets every number, and keeps its share.
void AddBroadcast(const Stream<int64_t>& numbers, Scope<>& scope, Lines& lines) {
  const int64_t worker = scope.worker_index();
  const int64_t workers = scope.worker_count();
  numbers | Unary<int64_t>("to_all", pact::Broadcast{}, [](Capability<Epoch>) {
    return [](NodeInput<int64_t, Epoch>& in, NodeOutput<int64_t, Epoch>& out) {
      in.ForEach([&](const CapabilityRef<Epoch>& time, Batch<int64_t>& batch) {
        out.SessionAt(time).GiveBatch(std::move(batch));
      });
    };
  }) | Inspect("share", [&lines, worker, workers](int64_t n) {
    if (n % workers == worker) lines.Add(absl::StrCat("broadcast ", n));
  });
}

void AddGather(const Stream<int64_t>& numbers, Scope<>& scope, Lines& lines) {
  const int worker = scope.worker_index();
  numbers | Unary<int64_t>("to_one", pact::Gather{}, [&lines, worker](Capability<Epoch>) {
    return [&lines, worker](NodeInput<int64_t, Epoch>& in, NodeOutput<int64_t, Epoch>&) {
      in.ForEach([&](const CapabilityRef<Epoch>&, Batch<int64_t>& batch) {
        for (int64_t n : batch) lines.Add(absl::StrCat("gathered ", n, " at ", worker));
      });
    };
  });
}

// All kinds of steps, over the numbers from 0, which the workers share.
Dataflow AllSteps(Lines& lines, bool with_cycle) {
  return Dataflow("all_steps", [&lines, with_cycle](Scope<>& scope) {
    auto numbers = scope.Input(
        "numbers",
        ManualSource([](int worker, int workers,
                        std::optional<int64_t> resume) -> Generator<std::pair<int64_t, int64_t>> {
          for (int64_t n = resume.value_or(worker); n < kNumbers; n += workers) {
            co_yield {n + workers, n};
          }
        }));
    auto exchanged = numbers | Exchange("by_value", [](int64_t n) { return n; });
    exchanged | Inspect("number", [&](int64_t n) { lines.Add(absl::StrCat("number ", n)); });
    numbers | Map("text", [](int64_t n) { return std::string(static_cast<size_t>(n % 97), 'x'); }) |
        Exchange("by_text", [](std::string_view text) { return text; }) |
        Inspect("see_text", [&](std::string_view text) { lines.Add("text " + std::string(text)); });
    numbers | Map("order", OrderOf) |
        Exchange("by_customer", [](const Order& order) { return order.customer; }) |
        Inspect("see_order", [&](const Order& order) { lines.Add(LineOf(order)); });
    numbers | KeyOn("key", [](int64_t n) {
      return n % 31;
    }) | StatefulMap<int>("count", [](std::optional<int>& count, int64_t) {
      count = count.value_or(0) + 1;
      return *count;
    }) | Inspect("see_count", [&](const std::pair<int64_t, int>& count) {
      lines.Add(absl::StrCat("key ", count.first, ": ", count.second));
    });
    numbers | Merge("both", exchanged) | Exchange("by_remainder", [](int64_t n) { return n % 7; }) |
        Inspect("see_both", [&](int64_t n) { lines.Add(absl::StrCat("merged ", n)); });
    if (with_cycle) AddWalks(numbers, scope, lines);
    AddBroadcast(numbers, scope, lines);
    AddGather(numbers, scope, lines);
  });
}

std::vector<std::string> Expected(bool with_cycle) {
  std::vector<std::string> lines;
  std::vector<int> counts(31);
  for (int64_t n = 0; n < kNumbers; ++n) {
    lines.push_back(absl::StrCat("number ", n));
    lines.push_back(absl::StrCat("text ", std::string(static_cast<size_t>(n % 97), 'x')));
    lines.push_back(LineOf(OrderOf(n)));
    lines.push_back(absl::StrCat("key ", n % 31, ": ", ++counts[static_cast<size_t>(n % 31)]));
    for (int copy = 0; copy < 2; ++copy) lines.push_back(absl::StrCat("merged ", n));
    if (with_cycle) {
      Walk walk{n, n + 1, 0};
      while (walk.at != 1) walk = walk.Turned();
      lines.push_back(LineOf(walk));
    }
    lines.push_back(absl::StrCat("broadcast ", n));
    lines.push_back(absl::StrCat("gathered ", n, " at 0"));
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

void StartAllSteps(TestCluster& cluster, int process, bool with_cycle = true) {
  ClusterOptions options = cluster.OptionsOf(process);
  cluster.Start(process, [=](const ToTest& test, std::vector<std::string>& lines) mutable {
    // Sent when something could not be reached yet.
    options.run.log_hook = [&](LogSeverity, std::string_view) { test.Signal(); };
    Lines collected;
    absl::Status status = ClusterMain(AllSteps(collected, with_cycle), options);
    lines = collected.InOrder();
    return status;
  });
}

// Compared without a failed check for each line.
void CheckLines(std::vector<Outcome> outcomes, bool with_cycle = true) {
  std::vector<std::string> lines;
  for (Outcome& outcome : outcomes) {
    CheckEndedWell(outcome);
    std::move(outcome.lines.begin(), outcome.lines.end(), std::back_inserter(lines));
  }
  std::sort(lines.begin(), lines.end());
  const std::vector<std::string> expected = Expected(with_cycle);
  const auto [at, should] = std::ranges::mismatch(lines, expected);
  CAPTURE(lines.size());
  CAPTURE(expected.size());
  CHECK((at == lines.end() ? "nothing" : *at) == (should == expected.end() ? "nothing" : *should));
}

// Calls f(cluster) for a cluster of each shape.
template <class F>
void ForEachShape(F&& f) {
  for (const Shape shape : kShapes) {
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    TestCluster cluster(shape.processes);
    cluster.options.worker_count_per_proc = shape.workers;
    f(cluster);
  }
}

TEST_CASE("a dataflow gives the same answers on every number of processes and workers") {
  ForEachShape([](TestCluster& cluster) {
    for (int process = 0; process < cluster.process_count(); ++process) {
      StartAllSteps(cluster, process);
    }
    CheckLines(cluster.WaitForAll());
  });
}

TEST_CASE("the answers are the same with a secret, and with little memory but for cycles") {
  ForEachShape([](TestCluster& cluster) {
    cluster.options.run.max_bytes_in_flight = 1;
    cluster.options.run.cluster.secret = "a secret";
    for (int process = 0; process < cluster.process_count(); ++process) {
      StartAllSteps(cluster, process, /*with_cycle=*/false);
    }
    CheckLines(cluster.WaitForAll(), /*with_cycle=*/false);
  });
}

TEST_CASE(
    "processes start in any order, the last ones long after the others have looked for them") {
  std::vector<int> order = {0, 1, 2};
  do {
    CAPTURE(order);
    TestCluster cluster(3);
    for (size_t i = 0; i < order.size(); ++i) {
      StartAllSteps(cluster, order[i]);
      // A process that dials a missing one logs it.
      const bool dials_a_missing_one =
          std::any_of(order.begin() + static_cast<ptrdiff_t>(i), order.end(),
                      [&](int other) { return other < order[i]; });
      if (dials_a_missing_one) cluster.AwaitSignal(order[i]);
    }
    CheckLines(cluster.WaitForAll());
  } while (std::next_permutation(order.begin(), order.end()));
}

}  // namespace
}  // namespace headway
