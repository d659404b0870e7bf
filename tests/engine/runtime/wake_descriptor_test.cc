// Hosts that wait for a worker with poll, beside descriptors of their own.
#include "engine/runtime/wake_descriptor.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <unistd.h>
#include <uv.h>

#include <atomic>
#include <optional>
#include <thread>
#include <vector>

#include "operators/io/callback.h"
#include "operators/io/thread_input.h"
#include "tests/descriptor_limit.h"
#include "tests/engine/launch/process_harness.h"
#include "tests/engine/run_helpers.h"

namespace headway {
namespace {

bool IsReadable(int descriptor, int timeout_ms) {
  pollfd polled = {descriptor, POLLIN, 0};
  return poll(&polled, 1, timeout_ms) == 1;
}

// Steps the worker whenever its descriptor is readable, while `condition()` is true. A wake-up that
// is lost ends in an error.
template <class Condition>
absl::Status PollWhile(Worker& worker, Condition condition) {
  absl::StatusOr<int> descriptor = worker.wake_fd();
  if (!descriptor.ok()) return descriptor.status();
  while (condition()) {
    if (!IsReadable(*descriptor, kGiveUpMs)) return absl::DeadlineExceededError("no wake-up");
    HEADWAY_RETURN_IF_ERROR(worker.Step());
  }
  return absl::OkStatus();
}

// Steps until there is nothing to do.
absl::Status Settle(Worker& worker, int descriptor) {
  while (IsReadable(descriptor, 0)) HEADWAY_RETURN_IF_ERROR(worker.Step());
  return absl::OkStatus();
}

// Feeds numbers in rounds, each when the one before is complete on all workers.
absl::Status FeedRounds(Worker& worker, int rounds, Collected<int64_t>& collected) {
  InputHandle<int64_t> input;
  ProbeHandle<> probe;
  HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
    scope.Input(input) | Exchange("spread") | CollectInto("collect", collected) | Probe(probe);
  }));
  for (int round = 0; round < rounds; ++round) {
    for (int64_t i = 0; i < 20; ++i) input.Send(round * 100 + i);
    input.AdvanceTo(static_cast<Epoch>(round) + 1);
    HEADWAY_RETURN_IF_ERROR(PollWhile(worker, [&] { return probe.LessThan(input.time()); }));
    if (round % 3 == 0) {  // the other ways to step leave no wake-up behind
      HEADWAY_RETURN_IF_ERROR(worker.StepOrPark(absl::Microseconds(10)));
    }
  }
  input.Close();
  return PollWhile(worker, [&] { return worker.HasDataflows(); });
}

TEST_CASE("workers that hosts step only when their descriptor is readable exchange and complete") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    constexpr int kRounds = 200;
    Collected<int64_t> collected;
    CheckOk(Execute({.workers = workers},
                    [&](Worker& worker) { return FeedRounds(worker, kRounds, collected); }));
    CHECK(collected.size() == static_cast<size_t>(20 * kRounds * workers));
  }
}

TEST_CASE("each feed of an input makes the descriptor readable, also before a step with state") {
  CheckOk(Execute({}, [&](Worker& worker) -> absl::Status {
    int written = 0;
    InputHandle<int64_t> input;
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      scope.Input(input) | Output("out", CallbackSink([&](int64_t) { ++written; }));
    }));
    absl::StatusOr<int> descriptor = worker.wake_fd();
    if (!descriptor.ok()) return descriptor.status();
    HEADWAY_RETURN_IF_ERROR(Settle(worker, *descriptor));
    for (int i = 0; i < 5; ++i) {
      input.Send(i);
      input.AdvanceTo(static_cast<Epoch>(i) + 1);
      CHECK(IsReadable(*descriptor, 0));
      HEADWAY_RETURN_IF_ERROR(Settle(worker, *descriptor));
      CHECK(written == i + 1);
    }
    return absl::OkStatus();
  }));
}

TEST_CASE("a graceful stop reaches idle sources, however the host waits") {
  for (const Waiting waiting : {Waiting::kSpin, Waiting::kSpinThenPark}) {
    CAPTURE(static_cast<int>(waiting));
    StopHandle stop;
    CheckOk(Execute({.run = {.waiting = waiting, .stop = stop}}, [&](Worker& worker) {
      ThreadInput<int64_t> idle;
      ProbeHandle<> probe;
      HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
        scope.Input("idle", idle) | Inspect("see", [](int64_t) {}) | Probe(probe);
      }));
      const auto waits = [&] { return probe.LessThan(kStopEpoch); };
      if (waiting == Waiting::kSpin) {
        stop.RequestStop();
        return worker.StepWhile(waits);
      }
      absl::StatusOr<int> descriptor = worker.wake_fd();
      if (!descriptor.ok()) return descriptor.status();
      HEADWAY_RETURN_IF_ERROR(Settle(worker, *descriptor));
      stop.RequestStop();
      return PollWhile(worker, waits);
    }));
  }
}

