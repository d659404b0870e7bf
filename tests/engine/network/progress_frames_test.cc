#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "bench/headway_bench/counting_transport.h"
#include "engine/run_program.h"
#include "headway.h"
#include "tests/engine/run_helpers.h"
#include "tests/engine/thread_cluster.h"

// When a process tells the others of its progress, and how often.

namespace headway {
namespace {

using bench::ProgressTraffic;

// Limit of a wait that only a defect makes long: the test fails then, instead of hanging.
constexpr absl::Duration kGiveUp = absl::Seconds(60);

// Runs `program` on each worker of a cluster of threads. Returns the sent traffic.
std::unique_ptr<ProgressTraffic> RunCounted(
    std::vector<std::unique_ptr<internal::Transport>> transports, Shape shape,
    const std::function<absl::Status(Worker&)>& program) {
  auto traffic = std::make_unique<ProgressTraffic>();
  std::vector<absl::Status> statuses(transports.size());
  std::vector<std::thread> threads;
  for (size_t process = 0; process < transports.size(); ++process) {
    threads.emplace_back([&, process] {
      statuses[process] = internal::RunProcess(internal::HostProgram(program), {}, shape.workers,
                                               std::make_unique<bench::CountingTransport>(
                                                   std::move(transports[process]), traffic.get()));
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const absl::Status& status : statuses) CheckOk(status);
  return traffic;
}

TEST_CASE(
    "an epoch costs each process at most one frame to each other, however many workers it has") {
  constexpr Epoch kEpochs = 200;
  for (const bool sockets : {false, true}) {
    for (const Shape shape : {Shape{2, 1}, Shape{2, 2}, Shape{2, 3}, Shape{4, 4}}) {
      CAPTURE(sockets);
      CAPTURE(shape.processes);
      CAPTURE(shape.workers);
      const auto traffic = RunCounted(
          sockets ? SocketMesh(shape.processes, shape.workers) : MemoryMesh(shape.processes), shape,
          [](Worker& worker) -> absl::Status {
            InputHandle<int> input;
            ProbeHandle<> probe;
            HEADWAY_RETURN_IF_ERROR(
                worker.Build("epochs", [&](Scope<>& scope) { scope.Input(input) | Probe(probe); }));
            for (Epoch epoch = 1; epoch < kEpochs; ++epoch) {
              input.AdvanceTo(epoch);
              HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return probe.LessThan(epoch); }));
            }
            input.Close();
            return worker.StepWhile([&] { return !probe.Done(); });
          });
      const auto links = static_cast<uint64_t>(shape.processes * (shape.processes - 1));
      // There are fewer if all workers of a process enter the next epoch before the pump sums this
      // one. For the epoch after that they would need progress of processes that received theirs.
      CHECK(traffic->frames.load() <= kEpochs * links);
      CHECK(traffic->frames.load() >= kEpochs * links / 2);
      CHECK(traffic->bytes.load() <= 72 * traffic->frames.load());
    }
  }
}

// Steps until `done`, or gives up.
absl::Status StepUntil(Worker& worker, const std::function<bool()>& done) {
  const absl::Time end = absl::Now() + kGiveUp;
  while (!done()) {
    if (absl::Now() > end) return absl::DeadlineExceededError("what was awaited did not happen");
    HEADWAY_RETURN_IF_ERROR(worker.StepOrPark(absl::Milliseconds(10)));
  }
  return absl::OkStatus();
}

TEST_CASE("neither a worker in user code nor one that sleeps holds back what others do") {
  constexpr Epoch kEpochs = 100;
  constexpr Shape kShape{2, 3};
  std::atomic<bool> others_are_done{false};
  std::atomic<int> closed{0};
  RunCounted(
      SocketMesh(kShape.processes, kShape.workers), kShape, [&](Worker& worker) -> absl::Status {
        // Workers 0 and 3, one in each process, go through the epochs. Worker 1 is busy with
        // something else meanwhile, all others sleep.
        const bool advances = worker.index() % kShape.workers == 0;
        InputHandle<int> input;
        ProbeHandle<> probe;
        HEADWAY_RETURN_IF_ERROR(
            worker.Build("epochs", [&](Scope<>& scope) { scope.Input(input) | Probe(probe); }));
        if (!advances) {
          input.Close();
          HEADWAY_RETURN_IF_ERROR(worker.Step());
          ++closed;
          const absl::Time end = absl::Now() + kGiveUp;
          while (worker.index() == 1 && !others_are_done && absl::Now() < end) {
            std::this_thread::yield();
          }
          return worker.StepWhile([&] { return !probe.Done(); });
        }
        HEADWAY_RETURN_IF_ERROR(StepUntil(worker, [&] { return closed == 4; }));
        for (Epoch epoch = 1; epoch <= kEpochs; ++epoch) {
          input.AdvanceTo(epoch);
          HEADWAY_RETURN_IF_ERROR(StepUntil(worker, [&] { return !probe.LessThan(epoch); }));
        }
        input.Close();
        HEADWAY_RETURN_IF_ERROR(StepUntil(worker, [&] { return probe.Done(); }));
        others_are_done = true;
        return absl::OkStatus();
      });
}

// One whose connections have no room for progress until it has waited for that several times after
// `ended`.
class BackedUpTransport final : public bench::CountingTransport {
 public:
  BackedUpTransport(std::unique_ptr<internal::Transport> transport, ProgressTraffic* traffic,
                    const std::atomic<bool>* ended, std::atomic<int>* too_late)
      : CountingTransport(std::move(transport), traffic), ended_(*ended), too_late_(*too_late) {}

