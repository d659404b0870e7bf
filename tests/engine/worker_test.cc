// Several dataflows on the workers of a run: side by side, built late, cancelled, completed.
#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "engine/runtime/attempt.h"
#include "engine/runtime/failure_origin.h"
#include "tests/engine/run_helpers.h"

namespace headway {
namespace {

// A dataflow that is fed by hand: input, an exchange, a probe.
struct Flow {
  InputHandle<int64_t> input;
  ProbeHandle<> probe;

  absl::Status Build(Worker& worker, const std::string& name, Collected<int64_t>& seen) {
    return worker.Build(name, [&](Scope<>& scope) {
      scope.Input(input) | Exchange("spread") | CollectInto("collect", seen) | Probe(probe);
    });
  }
  // Sends `count` numbers and closes the epoch.
  void Send(int64_t count) {
    for (int64_t i = 0; i < count; ++i) input.Send(i);
    input.AdvanceTo(input.time() + 1);
  }
  absl::Status Wait(Worker& worker) {
    return worker.StepWhile([&] { return probe.LessThan(input.time()); });
  }
};

TEST_CASE("several dataflows run side by side, and are built while others run") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    Collected<int64_t> seen[4];
    CheckOk(Execute({.workers = workers}, [&](Worker& worker) -> absl::Status {
      Flow flows[4];
      for (int built = 0; built < 4; ++built) {
        HEADWAY_RETURN_IF_ERROR(
            flows[built].Build(worker, "flow" + std::to_string(built), seen[built]));
        for (int i = 0; i <= built; ++i) flows[i].Send(100);
        for (int i = built; i >= 0; --i) HEADWAY_RETURN_IF_ERROR(flows[i].Wait(worker));
      }
      // They complete one by one, and in another order than they were built in.
      for (int i : {2, 0, 3, 1}) {
        CHECK_FALSE(flows[i].probe.Done());
        flows[i].input.Close();
        HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return !flows[i].probe.Done(); }));
      }
      HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return worker.HasDataflows(); }));
      return absl::OkStatus();
    }));
    for (int i = 0; i < 4; ++i)
      CHECK(seen[i].size() == static_cast<size_t>((4 - i) * 100 * workers));
  }
}

