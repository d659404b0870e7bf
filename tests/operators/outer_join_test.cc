#include "operators/outer_join.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "tests/engine/run_helpers.h"
#include "tests/engine/snapshot_store.h"
#include "tests/engine/thread_cluster.h"
#include "tests/operators/stopped_runs.h"

namespace headway {
namespace {

using Left = std::pair<std::string, int>;
using Right = std::pair<std::string, std::string>;
using MaybeLeft = std::optional<int>;
using MaybeRight = std::optional<std::string>;
using Outer = std::pair<std::string, std::tuple<MaybeLeft, MaybeRight>>;

// Keys 0 to 16, most with several values.
std::vector<Left> Lefts() {
  std::vector<Left> records;
  for (int i = 0; i < 60; ++i) records.emplace_back("key " + std::to_string(i * 5 % 17), i);
  return records;
}
// Keys 3 to 19, one or two values.
std::vector<Right> Rights() {
  std::vector<Right> records;
  for (int i = 0; i < 30; ++i) {
    records.emplace_back("key " + std::to_string(3 + i * 7 % 17), std::to_string(i));
  }
  return records;
}

// The rows of a nested loop over both, and the values that had no partner.
std::vector<Outer> Model(bool left_alone, bool right_alone) {
  std::vector<Outer> rows;
  std::map<std::string, int> lefts;
  for (const auto& [key, value] : Lefts()) {
    ++lefts[key];
    bool alone = true;
    for (const auto& [other, text] : Rights()) {
      if (other != key) continue;
      rows.push_back({key, {value, text}});
      alone = false;
    }
    if (alone && left_alone) rows.push_back({key, {value, std::nullopt}});
  }
  for (const auto& [key, text] : Rights()) {
    if (right_alone && lefts[key] == 0) rows.push_back({key, {std::nullopt, text}});
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

TEST_CASE("inner, left, right and outer joins have the rows of SQL in every shape") {
  CHECK(Model(true, true).size() > Model(true, false).size());
  CHECK(Model(true, false).size() > Model(false, false).size());
  for (const Shape shape : kShapes) {
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    Collected<Outer> inner;
    Collected<Outer> left;
    Collected<Outer> right;
    Collected<Outer> outer;
    Dataflow flow("flow", [&](Scope<>& scope) {
      const auto a = scope.Input("a", TestingSource(Lefts()));
      const auto b = scope.Input("b", TestingSource(Rights()));
      a | InnerJoin("inner", b) |
          Inspect("1", [&](const std::pair<std::string, std::tuple<int, std::string>>& row) {
            inner.Add(row);
          });
      a | LeftJoin("left", b) |
          Inspect("2", [&](const std::pair<std::string, std::tuple<int, MaybeRight>>& row) {
            left.Add(row);
          });
      a | RightJoin("right", b) |
          Inspect("3", [&](const std::pair<std::string, std::tuple<MaybeLeft, std::string>>& row) {
            right.Add(row);
          });
      a | OuterJoin("outer", b) | CollectInto("4", outer);
    });
    CheckOk(RunInShape(flow, shape, {.epoch_config = RecordCountEpochConfig{7}}));
    CHECK(inner.Sorted() == Model(false, false));
    CHECK(left.Sorted() == Model(true, false));
    CHECK(right.Sorted() == Model(false, true));
    CHECK(outer.Sorted() == Model(true, true));
  }
}

TEST_CASE("an outer join that is stopped and resumed with other workers emits each row once") {
  Collected<Outer> rows;
  StoppedRuns runs;
  Dataflow flow("flow", [&](Scope<>& scope) {
    const auto a = scope.Input("a", TestingSource(Lefts())) | runs.StopHere("stop_a");
    const auto b = scope.Input("b", TestingSource(Rights())) | runs.StopHere("stop_b");
    a | OuterJoin("outer", b) | CollectInto("rows", rows);
  });
  const std::vector<int> passed = runs.Run(flow, 20, {{1, 2}, {2, 2}, {1, 3}});
  CHECK(passed[0] < 90);
  CHECK(passed[0] + passed[1] + passed[2] == 90);
  CHECK(rows.Sorted() == Model(true, true));
}

TEST_CASE("a key that expires gives its unmatched rows, and later values meet only each other") {
  using Number = std::pair<int, int>;
  using Row = std::pair<int, std::tuple<int, std::optional<int>>>;
  ManualClock clock;
  SnapshotStore store;
  const Config config{.run = {.apply_in_epoch_order = true, .clock = &clock}};
  CheckOk(Execute(config, [&](Worker& worker) -> absl::Status {
    InputHandle<Number> left;
    InputHandle<Number> right;
    Collected<Row> rows;
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      scope.Input(left) | LeftJoin("join", JoinExpiry{absl::Seconds(10)}, scope.Input(right)) |
          CollectInto("rows", rows);
      store.Listen(scope);
    }));
    auto steps = [&] {
      left.Flush();
      right.Flush();
      for (int i = 0; i < 20; ++i) CheckOk(worker.Step());
    };
    left.Send(Number(7, 1));
    left.Send(Number(8, 1));
    right.Send(Number(8, 10));
    right.Send(Number(9, 10));
    steps();
    CHECK(rows.InOrder() == std::vector<Row>{{8, {1, 10}}});
    for (const Epoch next : {1, 2}) {
      left.AdvanceTo(next);
      right.AdvanceTo(next);
      steps();
      clock.Advance(absl::Seconds(10));
    }
    CHECK(rows.Sorted() == std::vector<Row>{{7, {1, std::nullopt}}, {8, {1, 10}}});
    left.AdvanceTo(3);
    right.AdvanceTo(3);
    right.Send(Number(7, 20));
    right.Send(Number(8, 20));
    left.Send(Number(8, 2));
    steps();
    CHECK(rows.size() == 3);
    CHECK(rows.InOrder().back() == Row{8, {2, 20}});
    left.Close();
    right.Close();
    steps();
    CHECK(rows.size() == 3);
    return absl::OkStatus();
  }));
  std::map<std::string, bool> keys;
  for (const auto& change : store.changes()) keys[change.KeyText()] = change.state.has_value();
  CHECK(keys.size() == 3);
  for (const auto& [key, is_kept] : keys) CHECK_FALSE(is_kept);
}

}  // namespace
}  // namespace headway
