// Operators with two inputs that are notified of complete times.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "tests/engine/run_helpers.h"
#include "tests/engine/thread_cluster.h"

namespace headway {
namespace {

using Record = std::pair<int64_t, int64_t>;  // (epoch, sum)

TEST_CASE("BinaryNotify is notified of a time when it is complete at both inputs") {
  for (Shape shape : kShapes) {
    const int64_t workers = shape.total();
    CAPTURE(shape.processes);
    CAPTURE(workers);
    Collected<Record> seen;
    Dataflow flow("flow", [&](Scope<>& scope) {
      auto left = scope.Input("left", NumbersOfEachWorker(20));
      auto right = scope.Input("right", NumbersOfEachWorker(10));
      left |
          BinaryNotify<Record>(
              "sums", right, pact::Gather{}, pact::Gather{},
              [](Capability<>, Notificator<>&) {
                return [sums = std::map<Epoch, int64_t>()](auto& in, auto& other_in, auto& out,
                                                           auto& notificator) mutable {
                  auto add = [&](auto& time, auto& batch) {
                    if (sums.count(time.time()) == 0) notificator.NotifyAt(time.Retain());
                    for (int64_t x : batch) sums[time.time()] += x % 1000 + 1;
                  };
                  in.ForEach(add);
                  other_in.ForEach(add);
                  while (auto capability = notificator.Next(in.frontier(), other_in.frontier())) {
                    const Epoch epoch = capability->time();
                    out.SessionAt(*capability)
                        .Give(Record(static_cast<int64_t>(epoch), sums.extract(epoch).mapped()));
                  }
                };
              }) |
          CollectInto("collect", seen);
    });
    RunOptions options;
    options.epoch_config = TestingEpochConfig{};
    CheckOk(RunInShape(flow, shape, options));
    // Each epoch is emitted once, with all that both inputs had in it.
    const std::vector<Record> sums = seen.Sorted();
    int64_t total = 0;
    for (size_t i = 0; i < sums.size(); ++i) {
      total += sums[i].second;
      if (i > 0) CHECK(sums[i - 1].first < sums[i].first);
    }
    CHECK(total == workers * (20 * 21 / 2 + 10 * 11 / 2));
  }
}

}  // namespace
}  // namespace headway