  void Send(int process, const internal::OutgoingFrame& frame) override {
    if (frame.frame_class == internal::FrameClass::kGoodbye) said_goodbye_ = true;
    if (frame.frame_class == internal::FrameClass::kProgress && said_goodbye_) ++too_late_;
    CountingTransport::Send(process, frame);
  }
  size_t QueuedBytes(int process, internal::FrameClass frame_class) const override {
    return waits_ < kWaits && frame_class == internal::FrameClass::kProgress
               ? size_t{1} << 20
               : CountingTransport::QueuedBytes(process, frame_class);
  }
  void Wait(std::optional<std::chrono::nanoseconds> timeout) override {
    if (waits_ >= kWaits) {
      CountingTransport::Wait(timeout);
    } else if (ended_) {
      ++waits_;
    }
  }

 private:
  static constexpr int kWaits = 3;
  const std::atomic<bool>& ended_;
  std::atomic<int>& too_late_;
  bool said_goodbye_ = false;
  int waits_ = 0;
};

TEST_CASE(
    "the last progress of a process goes before its goodbye, though it has to wait for room") {
  std::vector<std::unique_ptr<internal::Transport>> transports = MemoryMesh(3);
  ProgressTraffic traffic;
  std::atomic<bool> ended{false};
  std::atomic<int> too_late{0};
  transports[0] =
      std::make_unique<BackedUpTransport>(std::move(transports[0]), &traffic, &ended, &too_late);
  RunCounted(std::move(transports), {3, 1}, [&](Worker& worker) -> absl::Status {
    InputHandle<int> input;
    ProbeHandle<> probe;
    HEADWAY_RETURN_IF_ERROR(worker.Build("epochs", [&](Scope<>& scope) {
      // Goes with the dataflow, after which the worker has nothing left to wait for.
      std::shared_ptr<void> guard(nullptr, [&ended, index = worker.index()](void*) {
        if (index == 0) ended = true;
      });
      scope.Input(input) | Inspect("guard", [guard](int) {}) | Probe(probe);
    }));
    input.AdvanceTo(7);
    input.Close();
    return worker.StepWhile([&] { return !probe.Done(); });
  });
  CHECK(traffic.frames.load() == 2);
  CHECK(too_late.load() == 0);
}

}  // namespace
}  // namespace headway
