// Random dataflows of transforms that have to stop in the middle of batches, because there is no
// credit: no record is lost, and none comes when its epoch is complete.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <ranges>
#include <string>
#include <vector>

#include "tests/comm/test_seed.h"
#include "tests/engine/run_helpers.h"
#include "tests/sanitizers.h"

namespace headway {
namespace {

using Numbers = Stream<uint64_t>;

constexpr Epoch kEpochs = 6;
// The largest number of records of one stream that result from one record of the input.
constexpr uint64_t kMaxRecords = Repeated(20'000, 3'000);

// A dataflow that every worker builds in the same way. Stream 0 is the input; each step makes one
// more, of earlier ones.
struct Plan {
  enum class Kind { kFlatMap, kNestedFlatMap, kMap, kMerge, kPass, kExchange };
  static constexpr int kKinds = 6;

  struct Step {
    Kind kind;
    size_t from;
    size_t other;     // of a merge
    uint64_t factor;  // of a FlatMap
  };

  explicit Plan(std::mt19937_64& random) {
    auto below = [&](uint64_t limit) { return random() % limit; };
    records_in_epoch = 1 + below(3);
    steps_while_feeding = below(2) == 0;
    const size_t count = 3 + below(8);
    while (steps.size() < count) {
      // Most often the latest, so that there are long chains.
      auto some = [&] { return below(3) == 0 ? below(records.size()) : records.size() - 1; };
      Step step{static_cast<Kind>(below(kKinds)), some(), some(), 1 + below(200)};
      uint64_t of_one = records[step.from];
      if (step.kind == Kind::kFlatMap || step.kind == Kind::kNestedFlatMap) of_one *= step.factor;
      if (step.kind == Kind::kMerge) of_one += records[step.other];
      if (of_one > kMaxRecords) continue;
      used[step.from] = true;
      if (step.kind == Kind::kMerge) used[step.other] = true;
      steps.push_back(step);
      records.push_back(of_one);
      used.push_back(false);
    }
  }

  uint64_t records_in_epoch;
  bool steps_while_feeding;
  std::vector<Step> steps;
  std::vector<uint64_t> records = {1};  // by stream: how many one input record results in
  std::vector<bool> used = {false};     // by stream
};

// The records that reached the end of a stream.
struct Seen {
  std::array<std::atomic<uint64_t>, kEpochs> records{};  // by epoch
  std::atomic<uint64_t> late{0};
};

auto Check(std::string step_id, Seen& seen) {
  return UnaryFrontier<uint64_t>(
      std::move(step_id), pact::Exchange{[](uint64_t x) { return x; }}, [&seen](Capability<>) {
        return
            [&seen, complete = Epoch{0}](NodeInput<uint64_t>& in, NodeOutput<uint64_t>&) mutable {
              in.ForEach([&](const CapabilityRef<Epoch>& time, Batch<uint64_t>& batch) {
                if (time.time() < complete) seen.late += batch.size();
                seen.records[time.time()] += batch.size();
              });
              const auto frontier = in.frontier().elements();
              complete = frontier.empty() ? kEpochs : frontier.front();
            };
      });
}

auto Times(std::string step_id, uint64_t factor) {
  return FlatMap(std::move(step_id),
                 [factor](uint64_t x) { return std::views::iota(x, x + factor); });
}

Numbers Build(const Plan::Step& step, const std::string& id, Scope<>& scope,
              const std::vector<Numbers>& streams) {
  const Numbers& from = streams[step.from];
  switch (step.kind) {
    case Plan::Kind::kFlatMap:
      return from | Times(id, step.factor);
    case Plan::Kind::kNestedFlatMap:
      return scope.Iterate(id, [&](auto& inner) {
        return from | Enter(inner) | Times("times", step.factor) | Leave(scope);
      });
    case Plan::Kind::kMap:  // not in place
      return from | Map(id + "a", [](uint64_t x) { return static_cast<uint32_t>(x); }) |
             Map(id + "b", [](uint32_t x) { return uint64_t{x}; });
    case Plan::Kind::kMerge:
      return from | Merge(id, streams[step.other]);
    case Plan::Kind::kPass:
      return from | Unary<uint64_t>(id, pact::Pipeline{}, [](Capability<>) {
               return [](NodeInput<uint64_t>& in, NodeOutput<uint64_t>& out) {
                 in.ForEach([&](const CapabilityRef<Epoch>& time, Batch<uint64_t>& batch) {
                   out.SessionAt(time).GiveBatch(std::move(batch));
                 });
               };
             });
    case Plan::Kind::kExchange:
      return from | Exchange(id, [](uint64_t x) { return x; });
  }
  return from;
}

void RunPlan(const Plan& plan, int workers) {
  std::vector<Seen> seen(plan.records.size());
  auto program = [&](Worker& worker) -> absl::Status {
    InputHandle<uint64_t> input;
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      std::vector<Numbers> streams = {scope.Input(input)};
      for (const Plan::Step& step : plan.steps) {
        streams.push_back(Build(step, "step" + std::to_string(streams.size()), scope, streams));
      }
      for (size_t i = 0; i < streams.size(); ++i) {
        if (!plan.used[i]) streams[i] | Check("check" + std::to_string(i), seen[i]);
      }
    }));
    for (Epoch epoch = 0; epoch < kEpochs; ++epoch) {
      for (uint64_t i = 0; i < plan.records_in_epoch; ++i) input.Send(1000 * epoch + i);
      input.AdvanceTo(epoch + 1);
      if (plan.steps_while_feeding) HEADWAY_RETURN_IF_ERROR(worker.Step());
    }
    input.Close();
    return worker.StepWhile([&] { return worker.HasDataflows(); });
  };
  CheckOk(Execute({.workers = workers, .run = {.max_bytes_in_flight = 1}}, program));
  for (size_t i = 0; i < seen.size(); ++i) {
    if (plan.used[i]) continue;
    CAPTURE(i);
    CHECK(seen[i].late == 0);
    const uint64_t expected =
        static_cast<uint64_t>(workers) * plan.records_in_epoch * plan.records[i];
    for (const std::atomic<uint64_t>& records : seen[i].records) CHECK(records == expected);
  }
}

TEST_CASE("whatever stops for lack of credit, no record is lost, and none is late") {
  const uint64_t seed = internal::TestSeed("stalls");
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < Repeated(200, 15); ++round) {
    CAPTURE(round);
    const Plan plan(random);
    for (const int workers : {1, 2, 3}) {
      CAPTURE(workers);
      RunPlan(plan, workers);
    }
  }
}

}  // namespace
}  // namespace headway