TEST_CASE("frames that come before a worker has built their dataflow wait for it (timely #197)") {
  for (int workers : {2, 3, 8}) {
    CAPTURE(workers);
    for (int late = 0; late < workers; late += workers - 1) {
      CAPTURE(late);
      Collected<int64_t> seen1, seen2;
      std::atomic<int> sent{0};
      CheckOk(Execute({.workers = workers}, [&](Worker& worker) -> absl::Status {
        Flow first, second;
        if (worker.index() != late) {
          HEADWAY_RETURN_IF_ERROR(first.Build(worker, "first", seen1));
          HEADWAY_RETURN_IF_ERROR(second.Build(worker, "second", seen2));
          for (int epoch = 0; epoch < 3; ++epoch) {
            first.Send(5000);
            second.Send(5000);
            HEADWAY_RETURN_IF_ERROR(worker.Step());
          }
          ++sent;
        } else {
          // Receives the frames of the others, again and again, without a place for them.
          while (sent < workers - 1) HEADWAY_RETURN_IF_ERROR(worker.Step());
          for (int i = 0; i < 10; ++i) HEADWAY_RETURN_IF_ERROR(worker.Step());
          HEADWAY_RETURN_IF_ERROR(first.Build(worker, "first", seen1));
          HEADWAY_RETURN_IF_ERROR(worker.Step());
          HEADWAY_RETURN_IF_ERROR(second.Build(worker, "second", seen2));
          first.input.AdvanceTo(3);
          second.input.AdvanceTo(3);
        }
        HEADWAY_RETURN_IF_ERROR(first.Wait(worker));
        return second.Wait(worker);
      }));
      CHECK(seen1.size() == static_cast<size_t>(15'000 * (workers - 1)));
      CHECK(seen2.size() == static_cast<size_t>(15'000 * (workers - 1)));
    }
  }
}

TEST_CASE("a dataflow is cancelled with data in flight, and the others go on") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    Collected<int64_t> gone, kept;
    CheckOk(Execute({.workers = workers}, [&](Worker& worker) -> absl::Status {
      Flow other;
      HEADWAY_RETURN_IF_ERROR(other.Build(worker, "kept", kept));
      for (int round = 0; round < 5; ++round) {
        Flow flow;
        HEADWAY_RETURN_IF_ERROR(flow.Build(worker, "gone", gone));
        flow.Send(5000);
        other.Send(1000);
        // Each worker cancels at another moment of the dataflow's life.
        for (int i = 0; i < worker.index(); ++i) HEADWAY_RETURN_IF_ERROR(worker.Step());
        for (int64_t i = 0; i < 5000; ++i) flow.input.Send(i);
        CHECK_FALSE(flow.probe.Done());
        HEADWAY_RETURN_IF_ERROR(worker.Cancel("gone"));
        CHECK(flow.probe.Done());
        flow.Send(5000);  // has no effect
        CHECK(flow.input.HasCredit());
        CHECK(worker.Cancel("gone").code() == absl::StatusCode::kNotFound);
        HEADWAY_RETURN_IF_ERROR(other.Wait(worker));
      }
      return absl::OkStatus();
    }));
    CHECK(kept.size() == static_cast<size_t>(5 * 1000 * workers));
  }
}

TEST_CASE("bytes in flight of a cancelled dataflow do not count any more") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    std::atomic<int> cancelled{0};
    Collected<int64_t> seen;
    CheckOk(Execute({.workers = workers}, [&](Worker& worker) -> absl::Status {
      internal::Attempt* attempt = nullptr;
      Flow flow, after;
      HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
        attempt = &scope.graph().worker().attempt();
        scope.Input(flow.input) | Exchange("spread") | Exchange("again");
      }));
      flow.Send(20'000);
      HEADWAY_RETURN_IF_ERROR(worker.Step());
      HEADWAY_RETURN_IF_ERROR(worker.Cancel("flow"));
      ++cancelled;
      // A later dataflow, once complete, proves that the earlier batches have been dropped.
      HEADWAY_RETURN_IF_ERROR(after.Build(worker, "after", seen));
      while (cancelled < workers) HEADWAY_RETURN_IF_ERROR(worker.Step());
      after.Send(100);
      HEADWAY_RETURN_IF_ERROR(after.Wait(worker));
      HEADWAY_RETURN_IF_ERROR(worker.StepWhile(
          [&] { return attempt->flow_control().InFlight() > 0 && worker.did_work(); }));
      ++cancelled;
      while (cancelled < 2 * workers) HEADWAY_RETURN_IF_ERROR(worker.Step());
      CHECK(attempt->flow_control().InFlight() == 0);
      return absl::OkStatus();
    }));
  }
}

TEST_CASE("probes tell what may still come, and outlive their dataflow") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    CheckOk(Execute({.workers = workers}, [&](Worker& worker) -> absl::Status {
      ProbeHandle<> probe, unattached;
      CHECK(unattached.LessThan(0));
      CHECK(unattached.LessEqual(0));
      CHECK_FALSE(unattached.Done());
      InputHandle<int64_t> input;
      HEADWAY_RETURN_IF_ERROR(worker.Build(
          "flow", [&](Scope<>& scope) { scope.Input(input) | Exchange("spread") | Probe(probe); }));
      const ProbeHandle<> copy = probe;
      CHECK_FALSE(probe.LessThan(0));
      CHECK(probe.LessEqual(0));
      CHECK(probe.LessThan(1));
      CHECK_FALSE(probe.Done());
      input.Send(int64_t{1});
      input.AdvanceTo(10);
      HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return copy.LessThan(10); }));
      CHECK_FALSE(probe.LessThan(10));
      CHECK_FALSE(probe.LessEqual(9));
      CHECK(probe.LessEqual(10));
      CHECK_FALSE(probe.Done());
      input.Close();
      HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return worker.HasDataflows(); }));
      for (const ProbeHandle<>& handle : {probe, copy}) {
        CHECK_FALSE(handle.LessThan(1000));
        CHECK_FALSE(handle.LessEqual(1000));
        CHECK(handle.Done());
      }
      return absl::OkStatus();
    }));
  }
}

