// Calls of user code into the dataflow or the worker that is calling it: each has a defined effect,
// or is refused with an error that says why.
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

// Runs a dataflow of two inputs on one worker. `function` is called with the worker, both handles
// and each record of the first one, by a Map with a FlatMap behind it, while the host feeds that.
absl::Status RunWith(
    const std::function<void(Worker&, InputHandle<int64_t>&, InputHandle<int64_t>&)>& function) {
  return Execute({.run = {.max_bytes_in_flight = 1}}, [&](Worker& worker) -> absl::Status {
    InputHandle<int64_t> first;
    InputHandle<int64_t> second;
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      auto mapped = scope.Input(first) | Map("call", [&](int64_t x) {
                      function(worker, first, second);
                      return x;
                    });
      mapped | Merge("merge", scope.Input(second)) |
          FlatMap("twice", [](int64_t x) { return std::vector<int64_t>{x, x}; }) |
          Exchange("spread");
    }));
    first.Send(1);
    first.AdvanceTo(1);
    first.Close();
    second.Close();
    return worker.StepWhile([&] { return worker.HasDataflows(); });
  });
}

TEST_CASE("a function that feeds an input of its own dataflow is refused") {
  const std::vector<std::function<void(InputHandle<int64_t>&)>> cases = {
      [](auto& input) {
        input.Send(2);
        input.Flush();
      },
      [](auto& input) { input.AdvanceTo(7); },
      [](auto& input) { input.Close(); },
  };
  for (const auto& use : cases) {
    for (const bool own : {false, true}) {
      CAPTURE(own);
      absl::Status status =
          RunWith([&](Worker&, auto& first, auto& second) { use(own ? first : second); });
      CheckError(
          status, StatusCode::kFailedPrecondition,
          {"step 'InputHandle-", OnWorker(0), "same dataflow", "when the worker's step is over"});
    }
  }
}

TEST_CASE("a function may feed an input of another dataflow") {
  std::vector<int64_t> seen;
  CheckOk(Execute({}, [&](Worker& worker) -> absl::Status {
    InputHandle<int64_t> first;
    InputHandle<int64_t> second;
    HEADWAY_RETURN_IF_ERROR(worker.Build("second", [&](Scope<>& scope) {
      scope.Input(second) | Inspect("see", [&](int64_t x) { seen.push_back(x); });
    }));
    HEADWAY_RETURN_IF_ERROR(worker.Build("first", [&](Scope<>& scope) {
      scope.Input(first) | Inspect("pass on", [&](int64_t x) {
        second.Send(x + 1);
        second.AdvanceTo(second.time() + 1);
      });
    }));
    first.Send(1);
    first.Send(2);
    first.Flush();
    return absl::OkStatus();
  }));
  CHECK(seen == std::vector<int64_t>{2, 3});
}

TEST_CASE(
    "an operator that cancels its dataflow while the host feeds it is refused, and it goes on") {
  absl::Status cancelled;
  CheckOk(RunWith([&](Worker& worker, auto&, auto&) { cancelled = worker.Cancel("flow"); }));
  CheckError(cancelled, StatusCode::kFailedPrecondition, {"called Cancel", "between steps"});
}

TEST_CASE("the function that builds a dataflow cannot step the worker, build another or cancel") {
  for (int workers : {1, 2}) {
    CAPTURE(workers);
    Collected<int64_t> collected;
    CheckOk(Execute({.workers = workers}, [&](Worker& worker) -> absl::Status {
      std::vector<std::pair<std::string, absl::Status>> calls;
      bool may_step = true;
      InputHandle<int64_t> earlier;
      HEADWAY_RETURN_IF_ERROR(worker.Build("earlier", [&](Scope<>& scope) {
        scope.Input(earlier) | Exchange("spread") | CollectInto<int64_t>("collect", collected);
      }));
      HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
        auto numbers = scope.Input("numbers", TestingSource(std::vector<int64_t>{1, 2, 3}));
        calls.emplace_back("Step", worker.Step());
        calls.emplace_back("Step", worker.StepOrPark());
        calls.emplace_back("Step",
                           worker.StepWhile([&] { return std::exchange(may_step, false); }));
        calls.emplace_back("Cancel", worker.Cancel("earlier"));
        calls.emplace_back("Build", worker.Build("inner", [](Scope<>&) { FAIL("is not built"); }));
        numbers | Exchange("spread") | CollectInto<int64_t>("collect", collected);
      }));
      CHECK(calls.size() == 5);
      for (const auto& [name, status] : calls) {
        CheckError(status, StatusCode::kFailedPrecondition,
                   {"'flow'", "called " + name, "worker " + std::to_string(worker.index()),
                    "when Build has returned"});
      }
      if (worker.index() == 0) earlier.Send(4);
      HEADWAY_RETURN_IF_ERROR(worker.Step());
      return absl::OkStatus();
    }));
    CHECK(collected.Sorted() == std::vector<int64_t>{1, 2, 3, 4});
  }
}

