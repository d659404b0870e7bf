// The credit of a batch returns to its sender, whatever drops the batch: a worker that has removed
// the dataflow already, that has not built it yet, or that has ended its program.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <random>
#include <ranges>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/program.h"
#include "engine/run_program.h"
#include "tests/comm/test_seed.h"
#include "tests/engine/run_helpers.h"
#include "tests/engine/thread_cluster.h"
#include "tests/engine/worker_pair.h"
#include "tests/sanitizers.h"

namespace headway {
namespace {

// Builds a dataflow on the worker that sends all to the second of two.
absl::Status BuildFlow(Worker& worker, InputHandle<uint64_t>& input) {
  static thread_local uint64_t count = 0;
  return worker.Build("flow", [&](Scope<>& scope) { scope.Input(input) | TakeOn(1, count); });
}

TEST_CASE("the credit of batches that a worker drops after it cancelled returns to their sender") {
  WorkerPair pair({.max_bytes_in_flight = 1});
  InputHandle<uint64_t> from_sender;
  InputHandle<uint64_t> from_receiver;
  CheckOk(BuildFlow(pair.first, from_sender));
  CheckOk(BuildFlow(pair.second, from_receiver));
  CheckOk(pair.second.Cancel("flow"));
  for (int round = 0; round < 3; ++round) {
    CHECK(UseUpCredit(from_sender) > 0);
    CheckOk(pair.first.Step());
    CHECK_FALSE(from_sender.HasCredit());
    CheckOk(pair.second.Step());
    CHECK(from_sender.HasCredit());
    CHECK(pair.attempt.flow_control().InFlight() == 0);
  }
}

TEST_CASE("so does that of batches that waited for the build of a dataflow and its cancellation") {
  WorkerPair pair({.max_bytes_in_flight = 1});
  InputHandle<uint64_t> from_sender;
  InputHandle<uint64_t> from_receiver;
  CheckOk(BuildFlow(pair.first, from_sender));
  UseUpCredit(from_sender);
  CheckOk(pair.first.Step());
  CheckOk(pair.second.Step());  // keeps the batches
  CHECK_FALSE(from_sender.HasCredit());
  CheckOk(BuildFlow(pair.second, from_receiver));
  CHECK_FALSE(from_sender.HasCredit());
  CheckOk(pair.second.Cancel("flow"));
  CHECK(from_sender.HasCredit());
  CHECK(pair.attempt.flow_control().InFlight() == 0);
}

TEST_CASE("so does that of batches for a worker that is gone before it built the dataflow") {
  internal::RunContext run(2, {.max_bytes_in_flight = 1});
  internal::Attempt attempt(run);
  Worker sender(attempt, 0);
  InputHandle<uint64_t> input;
  {
    Worker receiver(attempt, 1);
    CheckOk(BuildFlow(sender, input));
    UseUpCredit(input);
    CheckOk(sender.Step());
    CheckOk(receiver.Step());
  }
  CHECK(input.HasCredit());
  CHECK(attempt.flow_control().InFlight() == 0);
}

TEST_CASE("a worker whose program has ended drops the batches of one that is not done yet") {
  std::atomic<bool> ended{false};
  constexpr uint64_t kNumbers = 4 * internal::kExclusiveBytes / sizeof(uint64_t);
  auto program = [&](Worker& worker) -> absl::Status {
    InputHandle<uint64_t> input;
    HEADWAY_RETURN_IF_ERROR(BuildFlow(worker, input));
    if (worker.index() == 1) {
      HEADWAY_RETURN_IF_ERROR(worker.Cancel("flow"));
      ended = true;
      return absl::OkStatus();
    }
    while (!ended) std::this_thread::yield();
    for (uint64_t i = 0; i < kNumbers; ++i) {
      input.Send(i);
      HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return !input.HasCredit(); }));
    }
    return worker.Cancel("flow");
  };
  CheckOk(Execute({.workers = 2, .run = {.max_bytes_in_flight = 1}}, program));
}

// ---- At random ----

// The kind of a dataflow, and its end.
struct FlowPlan {
  int kind;
  bool cancelled;  // by every worker, in the middle; else it is closed by every worker
};

using Random = std::mt19937_64;

void BuildPlanned(const FlowPlan& plan, Scope<>& scope, InputHandle<uint64_t>& input) {
  const Stream<uint64_t> numbers = scope.Input(input);
  const auto count = [] {
    return Unary<uint64_t>("count", pact::Pipeline{}, [](Capability<>) {
      return [](NodeInput<uint64_t>& in, NodeOutput<uint64_t>&) {
        in.ForEach([](const CapabilityRef<Epoch>&, Batch<uint64_t>&) {});
      };
    });
  };
  switch (plan.kind) {
    case 0:
      numbers | Exchange("spread") | count();
      break;
    case 1:
      numbers | Exchange("first") | Exchange("second", [](uint64_t x) { return x / 7; }) | count();
      break;
    case 2:
      numbers | Exchange("spread") |
          FlatMap("times", [](uint64_t x) { return std::views::iota(x, x + 40); }) |
          Exchange("again") | count();
      break;
    default: {  // each number goes round three times
      auto [loop, again] = scope.Feedback<uint64_t>("loop", 1);
      const Stream<uint64_t> all = numbers | Map("start", [](uint64_t x) { return x * 4 + 3; }) |
                                   Merge("all", again) | Exchange("spread");
      all | Filter("more", [](uint64_t x) { return x % 4 > 0; }) |
          Map("turn", [](uint64_t x) { return x - 1; }) | ConnectLoop(loop);
      all | count();
    }
  }
}

