// Bounded memory and recycling: the bytes in flight stay within the limit, and steady state
// allocates nothing per batch.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <numeric>
#include <string>
#include <vector>

#include "headway.h"
#include "tests/engine/graph/allocation_counter.h"
#include "tests/sanitizers.h"

namespace headway {
namespace {

constexpr int64_t kBlock = internal::kBlockBytes;

// The most bytes that were in flight at any look, over all workers.
class HighWater {
 public:
  void Look(Scope<>& scope) { Look(scope.graph()); }
  void Look(internal::Graph& graph) {
    int64_t now = graph.worker().attempt().flow_control().InFlight();
    int64_t seen = bytes_.load();
    while (seen < now && !bytes_.compare_exchange_weak(seen, now)) {
    }
  }
  int64_t bytes() const { return bytes_.load(); }

 private:
  std::atomic<int64_t> bytes_{0};
};

// Yields 0, 1, ... count - 1 on each worker.
auto Numbers(uint64_t count) {
  return ManualSource(
      [count](int, int, std::optional<uint64_t>) -> Generator<std::pair<uint64_t, uint64_t>> {
        for (uint64_t i = 0; i < count; ++i) co_yield {i, i};
      });
}

// Takes one batch in each activation, and none in most of them: slower than any source.
template <class D>
auto SlowConsumer(HighWater& high_water, std::atomic<uint64_t>& taken) {
  return [&](const Stream<D>& stream) {
    OperatorBuilder<Epoch> builder(stream.scope(), "slow");
    NodeInput<D>& input = builder.AddInput(stream, pact::Exchange{[](const D& d) { return d; }});
    NodeOutput<D>& output = builder.AddOutput<D>();
    builder.IgnoreFrontier(0);
    internal::Graph& graph = builder.graph();
    builder.BuildWithoutCapabilities([&, node = &builder.node(), turn = 0]() mutable {
      high_water.Look(graph);
      if (++turn % 4 != 0) {
        if (!input.empty()) graph.queue().Activate(*node);
        return;
      }
      input.ForEach([&](const CapabilityRef<Epoch>&, Batch<D>& batch) { taken += batch.size(); });
    });
    return builder.StreamOf(output);
  };
}

TEST_CASE("bytes in flight stay within the limit with a fast source and a slow consumer") {
  for (int workers : {1, 2, 3, 8}) {
    CAPTURE(workers);
    // Several times the limit of bytes in flight, with any number of workers.
    const auto count =
        static_cast<uint64_t>(Repeated(400'000, std::min(400'000, 800'000 / workers)));
    constexpr int64_t kLimit = 64 * kBlock;
    HighWater high_water;
    std::atomic<uint64_t> taken{0};
    Dataflow flow("bounded", [&](Scope<>& scope) {
      scope.Input("numbers", Numbers(count)) | SlowConsumer<uint64_t>(high_water, taken);
    });
    absl::Status status = RunMain(flow, {.worker_count = workers, .max_bytes_in_flight = kLimit});
    REQUIRE_MESSAGE(status.ok(), status.ToString());
    CHECK(taken == count * static_cast<uint64_t>(workers));
    // One activation of each source: some batches that are partitioned for all workers, with a
    // partial one for each.
    const int64_t activation = workers * (4 + workers) * kBlock;
    // Exclusive credit: each worker may have so much in flight although the pool is full.
    const int64_t exclusive = workers * internal::kExclusiveBytes;
    CHECK(high_water.bytes() <= kLimit + activation + exclusive);
  }
}

TEST_CASE("a step that multiplies stops between two batches when credit is used up") {
  for (int workers : {1, 2, 3, 8}) {
    CAPTURE(workers);
    constexpr uint64_t kCount = Repeated(3'000, 300);
    constexpr uint64_t kFactor = 1'000;
    constexpr int64_t kLimit = 64 * kBlock;
    HighWater high_water;
    std::atomic<uint64_t> taken{0};
    Dataflow flow("multiply", [&](Scope<>& scope) {
      scope.Input("numbers", Numbers(kCount)) | FlatMap("times", [](uint64_t x) {
        return std::views::iota(x * kFactor, (x + 1) * kFactor);
      }) | SlowConsumer<uint64_t>(high_water, taken);
    });
    absl::Status status = RunMain(flow, {.worker_count = workers, .max_bytes_in_flight = kLimit});
    REQUIRE_MESSAGE(status.ok(), status.ToString());
    CHECK(taken == kCount * kFactor * static_cast<uint64_t>(workers));
    const int64_t activation = workers * (4 + workers) * kBlock;
    const int64_t exclusive = workers * internal::kExclusiveBytes;
    CHECK(high_water.bytes() <= kLimit + activation + exclusive);
  }
}

TEST_CASE("two steps that multiply, one behind the other, are bounded too") {
  for (int workers : {1, 2}) {
    CAPTURE(workers);
    constexpr uint64_t kCount = 30;
    constexpr int64_t kLimit = 64 * kBlock;
    HighWater high_water;
    std::atomic<uint64_t> taken{0};
    Dataflow flow("multiply twice", [&](Scope<>& scope) {
      auto times = [](uint64_t x) { return std::views::iota(x * 300, (x + 1) * 300); };
      scope.Input("numbers", Numbers(kCount)) | FlatMap("first", times) | FlatMap("second", times) |
          SlowConsumer<uint64_t>(high_water, taken);
    });
    absl::Status status = RunMain(flow, {.worker_count = workers, .max_bytes_in_flight = kLimit});
    REQUIRE_MESSAGE(status.ok(), status.ToString());
    CHECK(taken == kCount * 300 * 300 * static_cast<uint64_t>(workers));
    CHECK(high_water.bytes() <=
          kLimit + workers * (4 + workers) * kBlock + workers * internal::kExclusiveBytes);
  }
}

TEST_CASE(
    "a pipeline of several steps goes on when its first channel has used up the whole limit") {
  for (int workers : {1, 2, 3}) {
    CAPTURE(workers);
    constexpr uint64_t kCount = Repeated(100'000, 10'000);
    std::atomic<uint64_t> taken{0};
    Dataflow flow("narrow", [&](Scope<>& scope) {
      Stream<uint64_t> stream = scope.Input("numbers", Numbers(kCount));
      for (int i = 0; i < 6; ++i)
        stream = stream | Exchange("hop" + std::to_string(i),
                                   [i](uint64_t x) { return x + static_cast<uint64_t>(i); });
      stream | Inspect("count", [&](uint64_t) { ++taken; });
    });
    absl::Status status = RunMain(flow, {.worker_count = workers, .max_bytes_in_flight = 1});
    REQUIRE_MESSAGE(status.ok(), status.ToString());
    CHECK(taken == kCount * static_cast<uint64_t>(workers));
  }
}

// A cycle in which each record goes round while it is above zero, each turn giving `copies` records
// of one less.
absl::Status RunCycle(int workers, uint64_t records, uint64_t turns, int copies, int64_t limit,
                      std::atomic<uint64_t>& left) {
  return Execute(
      {.workers = workers, .run = {.max_bytes_in_flight = limit}},
      [&](Worker& worker) -> absl::Status {
        InputHandle<uint64_t> input;
        HEADWAY_RETURN_IF_ERROR(worker.Build("cycle", [&](Scope<>& scope) {
          auto [loop, looped] = scope.Feedback<uint64_t>("loop", 1);
          auto stream = scope.Input(input) | Merge("merge", looped) | Exchange("spread") |
                        Filter("going", [&](uint64_t x) {
                          if (x == 0) ++left;
                          return x > 0;
                        });
          stream | FlatMap("less", [copies](uint64_t x) {
            return std::vector<uint64_t>(static_cast<size_t>(copies), x - 1);
          }) | ConnectLoop(loop);
        }));
        for (uint64_t i = 0; i < records; ++i) {
          input.Send(turns);
          if (!input.HasCredit())
            HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return !input.HasCredit(); }));
        }
        return absl::OkStatus();
      });
}

TEST_CASE("a cycle under the limit does not deadlock") {
  for (int workers : {1, 2, 3}) {
    CAPTURE(workers);
    std::atomic<uint64_t> left{0};
    absl::Status status = RunCycle(workers, 20'000, Repeated(20, 4), 1, 8 * kBlock * workers, left);
    CHECK_MESSAGE(status.ok(), status.ToString());
    CHECK(left == 20'000 * static_cast<uint64_t>(workers));
  }
}

TEST_CASE("a cycle that does not amplify goes on under any limit") {
  for (int workers : {1, 2, 3}) {
    CAPTURE(workers);
    std::atomic<uint64_t> left{0};
    absl::Status status = RunCycle(workers, 1, 50, 1, 1, left);
    CHECK_MESSAGE(status.ok(), status.ToString());
    CHECK(left == static_cast<uint64_t>(workers));
  }
}

TEST_CASE("a cycle that amplifies past the limit ends with ResourceExhausted") {
  for (int workers : {1, 2, 3}) {
    CAPTURE(workers);
    std::atomic<uint64_t> left{0};
    absl::Status status = RunCycle(workers, 1'000, 40, 2, 64 * kBlock, left);
    CHECK(status.code() == absl::StatusCode::kResourceExhausted);
    CHECK(status.message().find("amplifies") != std::string_view::npos);
  }
}

#ifndef HEADWAY_SANITIZED

// Sends `records` per round and worker through an exchange, and returns the allocations of the last
// rounds.
template <class D, class MakeRecord, class Key>
uint64_t AllocationsInSteadyState(int workers, bool (*sends)(int worker), MakeRecord make,
                                  Key key) {
  constexpr uint64_t kRecords = 20'000;
  constexpr Epoch kWarmUp = 10;
  constexpr Epoch kRounds = 50;
  std::atomic<uint64_t> before{0};
  std::atomic<uint64_t> after{0};
  std::atomic<uint64_t> received{0};
  std::barrier all_have_sent(workers);
  absl::Status status = Execute({.workers = workers}, [&](Worker& worker) -> absl::Status {
    InputHandle<D> input;
    ProbeHandle<> probe;
    HEADWAY_RETURN_IF_ERROR(worker.Build("steady", [&](Scope<>& scope) {
      scope.Input(input) | Exchange("exchange", key) |
          Inspect("count", [&](const auto&) { received.fetch_add(1, std::memory_order_relaxed); }) |
          Probe(probe);
    }));
    for (Epoch round = 0; round < kRounds; ++round) {
      // The probe has passed the round before on every worker, so its allocations are counted.
      if (worker.index() == 0 && round == kWarmUp) before = AllocationCount();
      // Rounds of the warm-up are larger, and nobody takes anything before all have sent: whatever
      // the schedule, there are then enough blocks for all later rounds.
      const uint64_t records = round < kWarmUp ? 4 * kRecords : kRecords;
      if (sends(worker.index())) {
        for (uint64_t i = 0; i < records; ++i) input.Send(make(i));
      }
      input.AdvanceTo(round + 1);
      if (round < kWarmUp) all_have_sent.arrive_and_wait();
      HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return probe.LessThan(input.time()); }));
    }
    if (worker.index() == 0) after = AllocationCount();
    return absl::OkStatus();
  });
  REQUIRE_MESSAGE(status.ok(), status.ToString());
  REQUIRE(received > 0);
  return after - before;
}

TEST_CASE("steady state allocates nothing per batch") {
  auto all = +[](int) { return true; };
  auto only_first = +[](int worker) { return worker == 0; };
  auto number = [](uint64_t i) { return i; };
  const std::string text = "a text that is longer than what a string keeps inside of itself";
  auto view = [&](uint64_t i) { return std::string_view(text).substr(i % 40); };
  auto by_value = [](const auto& record) { return record; };
  auto to_one = [](const auto&) { return uint64_t{7}; };
  auto to_other = [](const auto&) { return uint64_t{8}; };
  // 40 rounds of 20,000 records are 400 batches and more of each worker. The tolerance is far below
  // one allocation per round.
  constexpr uint64_t kTolerated = 16;
  for (int workers : {1, 2, 3}) {
    CAPTURE(workers);
    CHECK(AllocationsInSteadyState<uint64_t>(workers, all, number, by_value) <= kTolerated);
    CHECK(AllocationsInSteadyState<uint64_t>(workers, only_first, number, by_value) <= kTolerated);
    CHECK(AllocationsInSteadyState<uint64_t>(workers, all, number, to_one) <= kTolerated);
    CHECK(AllocationsInSteadyState<uint64_t>(workers, only_first, number, to_other) <= kTolerated);
    CHECK(AllocationsInSteadyState<std::string>(workers, all, view, by_value) <= kTolerated);
    CHECK(AllocationsInSteadyState<std::string>(workers, only_first, view, by_value) <= kTolerated);
    CHECK(AllocationsInSteadyState<std::string>(workers, all, view, to_one) <= kTolerated);
  }
}

#endif  // HEADWAY_SANITIZED

}  // namespace
}  // namespace headway