TEST_CASE("an operator that asks its worker for a step is refused, and the dataflow goes on") {
  std::vector<absl::Status> statuses;
  int64_t seen = 0;
  CheckOk(Execute({}, [&](Worker& worker) -> absl::Status {
    InputHandle<int64_t> input;
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      scope.Input(input) | Exchange("spread") | Inspect("step", [&](int64_t x) {
        statuses.push_back(worker.Step());
        statuses.push_back(worker.StepOrPark(absl::ZeroDuration()));
        statuses.push_back(worker.StepWhile([] { return true; }));
        seen += x;
      });
    }));
    for (int64_t x = 1; x <= 3; ++x) input.Send(x);
    return absl::OkStatus();
  }));
  CHECK(seen == 6);
  CHECK(statuses.size() == 9);
  for (const absl::Status& status : statuses) {
    CheckError(status, StatusCode::kFailedPrecondition,
               {"worker 0", "an operator", "called Step during a step"});
  }
}

// Calls a function when it goes.
struct AtItsEnd {
  explicit AtItsEnd(std::function<void()> f) : call(std::move(f)) {}
  AtItsEnd(AtItsEnd&& other) noexcept : call(std::exchange(other.call, nullptr)) {}
  ~AtItsEnd() {
    if (call) call();
  }
  std::function<void()> call;
};

TEST_CASE(
    "logic that activates itself, or owns an input, while its dataflow is taken away has no "
    "effect") {
  for (const bool cancels : {true, false}) {
    CAPTURE(cancels);
    int ends = 0;
    CheckOk(Execute({}, [&](Worker& worker) -> absl::Status {
      InputHandle<int64_t> input;
      HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
        auto owned = std::make_shared<InputHandle<int64_t>>();
        scope.Input(*owned) | Exchange("of owned");
        scope.Input(input) | Unary<int64_t>("op", pact::Pipeline{}, [&](Capability<>) {
          return [owned](NodeInput<int64_t>&, NodeOutput<int64_t>&) { owned->HasCredit(); };
        });
        OperatorBuilder<Epoch> builder(scope, "active");
        builder.BuildWithoutCapabilities([end = AtItsEnd([&ends, activator = builder.activator()] {
                                            ++ends;
                                            activator.Activate();
                                            activator.ActivateAfter(absl::ZeroDuration());
                                            activator.thread_activator().Activate();
                                          })] {});
      }));
      input.Send(1);
      HEADWAY_RETURN_IF_ERROR(worker.Step());
      if (cancels) HEADWAY_RETURN_IF_ERROR(worker.Cancel("flow"));
      for (int i = 0; i < 3; ++i) HEADWAY_RETURN_IF_ERROR(worker.Step());
      if (!cancels) worker.Cancel("flow").IgnoreError();
      return absl::OkStatus();
    }));
    CHECK(ends == 1);
  }
}

TEST_CASE("an operator whose builder was not ended, or that has an empty function, is refused") {
  const std::vector<std::function<void(OperatorBuilder<Epoch>&)>> cases = {
      [](auto&) {},
      [](auto& builder) { builder.BuildWithoutCapabilities(static_cast<void (*)()>(nullptr)); },
  };
  for (const auto& end : cases) {
    Dataflow flow("flow", [&](Scope<>& scope) {
      OperatorBuilder<Epoch> builder(scope, "op");
      builder.AddInput(scope.Input("numbers", NumbersOfEachWorker(1)), pact::Pipeline{});
      end(builder);
    });
    CheckError(RunMain(flow, {}), StatusCode::kInvalidArgument,
               {"the operator 'op' has no logic", "BuildWithoutCapabilities"});
  }
}

TEST_CASE("a stream that is used when its dataflow is built already is refused") {
  using Numbers = Stream<int64_t>;
  const std::vector<std::function<void(Scope<>&, Numbers)>> cases = {
      [](Scope<>&, Numbers kept) { kept | Map("late", [](int64_t x) { return x; }); },
      [](Scope<>&, Numbers kept) { kept | Map("late", [](int64_t x) { return 1.5 * x; }); },
      [](Scope<>&, Numbers kept) {
        kept | FlatMap("late", [](int64_t x) { return std::vector<int64_t>{x}; });
      },
      [](Scope<>&, Numbers kept) { kept | Merge("late", kept); },
      [](Scope<>& scope, Numbers kept) {
        scope.Input("numbers", NumbersOfEachWorker(1)) | Merge("late", kept);
      },
      [](Scope<>& scope, Numbers kept) {
        scope.Iterate("late", [&](auto& inner) { kept | Enter(inner); });
      },
  };
  for (const auto& use : cases) {
    absl::Status status = Execute({}, [&](Worker& worker) -> absl::Status {
      InputHandle<int64_t> input;
      std::optional<Numbers> kept;
      HEADWAY_RETURN_IF_ERROR(
          worker.Build("early", [&](Scope<>& scope) { kept = scope.Input(input); }));
      return worker.Build("later", [&](Scope<>& scope) { use(scope, *kept); });
    });
    CheckError(status, StatusCode::kInvalidArgument, {});
  }
}

}  // namespace
}  // namespace headway
