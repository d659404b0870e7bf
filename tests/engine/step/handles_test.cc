// Handles that were moved from, are used after their dataflow has ended, or at the wrong time of
// the build: each has a defined effect, or is refused with an error that says why.
#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/engine/run_helpers.h"

namespace headway {
namespace {

using absl::StatusCode;

TEST_CASE("a probe, an activator and a stop handle that were moved from remain usable") {
  StopHandle stop;
  const StopHandle moved_to = std::move(stop);
  stop.RequestStop();  // NOLINT: what is tested
  CHECK(moved_to.requested());

  int runs = 0;
  CheckOk(Execute({}, [&](Worker& worker) -> absl::Status {
    InputHandle<int64_t> input;
    ProbeHandle<> probe;
    std::optional<Activator> activator;
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      scope.Input(input) | Probe(probe);
      OperatorBuilder<Epoch> builder(scope, "op");
      activator = builder.activator();
      builder.BuildWithoutCapabilities([&] { ++runs; });
    }));
    ProbeHandle<> other = std::move(probe);
    const Activator activates = *std::move(activator);
    activator->Activate();  // NOLINT: what is tested
    ThreadActivator threads = activates.thread_activator();
    const ThreadActivator threads_too = std::move(threads);
    threads.Activate();  // NOLINT: has no effect
    HEADWAY_RETURN_IF_ERROR(worker.Step());
    CHECK(runs == 1);
    threads_too.Activate();
    input.AdvanceTo(3);
    HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return probe.LessThan(3); }));  // NOLINT
    CHECK_FALSE(other.LessThan(3));
    CHECK(other.LessEqual(3));
    return absl::OkStatus();
  }));
  CHECK(runs == 2);
}

TEST_CASE("a stream of a dataflow that has ended is an error of the build that uses it") {
  using Use = std::function<void(const Stream<int64_t>&, Scope<>&)>;
  const std::vector<Use> uses = {
      [](auto& stream, auto&) { stream | Map("use", [](int64_t x) { return x; }); },
      [](auto& stream, auto&) { stream | Exchange("use"); },
      [](auto& stream, auto&) { stream | Probe(*std::make_unique<ProbeHandle<>>()); },
      [](auto& stream, auto& scope) {
        scope.Input("numbers", TestingSource(std::vector<int64_t>{1})) | Merge("use", stream);
      },
      [](auto& stream, auto& scope) {
        auto [loop, again] = scope.template Feedback<int64_t>("loop", 1);
        stream | ConnectLoop(loop);
      },
  };
  for (const auto& use : uses) {
    std::optional<Stream<int64_t>> kept;
    const absl::Status status = Execute({}, [&](Worker& worker) -> absl::Status {
      HEADWAY_RETURN_IF_ERROR(worker.Build("first", [&](Scope<>& scope) {
        kept = scope.Input("numbers", TestingSource(std::vector<int64_t>{1})) | Exchange("x");
      }));
      HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return worker.HasDataflows(); }));
      return worker.Build("second", [&](Scope<>& scope) { use(*kept, scope); });
    });
    CheckError(
        status, StatusCode::kFailedPrecondition,
        {"dataflow 'second'", OnWorker(0), "a Stream was used after its dataflow had ended"});
  }
}

TEST_CASE("a stream of a dataflow that has ended, used outside of a build") {
  const absl::Status status = Execute({}, [&](Worker& worker) -> absl::Status {
    std::optional<Stream<int64_t>> kept;
    HEADWAY_RETURN_IF_ERROR(worker.Build("first", [&](Scope<>& scope) {
      kept = scope.Input("numbers", TestingSource(std::vector<int64_t>{1})) | Exchange("x");
    }));
    HEADWAY_RETURN_IF_ERROR(worker.Cancel("first"));
    *kept | Exchange("use");
    return absl::OkStatus();
  });
  CheckError(status, StatusCode::kFailedPrecondition,
             {"worker 0", "a Stream was used after its dataflow had ended"});
}

TEST_CASE("a loop handle closes its cycle once, also by a copy, and not after its dataflow") {
  for (const bool later : {false, true}) {
    CAPTURE(later);
    const absl::Status status = Execute({}, [&](Worker& worker) -> absl::Status {
      std::optional<LoopHandle<int64_t>> kept;
      auto build = [&](Scope<>& scope) {
        auto numbers = scope.Input("numbers", TestingSource(std::vector<int64_t>{1}));
        if (kept.has_value()) {
          numbers | ConnectLoop(*kept);
          return;
        }
        auto [loop, again] = scope.Feedback<int64_t>("loop", 1);
        kept.emplace(loop);
        if (!later) numbers | ConnectLoop(loop);
        if (!later) numbers | ConnectLoop(*kept);
      };
      HEADWAY_RETURN_IF_ERROR(worker.Build("first", build));
      HEADWAY_RETURN_IF_ERROR(worker.Cancel("first"));
      return worker.Build("second", build);
    });
    if (later) {
      CheckError(status, StatusCode::kFailedPrecondition,
                 {"dataflow 'second'", "a LoopHandle was used after its dataflow had ended"});
    } else {
      CheckError(status, StatusCode::kInvalidArgument, {"step 'loop'", "closed twice"});
    }
  }
}