// Feeds dataflows at random moments between those at which it builds, cancels and closes them.
class RandomHost {
 public:
  RandomHost(Worker& worker, const std::vector<FlowPlan>& plan, uint64_t seed)
      : worker_(worker),
        plan_(plan),
        inputs_(plan.size()),
        random_(seed + static_cast<uint64_t>(worker.index())) {}

  absl::Status Run() {
    while (built_ < plan_.size() || !open_.empty()) {
      HEADWAY_RETURN_IF_ERROR(Act());
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Act() {
    const uint64_t choice = random_() % 8;
    if (choice == 0 && built_ < plan_.size()) {
      const size_t index = built_++;
      open_.push_back(index);
      return worker_.Build(
          Name(index), [&](Scope<>& scope) { BuildPlanned(plan_[index], scope, inputs_[index]); });
    }
    if (choice == 1) return worker_.Step();
    if (open_.empty()) return absl::OkStatus();
    const size_t at = random_() % open_.size();
    const size_t index = open_[at];
    if (choice == 2) {
      open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(at));
      if (plan_[index].cancelled) return worker_.Cancel(Name(index));
      inputs_[index].Close();
      return absl::OkStatus();
    }
    return Feed(inputs_[index]);
  }

  absl::Status Feed(InputHandle<uint64_t>& input) {
    const uint64_t numbers = random_() % 10'000;
    for (uint64_t i = 0; i < numbers; ++i) {
      input.Send(random_());
      if (i % 1'000 == 0) {
        HEADWAY_RETURN_IF_ERROR(worker_.StepWhile([&] { return !input.HasCredit(); }));
      }
    }
    if (random_() % 2 == 0) input.AdvanceTo(input.time() + 1);
    return absl::OkStatus();
  }

  static std::string Name(size_t index) { return "flow " + std::to_string(index); }

  Worker& worker_;
  const std::vector<FlowPlan>& plan_;
  std::vector<InputHandle<uint64_t>> inputs_;
  size_t built_ = 0;
  std::vector<size_t> open_;  // built, and neither cancelled nor closed
  Random random_;
};

void RunRandomHosts(uint64_t seed) {
  CAPTURE(seed);
  Random random(seed);
  std::vector<FlowPlan> plan(2 + random() % 6);
  for (FlowPlan& flow : plan) {
    flow = {.kind = static_cast<int>(random() % 4), .cancelled = random() % 3 > 0};
  }
  const int processes = random() % 3 == 0 ? 2 : 1;
  const int workers = static_cast<int>(processes == 1 ? 1 + random() % 4 : 1 + random() % 2);
  // A cycle makes small batches of those that feed it, which take more memory for each record.
  const bool has_cycle =
      std::any_of(plan.begin(), plan.end(), [](const FlowPlan& flow) { return flow.kind == 3; });
  const int64_t limit = has_cycle ? 1 << 20 : 1;
  std::atomic<int> busy{processes * workers};
  const auto host = [&](Worker& worker) -> absl::Status {
    HEADWAY_RETURN_IF_ERROR(RandomHost(worker, plan, seed).Run());
    --busy;
    // A worker of another process may still wait for credit of its batches for this one.
    while (processes > 1 && busy > 0) {
      HEADWAY_RETURN_IF_ERROR(worker.StepOrPark(absl::Milliseconds(1)));
    }
    return absl::OkStatus();
  };
  std::vector<std::unique_ptr<internal::Transport>> transports(1);  // null: a process alone
  if (processes > 1) transports = MemoryMesh(processes);
  std::vector<absl::Status> statuses(transports.size());
  std::vector<std::thread> threads;
  for (size_t process = 0; process < transports.size(); ++process) {
    threads.emplace_back([&, process] {
      statuses[process] =
          internal::RunProcess(internal::HostProgram(host), {.max_bytes_in_flight = limit}, workers,
                               std::move(transports[process]));
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const absl::Status& status : statuses) CheckOk(status);
}

TEST_CASE("workers that build, feed, cancel and close dataflows at random all end") {
  const uint64_t first = internal::TestSeed("dropped_credit_test");
  const uint64_t runs = std::getenv("HEADWAY_TEST_SEED") != nullptr ? 1 : Repeated(30, 6);
  for (uint64_t seed = first; seed < first + runs; ++seed) RunRandomHosts(seed);
}

}  // namespace
}  // namespace headway