TEST_CASE("a host steps with poll on one worker, while the others sleep as usual") {
  Collected<int64_t> collected;
  CheckOk(Execute({.workers = 3}, [&](Worker& worker) -> absl::Status {
    if (worker.index() == 0) return FeedRounds(worker, 100, collected);
    return worker.Build("flow", [&](Scope<>& scope) {
      InputHandle<int64_t> none;
      ProbeHandle<> probe;
      scope.Input(none) | Exchange("spread") | CollectInto("collect", collected) | Probe(probe);
      none.Close();
    });
  }));
  CHECK(collected.size() == 2'000);
}

TEST_CASE("workers of several processes wake their hosts") {
  CheckOk(ExecuteSpawned({.proc_count = 2}, [&](Worker& worker) -> absl::Status {
    Collected<int64_t> collected;
    HEADWAY_RETURN_IF_ERROR(FeedRounds(worker, 50, collected));
    return collected.size() > 0 ? absl::OkStatus() : absl::InternalError("nothing has come");
  }));
}

TEST_CASE(
    "the descriptor is quiet while there is nothing to do, and readable when a timer is due") {
  CheckOk(Execute({}, [&](Worker& worker) -> absl::Status {
    int runs = 0;
    std::optional<Activator> activator;
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      OperatorBuilder<Epoch> builder(scope, "active");
      builder.AddOutput<int64_t>();
      activator = builder.activator();
      builder.Build([&](std::vector<Capability<>> first) {
        return [&runs, held = std::move(first[0])]() mutable {
          if (++runs == 3) held.Drop();
        };
      });
    }));
    absl::StatusOr<int> descriptor = worker.wake_fd();
    if (!descriptor.ok()) return descriptor.status();
    CHECK(*worker.wake_fd() == *descriptor);
    HEADWAY_RETURN_IF_ERROR(Settle(worker, *descriptor));
    CHECK(runs == 1);
    activator->ActivateAfter(absl::Milliseconds(1));
    HEADWAY_RETURN_IF_ERROR(PollWhile(worker, [&] { return runs < 2; }));
    HEADWAY_RETURN_IF_ERROR(Settle(worker, *descriptor));
    CHECK_FALSE(IsReadable(*descriptor, 0));
    activator->Activate();
    return PollWhile(worker, [&] { return worker.HasDataflows(); });
  }));
}

TEST_CASE("threads that feed a worker, and a request to stop, wake its host") {
  ThreadInput<int64_t> input(4);
  std::thread feeder([input] {
    for (int64_t i = 0; i < 5'000; ++i) {
      if (!input.Send(i).ok()) std::abort();
    }
    input.Close();
  });
  StopHandle stop;
  Collected<int64_t> collected;
  std::thread stopper;
  CheckOk(Execute({.run = {.stop = stop}}, [&](Worker& worker) -> absl::Status {
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      scope.Input("input", input) | CollectInto("collect", collected);
    }));
    HEADWAY_RETURN_IF_ERROR(PollWhile(worker, [&] { return worker.HasDataflows(); }));
    HEADWAY_RETURN_IF_ERROR(Settle(worker, *worker.wake_fd()));
    stopper = std::thread([stop] { stop.RequestStop(); });
    return PollWhile(worker, [&] { return !stop.requested(); });
  }));
  feeder.join();
  stopper.join();
  CHECK(collected.size() == 5'000);
}

// A worker and the loop of libuv that steps it.
struct LoopHost {
  Worker* worker;
  absl::Status status;

  static void OnReadable(uv_poll_t* poll, int, int) {
    auto& host = *static_cast<LoopHost*>(poll->data);
    host.status = host.worker->Step();
    if (!host.status.ok() || !host.worker->HasDataflows()) uv_stop(poll->loop);
  }
};

TEST_CASE("a loop of libuv steps a worker that other threads feed") {
  ThreadInput<int64_t> input;
  std::thread feeder([input] {
    for (int64_t i = 0; i < 5'000; ++i) {
      if (!input.Send(i).ok()) std::abort();
    }
    input.Close();
  });
  int64_t sum = 0;
  CheckOk(Execute({}, [&](Worker& worker) -> absl::Status {
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      scope.Input("input", input) | Output("sum", CallbackSink([&](int64_t x) { sum += x; }));
    }));
    absl::StatusOr<int> descriptor = worker.wake_fd();
    if (!descriptor.ok()) return descriptor.status();
    LoopHost host = {.worker = &worker, .status = absl::OkStatus()};
    uv_loop_t loop;
    REQUIRE(uv_loop_init(&loop) == 0);
    uv_poll_t poll;
    poll.data = &host;
    REQUIRE(uv_poll_init(&loop, &poll, *descriptor) == 0);
    REQUIRE(uv_poll_start(&poll, UV_READABLE, LoopHost::OnReadable) == 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_close(reinterpret_cast<uv_handle_t*>(&poll), nullptr);
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK(uv_loop_close(&loop) == 0);
    return host.status;
  }));
  feeder.join();
  CHECK(sum == 5'000 * 4'999 / 2);
}

TEST_CASE("a host whose system has no descriptor left is told so") {
  CheckOk(Execute({}, [&](Worker& worker) {
    absl::Status refused;
    {
      const DescriptorLimit limit(0);
      refused = worker.wake_fd().status();
    }
    CheckError(refused, absl::StatusCode::kResourceExhausted, {"ulimit -n"});
    return worker.wake_fd().status();
  }));
}

}  // namespace
}  // namespace headway