TEST_CASE("an input handle feeds another dataflow once its first one is gone") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    Collected<int64_t> seen;
    CheckOk(Execute({.workers = workers}, [&](Worker& worker) -> absl::Status {
      Flow flow;
      for (int round = 0; round < 3; ++round) {
        flow.probe = ProbeHandle<>();
        HEADWAY_RETURN_IF_ERROR(flow.Build(worker, "flow", seen));
        CHECK(flow.input.time() == 0);
        flow.Send(10);
        flow.input.Close();
        flow.Send(10);  // has no effect
        HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return worker.HasDataflows(); }));
      }
      return absl::OkStatus();
    }));
    CHECK(seen.size() == static_cast<size_t>(30 * workers));
  }
}

TEST_CASE("a capability that outlives its dataflow and its worker has no effect") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    std::vector<Capability<>> outliving(static_cast<size_t>(workers));
    CheckOk(Execute({.workers = workers}, [&](Worker& worker) -> absl::Status {
      auto& mine = outliving[static_cast<size_t>(worker.index())];
      HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
        OperatorBuilder<Epoch> builder(scope, "step");
        builder.AddOutput<int64_t>();
        builder.Build([&](std::vector<Capability<>> first) {
          mine = std::move(first[0]);
          return [] {};
        });
      }));
      HEADWAY_RETURN_IF_ERROR(worker.Step());
      CHECK(worker.HasDataflows());
      HEADWAY_RETURN_IF_ERROR(worker.Cancel("flow"));
      mine.Downgrade(3);
      return worker.Step();
    }));
    for (Capability<>& capability : outliving) {
      Capability<> clone = capability.Clone();
      capability.Downgrade(5);
      Capability<> later = capability.Delayed(8);
      capability.Drop();
      capability.Downgrade(6);
    }
  }
}

TEST_CASE("several runs go on in one process at the same time, one of them failing") {
  std::vector<std::thread> threads;
  std::vector<absl::Status> statuses(4);
  std::vector<Collected<int64_t>> seen(4);
  for (size_t i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      Dataflow flow("flow", [&, i](Scope<>& scope) {
        scope.Input("numbers", NumbersOfEachWorker(500)) | Exchange("spread") |
            Map("map",
                [i](int64_t x) {
                  if (i == 3 && x == 400) throw std::runtime_error("boom");
                  return x;
                }) |
            CollectInto("collect", seen[i]);
      });
      statuses[i] = RunMain(flow, {.worker_count = 2});
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < 3; ++i) {
    CheckOk(statuses[i]);
    CHECK(seen[i].size() == 1000);
  }
  CHECK(statuses[3].code() == absl::StatusCode::kAborted);
}

TEST_CASE("the loss of a process has a mark for who compares, and none for who steps workers") {
  internal::RunContext run(1, {});
  internal::Attempt attempt(run);
  Worker worker(attempt, 0);
  const absl::Status loss = absl::UnavailableError("process 1: nothing heard for 5s");
  attempt.failure().Report(internal::MarkLoss(loss));
  CHECK(worker.Step() == loss);
  CHECK(worker.StepOrPark() == loss);
  CHECK(worker.Build("late", [](Scope<>&) {}) == loss);
  CHECK(internal::IsLoss(attempt.failure().marked_status()));
}

TEST_CASE("a batch for a channel that is not there says that memory is corrupt, in one process") {
  internal::RunContext run(2, {});
  internal::Attempt attempt(run);
  Worker worker(attempt, 0);
  internal::Endpoint other(&attempt.fabric(), 1);
  CheckOk(worker.Build("flow", [](Scope<>&) {}));
  internal::Block* block = other.pool().Get();
  block->record_count = 0;
  block->sender = 1;
  other.Send(0, internal::Message::Batch(0, 77, block));
  const absl::Status status = worker.Step();
  CheckError(status, absl::StatusCode::kInvalidArgument,
             {"worker 1 sent a batch for channel number 77", "memory of this process is corrupt"});
  CHECK(status.message().find("program") == std::string_view::npos);
}

}  // namespace
}  // namespace headway
