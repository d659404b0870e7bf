// Dataflows that are short of credit: no step waits for ever, no worker spins, epochs advance.
#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <optional>
#include <ranges>
#include <set>
#include <thread>
#include <utility>

#include "tests/engine/run_helpers.h"

namespace headway {
namespace {

// Passes batches on.
auto Pass(std::string step_id) {
  return Unary<uint64_t>(std::move(step_id), pact::Pipeline{}, [](Capability<>) {
    return [](NodeInput<uint64_t>& in, NodeOutput<uint64_t>& out) {
      in.ForEach([&](const CapabilityRef<Epoch>& time, Batch<uint64_t>& batch) {
        out.SessionAt(time).GiveBatch(std::move(batch));
      });
    };
  });
}

// Counts the records that come.
template <class Pact>
auto CountInto(Pact pact, std::atomic<uint64_t>& count) {
  return Unary<uint64_t>("count", pact, [&count](Capability<>) {
    return [&count](NodeInput<uint64_t>& in, NodeOutput<uint64_t>&) {
      in.ForEach(
          [&](const CapabilityRef<Epoch>&, Batch<uint64_t>& batch) { count += batch.size(); });
    };
  });
}

// The batches of `first` that the FlatMap keeps wait for `second` to take its input. `second` waits
// for its own batch, which the FlatMap keeps behind those of `first`.
TEST_CASE("a FlatMap behind a merge goes on when one of its producers also feeds the other") {
  constexpr uint64_t kInputs = 4;
  // More than the exclusive credit, in one activation, and still more after a batch was taken.
  constexpr uint64_t kNumbers = 3 * internal::kExclusiveBytes / sizeof(uint64_t);
  constexpr uint64_t kFactor = 20;
  std::atomic<uint64_t> count{0};
  CheckOk(Execute({.run = {.max_bytes_in_flight = 1}}, [&](Worker& worker) -> absl::Status {
    InputHandle<uint64_t> input;
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      Stream<uint64_t> first =
          scope.Input(input) | Unary<uint64_t>("first", pact::Pipeline{}, [](Capability<>) {
            return [](NodeInput<uint64_t>& in, NodeOutput<uint64_t>& out) {
              in.ForEach([&](const CapabilityRef<Epoch>& time, Batch<uint64_t>&) {
                auto session = out.SessionAt(time);
                for (uint64_t i = 0; i < kNumbers; ++i) session.Give(i);
              });
            };
          });
      first | Merge("merge", first | Pass("second")) |
          FlatMap("times", [](uint64_t x) { return std::views::iota(x, x + kFactor); }) |
          CountInto(pact::Pipeline{}, count);
    }));
    for (uint64_t i = 0; i < kInputs; ++i) {
      input.Send(i);
      input.Flush();
    }
    input.Close();
    // On a single worker, a step that finds nothing to do before the end is followed by no other.
    do {
      HEADWAY_RETURN_IF_ERROR(worker.Step());
    } while (worker.did_work());
    return worker.HasDataflows() ? worker.Cancel("flow") : absl::OkStatus();
  }));
  CHECK(count == kInputs * kNumbers * 2 * kFactor);
}

// Both stop in the middle of an epoch, and the producer has advanced to later ones meanwhile. When
// the first continues, the batches that the second keeps belong to that earlier epoch.
TEST_CASE(
    "what a FlatMap keeps while one before it goes on with an earlier epoch holds that epoch") {
  constexpr uint64_t kEpochs = 8;
  constexpr uint64_t kFactor = 5'000;
  std::atomic<uint64_t> late{0};
  std::atomic<uint64_t> count{0};
  for (const int workers : kWorkerCounts) {
    CAPTURE(workers);
    count = 0;
    auto run = [&](Worker& worker) -> absl::Status {
      InputHandle<uint64_t> input;
      HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
        scope.Input(input) |
            FlatMap("first", [](uint64_t x) { return std::views::iota(x, x + kFactor); }) |
            FlatMap("second", [](uint64_t x) { return std::views::iota(x, x + 10); }) |
            UnaryFrontier<uint64_t>(
                "check", pact::Exchange{[](uint64_t x) { return x; }}, [&](Capability<>) {
                  return [&, complete = Epoch{0}](NodeInput<uint64_t>& in,
                                                  NodeOutput<uint64_t>&) mutable {
                    in.ForEach([&](const CapabilityRef<Epoch>& time, Batch<uint64_t>& batch) {
                      if (time.time() < complete) late += batch.size();
                      count += batch.size();
                    });
                    for (Epoch epoch : in.frontier().elements()) complete = epoch;
                  };
                });
      }));
      for (Epoch epoch = 0; epoch < kEpochs; ++epoch) {
        input.Send(epoch);
        input.AdvanceTo(epoch + 1);
      }
      input.Close();
      return worker.StepWhile([&] { return worker.HasDataflows(); });
    };
    CheckOk(Execute({.workers = workers, .run = {.max_bytes_in_flight = 1}}, run));
    CHECK(late == 0);
    CHECK(count == kEpochs * kFactor * 10 * static_cast<uint64_t>(workers));
  }
}

