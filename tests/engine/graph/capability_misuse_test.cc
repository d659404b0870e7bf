// A capability that is used in a way that it does not allow ends the run, with the step and the
// reason.
#include <doctest/doctest.h>

#include <functional>
#include <utility>

#include "tests/engine/run_helpers.h"

namespace headway {
namespace {

using absl::StatusCode;

// Runs `use` with the first capability of a step (for epoch 5) on the last worker.
void CheckMisuse(const std::function<void(Capability<>&, NodeOutput<int64_t>&)>& use,
                 std::initializer_list<std::string> parts) {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", NumbersOfEachWorker(10)) |
          UnaryFrontier<int64_t>("bad", pact::Pipeline{}, [&](Capability<> first) {
            return [&use, last = scope.worker_index() == scope.worker_count() - 1,
                    capability = std::move(first),
                    used = false](NodeInput<int64_t>& in, NodeOutput<int64_t>& out) mutable {
              in.ForEach([](const CapabilityRef<Epoch>&, Batch<int64_t>&) {});
              if (last && !std::exchange(used, true)) use(capability, out);
            };
          });
    });
    absl::Status status = RunMain(flow, {.worker_count = workers, .first_epoch = 5});
    CheckError(status, StatusCode::kFailedPrecondition, {"step 'bad'", OnWorker(workers - 1)});
    CheckError(status, StatusCode::kFailedPrecondition, parts);
  }
}

TEST_CASE("a capability that is used after it was dropped") {
  CheckMisuse(
      [](Capability<>& c, NodeOutput<int64_t>&) {
        c.Drop();
        CHECK_FALSE(c.Clone().held());
      },
      {"dropped"});
  CheckMisuse(
      [](Capability<>& c, NodeOutput<int64_t>&) {
        c.Drop();
        CHECK_FALSE(c.Delayed(7).held());
      },
      {"dropped"});
  CheckMisuse(
      [](Capability<>& c, NodeOutput<int64_t>&) {
        c.Drop();
        c.Downgrade(7);
      },
      {"dropped"});
  CheckMisuse(
      [](Capability<>& c, NodeOutput<int64_t>& out) {
        c.Drop();
        out.SessionAt(c).Give(int64_t{1});
      },
      {"dropped"});
}

TEST_CASE("a capability that is used after it was moved") {
  CheckMisuse(
      [](Capability<>& c, NodeOutput<int64_t>&) {
        Capability<> other = std::move(c);
        CHECK_FALSE(c.held());  // NOLINT: what is tested
        c.Downgrade(7);
      },
      {"moved"});
  CheckMisuse(
      [](Capability<>& c, NodeOutput<int64_t>&) {
        Capability<> other;
        other = std::move(c);
        CHECK_FALSE(c.Clone().held());  // NOLINT: what is tested
      },
      {"moved"});
  CheckMisuse(
      [](Capability<>& c, NodeOutput<int64_t>& out) {
        Capability<> other = std::move(c);
        out.SessionAt(c).Give(int64_t{1});  // NOLINT: what is tested
      },
      {"moved"});
}

TEST_CASE("a capability that was never given") {
  CheckMisuse([](Capability<>&, NodeOutput<int64_t>& out) { out.SessionAt(Capability<>()); },
              {"capability"});
}

TEST_CASE("a capability that is used for an earlier time") {
  CheckMisuse([](Capability<>& c, NodeOutput<int64_t>&) { c.Downgrade(4); }, {"time 5", "for 4"});
  CheckMisuse([](Capability<>& c, NodeOutput<int64_t>&) { CHECK_FALSE(c.Delayed(4).held()); },
              {"time 5", "for 4"});
  CheckMisuse(
      [](Capability<>& c, NodeOutput<int64_t>&) {
        c.Downgrade(8);
        c.Downgrade(7);
      },
      {"time 8", "for 7"});
}

TEST_CASE("a capability for a time before that of its batch, though the frontier would allow it") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    absl::Status status = Execute({.workers = workers}, [&](Worker& worker) -> absl::Status {
      InputHandle<int64_t> ahead, behind;
      HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
        scope.Input(ahead) | Merge("merge", scope.Input(behind)) |
            UnaryFrontier<int64_t>("bad", pact::Pipeline{}, [](Capability<>) {
              return [](NodeInput<int64_t>& in, NodeOutput<int64_t>&) {
                in.ForEach([&](const CapabilityRef<Epoch>& time, Batch<int64_t>&) {
                  CHECK(in.frontier().LessEqual(3));
                  CHECK_FALSE(time.Delayed(3).held());
                });
              };
            });
      }));
      if (worker.index() == worker.count() - 1) {
        ahead.AdvanceTo(5);
        ahead.Send(int64_t{1});
        ahead.Flush();
      }
      return worker.StepWhile([] { return true; });
    });
    CheckError(status, StatusCode::kFailedPrecondition,
               {"step 'bad'", OnWorker(workers - 1), "time 5", "time 3"});
  }
}

TEST_CASE("a capability of another output") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    Dataflow flow("flow", [&](Scope<>& scope) {
      auto numbers = scope.Input("numbers", NumbersOfEachWorker(10));
      OperatorBuilder<Epoch> builder(scope, "bad");
      NodeInput<int64_t>& input = builder.AddInput(numbers, pact::Pipeline{});
      builder.AddOutput<int64_t>();
      NodeOutput<int64_t>& second = builder.AddOutput<int64_t>();
      builder.BuildWithoutCapabilities([&] {
        input.ForEach([&](const CapabilityRef<Epoch>& time, Batch<int64_t>&) {
          second.SessionAt(time.Retain(0)).Give(int64_t{1});
        });
      });
    });
    CheckError(RunMain(flow, {.worker_count = workers}), StatusCode::kFailedPrecondition,
               {"step 'bad'", "on worker ", "another output"});
  }
}

}  // namespace
}  // namespace headway
