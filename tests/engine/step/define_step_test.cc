// Steps, sources and sinks are values: they may be kept, copied and used again, on many workers and
// in many dataflows.
#include "engine/step/define_step.h"

#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/engine/run_helpers.h"

namespace headway {
namespace {

using absl::StatusCode;

// A state that a moved-from copy would lose.
std::set<int64_t> Below(int64_t end) {
  std::set<int64_t> numbers;
  for (int64_t i = 0; i < end; ++i) numbers.insert(i);
  return numbers;
}

TEST_CASE("a step that is used on several workers and in several dataflows keeps its function") {
  const auto keep = Filter("keep", [known = Below(100)](int64_t x) { return known.contains(x); });
  auto add =
      Map("add", [shift = Below(7)](int64_t x) { return x + static_cast<int64_t>(shift.size()); });
  auto each =
      FlatMap("each", [one = Below(1)](int64_t x) { return std::vector<int64_t>(one.size(), x); });
  auto keyed =
      KeyOn("key", [mod = Below(5)](int64_t x) { return x % static_cast<int64_t>(mod.size()); });
  auto count = StatefulMap<int64_t>("count", [one = Below(1)](std::optional<int64_t>& n, int64_t) {
    n = n.value_or(0) + static_cast<int64_t>(one.size());
    return *n;
  });
  auto pass = Unary<std::pair<int64_t, int64_t>>(
      "pass", pact::Pipeline{}, [known = Below(3)](Capability<>) {
        using Record = std::pair<int64_t, int64_t>;
        return [known](NodeInput<Record>& in, NodeOutput<Record>& out) {
          in.ForEach([&](const CapabilityRef<>& time, Batch<Record>& batch) {
            if (!known.empty()) out.SessionAt(time).GiveBatch(std::move(batch));
          });
        };
      });
  const auto source = NumbersOfEachWorker(100);
  for (int workers : {1, 2, 4}) {
    CAPTURE(workers);
    std::vector<std::pair<int64_t, int64_t>> results;
    const auto sink = Output("out", TestingSink(&results));
    Dataflow flow("flow", [&](Scope<>& scope) {
      auto numbers =
          scope.Input("numbers", source) | Map("local", [](int64_t x) { return x % 1000; });
      numbers | keep | add | each | keyed | count | pass | sink;
    });
    for (int again = 0; again < 2; ++again) CheckOk(RunMain(flow, {.worker_count = workers}));
    CHECK(results.size() == static_cast<size_t>(200 * workers));
    int64_t counted = 0;
    for (const auto& [key, n] : results) counted += n;
    const int64_t per_key = 20 * workers;
    CHECK(counted == 2 * 5 * per_key * (per_key + 1) / 2);
  }
}

TEST_CASE("a source and a sink that are used twice keep their contents") {
  const TestingSource source(std::vector<std::string>{"a", "b"});
  std::vector<std::string> results;
  const TestingSink sink(&results);
  Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("first", source) | Output("out1", sink);
    scope.Input("second", source) | Output("out2", sink);
  });
  for (int i = 0; i < 2; ++i) CheckOk(RunMain(flow, {.worker_count = 2}));
  CHECK(results.size() == 8);
}

TEST_CASE("a function that can only be moved is used once, and a second use is refused by name") {
  auto make = [] {
    return Map("add", [one = std::make_unique<int64_t>(1)](int64_t x) { return x + *one; });
  };
  std::vector<int64_t> results;
  CheckOk(RunMain(Dataflow("flow",
                           [&](Scope<>& scope) {
                             auto add = make();
                             scope.Input("numbers", TestingSource(std::vector<int64_t>{1, 2})) |
                                 add | Output("out", TestingSink(&results));
                           }),
                  {.worker_count = 2}));
  CHECK(results == std::vector<int64_t>{2, 3});

  auto shared = make();
  Dataflow twice("flow", [&](Scope<>& scope) {
    auto numbers = scope.Input("numbers", TestingSource(std::vector<int64_t>{1, 2}));
    scope.Iterate("nested", [&](Scope<Product<Epoch, uint64_t>>& inner) {
      return numbers | Enter(inner) | shared | Leave(scope);
    });
    numbers | shared;
  });
  CheckError(RunMain(twice), StatusCode::kInvalidArgument,
             {"step 'add'", OnWorker(0), "applied twice", "cannot be copied"});
  auto of_workers = make();
  Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("numbers", TestingSource(std::vector<int64_t>{1, 2})) | of_workers;
  });
  CheckError(RunMain(flow, {.worker_count = 4}), StatusCode::kInvalidArgument,
             {"step 'add'", "applied twice", "cannot be copied"});
}

TEST_CASE("a step that was moved is refused by name, and the step that it was moved to works") {
  auto step = Filter("keep", [known = Below(2)](int64_t x) { return known.contains(x); });
  auto moved_to = std::move(step);
  std::vector<int64_t> results;
  auto run = [&](auto& used) {
    return RunMain(Dataflow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", TestingSource(std::vector<int64_t>{1, 2})) | used |
          Output("out", TestingSink(&results));
    }));
  };
  CheckError(run(step), StatusCode::kInvalidArgument, {"after it had been moved"});  // NOLINT
  auto copy = step;                                                                  // NOLINT
  CheckError(run(copy), StatusCode::kInvalidArgument, {"after it had been moved"});
  CheckOk(run(moved_to));
  const auto good_copy = moved_to;
  CheckOk(run(good_copy));
  CHECK(results == std::vector<int64_t>{1, 1});
  Dataflow flow("flow", [&](Scope<>& scope) {
    auto numbers = scope.Input("numbers", TestingSource(std::vector<int64_t>{1, 2}));
    numbers | std::move(moved_to);
    numbers | std::move(moved_to);  // NOLINT: what is tested
  });
  CheckError(RunMain(flow), StatusCode::kInvalidArgument,
             {"step 'keep'", "after it had been moved"});
}

}  // namespace
}  // namespace headway