TEST_CASE("workers that wait for credit sleep, and do not wake each other up") {
  constexpr int kWorkers = 3;
  constexpr uint64_t kNumbers = 10 * internal::kExclusiveBytes / sizeof(uint64_t);
  // Sleeping workers need some tens of steps. A worker that spins passes this limit at once.
  constexpr int kTooManySteps = 5'000;
  // Looks of worker 0 that see no step of the others, before it takes them to be asleep.
  constexpr int kQuietLooks = 5'000;
  std::array<std::atomic<int>, kWorkers> steps{};
  std::atomic<bool> released{false};
  std::atomic<uint64_t> count{0};
  auto run = [&](Worker& worker) -> absl::Status {
    InputHandle<uint64_t> input;
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      scope.Input(input) | Pass("pass") | CountInto(pact::Gather{}, count);
    }));
    if (worker.index() != 0) {
      for (uint64_t i = 0; i < kNumbers; ++i) input.Send(i);
      input.Flush();
      return worker.StepWhile([&] {
        ++steps[static_cast<size_t>(worker.index())];
        return !released;
      });
    }
    // Takes nothing until the others are at rest.
    for (int quiet = 0, before = 0; quiet < kQuietLooks && before < kTooManySteps;) {
      std::this_thread::yield();
      const int now = steps[1] + steps[2];
      quiet = now == before && steps[1] > 0 && steps[2] > 0 ? quiet + 1 : 0;
      before = now;
    }
    CHECK(steps[1] + steps[2] < kTooManySteps);
    CHECK(count == 0);
    released = true;
    return absl::OkStatus();
  };
  CheckOk(Execute({.workers = kWorkers, .run = {.max_bytes_in_flight = 1}}, run));
  CHECK(count == (kWorkers - 1) * kNumbers);
}

TEST_CASE("a source that waits for credit closes its epochs when their time is over") {
  constexpr uint64_t kNumbers = 10 * internal::kExclusiveBytes / sizeof(uint64_t);
  constexpr Epoch kClosed = 5;
  constexpr absl::Duration kLength = absl::Seconds(10);
  ManualClock clock;
  bool open = false;
  std::optional<Activator> gate;  // may open it, so the run does not fail meanwhile
  std::set<Epoch> epochs;
  uint64_t count = 0;
  auto run = [&](Worker& worker) -> absl::Status {
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      auto numbers = ManualSource(
          [](int, int, std::optional<uint64_t>) -> Generator<std::pair<uint64_t, uint64_t>> {
            for (uint64_t i = 0; i < kNumbers; ++i) co_yield {i, i};
          });
      scope.Input("numbers", numbers) | [&](const Stream<uint64_t>& stream) {
        OperatorBuilder<Epoch> builder(scope, "gate");
        NodeInput<uint64_t>& in = builder.AddInput(stream, pact::Pipeline{});
        gate = builder.activator();
        builder.BuildWithoutCapabilities([&] {
          if (!open) return;
          in.ForEach([&](const CapabilityRef<Epoch>& time, Batch<uint64_t>& batch) {
            epochs.insert(time.time());
            count += batch.size();
          });
        });
      };
    }));
    auto step = [&] {
      // Far more than it takes until only the clock can change something.
      for (int i = 0; i < 100; ++i) CheckOk(worker.Step());
    };
    step();
    for (Epoch epoch = 0; epoch < kClosed; ++epoch) {
      CHECK(worker.Sources()[0]->epoch() == epoch);
      clock.Advance(kLength);
      step();
    }
    open = true;
    gate->Activate();
    return absl::OkStatus();
  };
  CheckOk(Execute({.run = {.epoch_config = PeriodicEpochConfig{.epoch_length = kLength},
                           .max_epochs_in_flight = kClosed + 1,
                           .max_bytes_in_flight = 1,
                           .clock = &clock}},
                  run));
  CHECK(count == kNumbers);
  CHECK(epochs == std::set<Epoch>{0, kClosed});
}

}  // namespace
}  // namespace headway
