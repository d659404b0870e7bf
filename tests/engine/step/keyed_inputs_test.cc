// Steps that are built with KeyedOperator and have several inputs.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/engine/run_helpers.h"
#include "tests/engine/snapshot_store.h"

namespace headway {
namespace {

using Number = std::pair<std::string, int64_t>;
using Text = std::pair<std::string, std::string>;
using Size = std::pair<std::string, int64_t>;

// Adds the numbers and the lengths of the texts of a key. Emits each sum, and at the end (key,
// -sum).
template <class T>
Stream<Size, T> Sizes(const Stream<Number, T>& numbers, const Stream<Text, T>& texts) {
  KeyedOperator<int64_t, Number, T, FirstOfPair> keyed(numbers, "sizes", FirstOfPair());
  auto& step = keyed.step();
  auto& output = keyed.template AddOutput<Size>();
  auto add = [&step, &output](const auto& batch, const CapabilityRef<T>& time, auto size) {
    auto session = output.SessionAt(time);
    step.AtEach(batch, [&](size_t i, int64_t& sum) {
      sum += size(batch[i].second);
      session.Give(std::pair(batch[i].first, sum));
    });
  };
  keyed.OnBatch([add](const CapabilityRef<T>& time, Batch<Number>& batch) {
    add(batch, time, [](int64_t number) { return number; });
  });
  keyed.AddInput(texts, [add](const CapabilityRef<T>& time, Batch<Text>& batch) {
    add(batch, time, [](std::string_view text) { return static_cast<int64_t>(text.size()); });
  });
  keyed.AtEnd([&step, &output](const CapabilityRef<T>& time) {
    auto session = output.SessionAt(time);
    step.states().ForEach(
        [&](std::string_view key, int64_t sum) { session.Give(std::pair(key, -sum)); });
  });
  return keyed.Build(output);
}

// Two inputs by hand, and the results with their epochs.
struct SizesFlow {
  InputHandle<Number> numbers;
  InputHandle<Text> texts;
  Collected<std::pair<Epoch, Size>> sizes;
  SnapshotStore store;

  absl::Status Build(Worker& worker) {
    return worker.Build("flow", [&](Scope<>& scope) {
      Sizes(scope.Input(numbers), scope.Input(texts)) | CollectWithTime("collect", sizes);
      store.Listen(scope);
    });
  }
  std::vector<std::pair<Epoch, Size>> AfterSteps(Worker& worker) {
    for (int i = 0; i < 20; ++i) CheckOk(worker.Step());
    return sizes.InOrder();
  }
  std::vector<Epoch> Closed() const {
    std::vector<Epoch> closed;
    for (const SnapshotStore::Closed& each : store.closed()) closed.push_back(each.epoch);
    return closed;
  }
};

using Rows = std::vector<std::pair<Epoch, Size>>;

TEST_CASE("an epoch is closed when all inputs have ended it, and the next is applied after it") {
  CheckOk(Execute({.run = {.apply_in_epoch_order = true}}, [](Worker& worker) -> absl::Status {
    SizesFlow flow;
    HEADWAY_RETURN_IF_ERROR(flow.Build(worker));
    flow.numbers.Send(Number("a", 1));
    flow.numbers.AdvanceTo(1);
    flow.numbers.Send(Number("a", 1));
    flow.numbers.AdvanceTo(7);
    CHECK(flow.AfterSteps(worker) == Rows{{0, {"a", 1}}});
    CHECK(flow.Closed().empty());
    flow.texts.Send(Text("a", "ten letter"));
    flow.texts.AdvanceTo(1);
    CHECK(flow.AfterSteps(worker) == Rows{{0, {"a", 1}}, {0, {"a", 11}}, {1, {"a", 12}}});
    CHECK(flow.Closed() == std::vector<Epoch>{0});
    flow.texts.AdvanceTo(2);
    flow.texts.Send(Text("a", "x"));
    flow.AfterSteps(worker);
    CHECK(flow.Closed() == std::vector<Epoch>{0, 1});
    flow.numbers.Close();
    flow.texts.Close();
    CHECK(flow.AfterSteps(worker).back() == std::pair<Epoch, Size>{2, {"a", -13}});
    return absl::OkStatus();
  }));
}

TEST_CASE("the last results come when the last of several inputs has ended, in the last epoch") {
  for (const bool in_order : {false, true}) {
    CAPTURE(in_order);
    const RunOptions options{.apply_in_epoch_order = in_order};
    CheckOk(Execute({.run = options}, [](Worker& worker) -> absl::Status {
      SizesFlow flow;
      HEADWAY_RETURN_IF_ERROR(flow.Build(worker));
      flow.numbers.Send(Number("a", 1));
      flow.numbers.Close();
      CHECK(flow.AfterSteps(worker) == Rows{{0, {"a", 1}}});
      flow.texts.AdvanceTo(5);
      flow.texts.Send(Text("b", "xx"));
      flow.AfterSteps(worker);
      flow.texts.Close();
      Rows rows = flow.AfterSteps(worker);
      std::sort(rows.begin(), rows.end());
      CHECK(rows == Rows{{0, {"a", 1}}, {5, {"a", -1}}, {5, {"b", -2}}, {5, {"b", 2}}});
      return absl::OkStatus();
    }));
  }
}

TEST_CASE("records of all inputs with one key meet on one worker") {
  for (const int workers : kWorkerCounts) {
    CAPTURE(workers);
    Collected<Size> last;
    Dataflow flow("flow", [&](Scope<>& scope) {
      const auto source = scope.Input("numbers", NumbersOfEachWorker(100));
      const auto numbers =
          source | Map("number", [](int64_t x) { return Number(std::to_string(x % 1000 % 7), 1); });
      const auto texts = source | Map("text", [](int64_t x) {
                           return Text(std::to_string(x % 1000 % 7), std::string(10, 'x'));
                         });
      Sizes(numbers, texts) | Filter("last", [](const auto& size) { return size.second < 0; }) |
          CollectInto("collect", last);
    });
    CheckOk(RunMain(flow, {.worker_count = workers}));
    std::vector<Size> expected;
    for (int64_t key = 0; key < 7; ++key) {
      expected.emplace_back(std::to_string(key), -workers * 11 * (key < 2 ? 15 : 14));
    }
    CHECK(last.Sorted() == expected);
  }
}

}  // namespace
}  // namespace headway