TEST_CASE("an operator builder that is used after Build, or refers to a port that does not exist") {
  using Builder = OperatorBuilder<Epoch>;
  const std::vector<std::pair<std::string, std::function<void(Builder&, const Stream<int64_t>&)>>>
      cases = {
          {"built already", [](auto& b, auto&) { b.BuildWithoutCapabilities([] {}); }},
          {"built already", [](auto& b, auto&) { b.Build([](auto) { return [] {}; }); }},
          {"built already", [](auto& b, auto& stream) { b.AddInput(stream, pact::Pipeline{}); }},
          {"built already", [](auto& b, auto&) { b.template AddOutput<int64_t>(); }},
          {"built already", [](auto& b, auto&) { b.IgnoreFrontier(0); }},
          {"built already", [](auto& b, auto&) { b.SetSummary(0, 0, std::nullopt); }},
      };
  for (const auto& [message, use] : cases) {
    Dataflow flow("flow", [&](Scope<>& scope) {
      auto numbers = scope.Input("numbers", TestingSource(std::vector<int64_t>{1}));
      Builder builder(scope, "op");
      builder.AddInput(numbers, pact::Pipeline{});
      builder.AddOutput<int64_t>();
      builder.BuildWithoutCapabilities([] {});
      use(builder, numbers);
    });
    CheckError(RunMain(flow), StatusCode::kInvalidArgument, {"step 'op'", OnWorker(0), message});
  }
  const std::vector<std::pair<std::string, std::function<void(Builder&)>>> wrong_ports = {
      {"input 1, but has 1", [](auto& b) { b.IgnoreFrontier(1); }},
      {"input 7, but has 1", [](auto& b) { b.SetSummary(7, 0, std::nullopt); }},
      {"output 2, but has 1", [](auto& b) { b.SetSummary(0, 2, std::nullopt); }},
  };
  for (const auto& [message, use] : wrong_ports) {
    Dataflow flow("flow", [&](Scope<>& scope) {
      Builder builder(scope, "op");
      builder.AddInput(scope.Input("numbers", TestingSource(std::vector<int64_t>{1})),
                       pact::Pipeline{});
      builder.AddOutput<int64_t>();
      use(builder);
      builder.BuildWithoutCapabilities([] {});
    });
    CheckError(RunMain(flow), StatusCode::kInvalidArgument, {"step 'op'", OnWorker(0), message});
  }
}

TEST_CASE("a dataflow that was moved from, or has an empty function") {
  Dataflow flow("flow", [](Scope<>&) {});
  const Dataflow other = std::move(flow);
  CheckOk(RunMain(other));
  CheckError(RunMain(flow), StatusCode::kInvalidArgument,  // NOLINT: what is tested
             {"function is empty", "moved from"});
  CheckError(RunMain(Dataflow("flow", static_cast<void (*)(Scope<>&)>(nullptr))),
             StatusCode::kInvalidArgument, {"dataflow 'flow'", "function is empty"});
}

TEST_CASE("a keyed step that is changed after its build, or whose timer is set from outside") {
  using Record = std::pair<int64_t, int64_t>;
  using Keyed = KeyedOperator<int64_t, Record, Epoch, FirstOfPair>;
  const std::vector<Record> records = {{1, 1}};
  Dataflow late("flow", [&](Scope<>& scope) {
    Keyed keyed(scope.Input("records", TestingSource(records)), "keyed", FirstOfPair());
    auto& output = keyed.AddOutput<Record>();
    keyed.OnBatch([](const CapabilityRef<>&, Batch<Record>&) {});
    keyed.Build(output);
    keyed.AtEnd([](const CapabilityRef<>&) {});
  });
  CheckError(RunMain(late), StatusCode::kInvalidArgument, {"step 'keyed'", "built already"});
  Dataflow outside("flow", [&](Scope<>& scope) {
    Keyed keyed(scope.Input("records", TestingSource(records)), "keyed", FirstOfPair());
    auto& output = keyed.AddOutput<Record>();
    keyed.OnBatch([&output](const CapabilityRef<>& time, Batch<Record>& batch) {
      output.SessionAt(time).GiveBatch(std::move(batch));
    });
    keyed.OnClockTimer([](const CapabilityRef<>&, int64_t, absl::Time) {});
    keyed.Build(output) |
        Inspect("sets", [&step = keyed.step()](
                            const Record& record) { step.SetTimer(record.first, absl::Now()); }) |
        Exchange("x", FirstOfPair()) | Inspect("sets too", [&step = keyed.step()](const Record& r) {
          step.SetTimer(r.first, absl::Now());
        });
  });
  CheckError(RunMain(outside), StatusCode::kFailedPrecondition,
             {"step 'keyed'", OnWorker(0), "SetTimer", "outside of the step's functions"});
}

}  // namespace
}  // namespace headway
