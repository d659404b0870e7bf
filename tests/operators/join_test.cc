#include "operators/join.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
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

using Numbered = std::pair<int, int>;
using MaybeRow = std::tuple<std::optional<int>, std::optional<int>>;
constexpr std::nullopt_t kNone = std::nullopt;

// Two inputs by hand, so that values arrive in a known order.
template <JoinEmit emit, JoinInsert insert>
struct HandJoin {
  using Row = std::conditional_t<emit == JoinEmit::kComplete, std::tuple<int, int>, MaybeRow>;

  InputHandle<Numbered> left;
  InputHandle<Numbered> right;
  Collected<std::pair<int, Row>> rows;
  SnapshotStore store;

  template <class... Options>
  absl::Status Build(Worker& worker, Options... options) {
    return worker.Build("flow", [&](Scope<>& scope) {
      scope.Input(left) | Join<emit, insert>("join", options..., scope.Input(right)) |
          CollectInto("rows", rows);
      store.Listen(scope);
    });
  }
  void Send(Worker& worker, InputHandle<Numbered>& side, int key, int value) {
    side.Send(Numbered(key, value));
    side.Flush();
    Steps(worker);
  }
  void EndEpoch(Worker& worker, Epoch next) {
    left.AdvanceTo(next);
    right.AdvanceTo(next);
    Steps(worker);
  }
  void Close(Worker& worker) {
    left.Close();
    right.Close();
    Steps(worker);
  }
  static void Steps(Worker& worker) {
    for (int i = 0; i < 20; ++i) CheckOk(worker.Step());
  }
  std::vector<Row> RowsOf(int key) const {
    std::vector<Row> found;
    for (const auto& [of, row] : rows.InOrder()) {
      if (of == key) found.push_back(row);
    }
    return found;
  }
  // The keys whose last change in the snapshots is not that they are gone.
  size_t StoredKeys() const {
    std::map<std::string, bool> keys;
    for (const auto& change : store.changes()) {
      if (change.part.empty()) keys[change.KeyText()] = change.state.has_value();
    }
    return static_cast<size_t>(
        std::count_if(keys.begin(), keys.end(), [](const auto& key) { return key.second; }));
  }
};

// A1, B10, A2, B20, B30 of one key, then the end.
template <JoinEmit emit, JoinInsert insert>
auto RowsOfArrivals() {
  HandJoin<emit, insert> join;
  CheckOk(Execute({}, [&](Worker& worker) -> absl::Status {
    HEADWAY_RETURN_IF_ERROR(join.Build(worker));
    join.Send(worker, join.left, 7, 1);
    join.Send(worker, join.right, 7, 10);
    join.Send(worker, join.left, 7, 2);
    join.Send(worker, join.right, 7, 20);
    join.Send(worker, join.right, 7, 30);
    join.Close(worker);
    return absl::OkStatus();
  }));
  return join.RowsOf(7);
}

TEST_CASE("a join emits the rows of its modes") {
  using Rows = std::vector<MaybeRow>;
  using CompleteRows = std::vector<std::tuple<int, int>>;
  using enum JoinEmit;
  using enum JoinInsert;
  CHECK(RowsOfArrivals<kComplete, kFirst>() == CompleteRows{{1, 10}, {2, 20}});
  CHECK(RowsOfArrivals<kComplete, kLast>() == CompleteRows{{1, 10}, {2, 20}});
  CHECK(RowsOfArrivals<kComplete, kProduct>() == CompleteRows{{1, 10}, {2, 20}});
  CHECK(RowsOfArrivals<kFinal, kFirst>() == Rows{{1, 10}});
  CHECK(RowsOfArrivals<kFinal, kLast>() == Rows{{2, 30}});
  CHECK(RowsOfArrivals<kFinal, kProduct>() ==
        Rows{{1, 10}, {1, 20}, {1, 30}, {2, 10}, {2, 20}, {2, 30}});
  CHECK(RowsOfArrivals<kRunning, kFirst>() == Rows{{1, kNone}, {1, 10}, {1, 10}, {1, 10}, {1, 10}});
  CHECK(RowsOfArrivals<kRunning, kLast>() == Rows{{1, kNone}, {1, 10}, {2, 10}, {2, 20}, {2, 30}});
  Rows products{{1, kNone}};
  auto add_product = [&](const std::vector<int>& lefts, const std::vector<int>& rights) {
    for (const int left : lefts) {
      for (const int right : rights) products.push_back({left, right});
    }
  };
  add_product({1}, {10});
  add_product({1, 2}, {10});
  add_product({1, 2}, {10, 20});
  add_product({1, 2}, {10, 20, 30});
  CHECK(RowsOfArrivals<kRunning, kProduct>() == products);
}

TEST_CASE("a complete join of products pairs all values that came before the last side's first") {
  HandJoin<JoinEmit::kComplete, JoinInsert::kProduct> join;
  CheckOk(Execute({}, [&](Worker& worker) -> absl::Status {
    HEADWAY_RETURN_IF_ERROR(join.Build(worker));
    join.Send(worker, join.left, 7, 1);
    join.Send(worker, join.left, 7, 2);
    join.Send(worker, join.right, 7, 10);
    join.Close(worker);
    return absl::OkStatus();
  }));
  CHECK(join.RowsOf(7) == std::vector<std::tuple<int, int>>{{1, 10}, {2, 10}});
}

TEST_CASE("a complete join keeps nothing of a key after its row, in memory and in snapshots") {
  HandJoin<JoinEmit::kComplete, JoinInsert::kLast> join;
  const Config config{.run = {.apply_in_epoch_order = true}};
  CheckOk(Execute(config, [&](Worker& worker) -> absl::Status {
    HEADWAY_RETURN_IF_ERROR(join.Build(worker));
    for (int key = 0; key < 10; ++key) join.Send(worker, join.left, key, key);
    join.EndEpoch(worker, 1);
    CHECK(join.StoredKeys() == 10);
    for (int key = 0; key < 9; ++key) join.Send(worker, join.right, key, 10 * key);
    join.EndEpoch(worker, 2);
    CHECK(join.StoredKeys() == 1);
    CHECK(join.rows.size() == 9);
    join.Close(worker);
    return absl::OkStatus();
  }));
}

// Advances the clock, wakes the join's timers, and ends the epoch.
template <class HandJoin>
void Wait(Worker& worker, HandJoin& join, ManualClock& clock, absl::Duration time, Epoch next) {
  clock.Advance(time);
  join.EndEpoch(worker, next);
}

TEST_CASE("a key expires some time after its last value, and later values begin anew") {
  ManualClock clock;
  const Config config{.run = {.apply_in_epoch_order = true, .clock = &clock}};
  HandJoin<JoinEmit::kRunning, JoinInsert::kLast> running;
  CheckOk(Execute(config, [&](Worker& worker) -> absl::Status {
    HEADWAY_RETURN_IF_ERROR(running.Build(worker, JoinExpiry{absl::Seconds(10)}));
    running.Send(worker, running.left, 7, 1);
    running.Send(worker, running.left, 8, 1);
    Wait(worker, running, clock, absl::Seconds(6), 1);
    running.Send(worker, running.right, 7, 10);  // key 7 lives for another ten seconds
    Wait(worker, running, clock, absl::Seconds(6), 2);
    CHECK(running.StoredKeys() == 1);
    running.Send(worker, running.right, 7, 20);
    running.Send(worker, running.right, 8, 20);
    Wait(worker, running, clock, absl::Seconds(10), 3);
    CHECK(running.StoredKeys() == 0);
    running.Send(worker, running.right, 7, 30);
    running.Close(worker);
    return absl::OkStatus();
  }));
  CHECK(running.RowsOf(7) == std::vector<MaybeRow>{{1, kNone}, {1, 10}, {1, 20}, {kNone, 30}});
  CHECK(running.RowsOf(8) == std::vector<MaybeRow>{{1, kNone}, {kNone, 20}});
}

TEST_CASE("a final join emits the rows of a key when it expires, and of the others at the end") {
  ManualClock clock;
  const Config config{.run = {.apply_in_epoch_order = true, .clock = &clock}};
  HandJoin<JoinEmit::kFinal, JoinInsert::kProduct> join;
  CheckOk(Execute(config, [&](Worker& worker) -> absl::Status {
    HEADWAY_RETURN_IF_ERROR(join.Build(worker, JoinExpiry{absl::Seconds(10)}));
    join.Send(worker, join.left, 7, 1);
    Wait(worker, join, clock, absl::Seconds(5), 1);
    join.Send(worker, join.left, 8, 1);
    join.Send(worker, join.right, 8, 10);
    join.Send(worker, join.right, 8, 20);
    CHECK(join.rows.size() == 0);
    Wait(worker, join, clock, absl::Seconds(5), 2);
    CHECK(join.RowsOf(7) == std::vector<MaybeRow>{{1, kNone}});
    CHECK(join.RowsOf(8).empty());
    join.Close(worker);
    return absl::OkStatus();
  }));
  CHECK(join.RowsOf(8) == std::vector<MaybeRow>{{1, 10}, {1, 20}});
}

TEST_CASE("a complete row cancels the key's timer") {
  ManualClock clock;
  const Config config{.run = {.apply_in_epoch_order = true, .clock = &clock}};
  HandJoin<JoinEmit::kComplete, JoinInsert::kLast> join;
  CheckOk(Execute(config, [&](Worker& worker) -> absl::Status {
    HEADWAY_RETURN_IF_ERROR(join.Build(worker, JoinExpiry{absl::Seconds(10)}));
    join.Send(worker, join.left, 7, 1);
    join.EndEpoch(worker, 1);
    clock.Advance(absl::Seconds(6));
    join.Send(worker, join.right, 7, 10);
    join.Send(worker, join.left, 7, 2);
    Wait(worker, join, clock, absl::Seconds(6), 2);  // the first timer would be due
    CHECK(join.StoredKeys() == 1);
    join.Send(worker, join.right, 7, 20);
    join.EndEpoch(worker, 3);
    size_t timers = 0;  // set less erased
    for (const auto& change : join.store.changes()) {
      if (!change.part.empty()) timers += change.state.has_value() ? 1 : -1;
    }
    CHECK(timers == 0);
    join.Close(worker);
    return absl::OkStatus();
  }));
  CHECK(join.RowsOf(7) == std::vector<std::tuple<int, int>>{{1, 10}, {2, 20}});
}

// Records (key, number of the record) of one side: keys 0 to 19, in an order of the side's own.
std::vector<std::pair<std::string, int>> SideRecords(int side, int count) {
  std::vector<std::pair<std::string, int>> records;
  for (int i = 0; i < count; ++i) {
    const int key = (i * (2 * side + 3) + side) % (17 + side);
    records.emplace_back("key " + std::to_string(key), 1000 * side + i);
  }
  return records;
}

TEST_CASE("the final rows of three sides equal a slow model in every shape") {
  using Row = std::tuple<std::optional<int>, std::optional<std::string>, std::optional<int>>;
  using Keyed = std::pair<std::string, Row>;
  struct Kept {
    std::vector<int> a;
    std::vector<std::string> b;
    std::vector<int> c;
  };
  std::map<std::string, Kept> model;
  for (const auto& [key, value] : SideRecords(0, 50)) model[key].a.push_back(value);
  for (const auto& [key, value] : SideRecords(1, 9)) model[key].b.push_back(std::to_string(value));
  for (const auto& [key, value] : SideRecords(2, 40)) model[key].c.push_back(value);
  auto or_none = [](const auto& values) {
    using V = typename std::remove_cvref_t<decltype(values)>::value_type;
    std::vector<std::optional<V>> some(values.begin(), values.end());
    if (some.empty()) some.push_back(kNone);
    return some;
  };
  std::vector<Keyed> first;
  std::vector<Keyed> last;
  std::vector<Keyed> product;
  for (const auto& [key, kept] : model) {
    const auto a = or_none(kept.a);
    const auto b = or_none(kept.b);
    const auto c = or_none(kept.c);
    first.push_back({key, {a.front(), b.front(), c.front()}});
    last.push_back({key, {a.back(), b.back(), c.back()}});
    for (const auto& i : a) {
      for (const auto& j : b) {
        for (const auto& k : c) product.push_back({key, {i, j, k}});
      }
    }
  }
  std::sort(product.begin(), product.end());
  for (const Shape shape : kShapes) {
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    Collected<Keyed> firsts;
    Collected<Keyed> lasts;
    Collected<Keyed> products;
    Dataflow flow("flow", [&](Scope<>& scope) {
      const auto a = scope.Input("a", TestingSource(SideRecords(0, 50)));
      const auto b = scope.Input("b", TestingSource(SideRecords(1, 9))) |
                     Map("text", [](const std::pair<std::string_view, int>& record) {
                       return std::pair(record.first, std::to_string(record.second));
                     });
      const auto c = scope.Input("c", TestingSource(SideRecords(2, 40)));
      a | Join<JoinEmit::kFinal, JoinInsert::kFirst>("first", b, c) | CollectInto("1", firsts);
      a | Join<JoinEmit::kFinal>("last", b, c) | CollectInto("2", lasts);
      a | Join<JoinEmit::kFinal, JoinInsert::kProduct>("product", b, c) |
          CollectInto("3", products);
    });
    CheckOk(RunInShape(flow, shape, {.epoch_config = RecordCountEpochConfig{7}}));
    CHECK(firsts.Sorted() == first);
    CHECK(lasts.Sorted() == last);
    CHECK(products.Sorted() == product);
  }
}

TEST_CASE("a final join that is stopped emits nothing, and its rows when a resumed run ends") {
  using Keyed = std::pair<std::string, MaybeRow>;
  std::map<std::string, std::pair<std::vector<int>, std::vector<int>>> model;
  for (const auto& [key, value] : SideRecords(0, 60)) model[key].first.push_back(value);
  for (const auto& [key, value] : SideRecords(1, 60)) model[key].second.push_back(value);
  std::vector<Keyed> expected;
  for (const auto& [key, values] : model) {
    for (int left : values.first) {
      for (int right : values.second) expected.push_back({key, {left, right}});
      if (values.second.empty()) expected.push_back({key, {left, kNone}});
    }
    for (int right : values.second) {
      if (values.first.empty()) expected.push_back({key, {kNone, right}});
    }
  }
  std::sort(expected.begin(), expected.end());
  Collected<Keyed> rows;
  StoppedRuns runs;
  std::vector<size_t> before;  // the number of rows before each run
  Dataflow flow("flow", [&](Scope<>& scope) {
    if (scope.worker_index() == 0) before.push_back(rows.size());
    const auto a = scope.Input("a", TestingSource(SideRecords(0, 60))) | runs.StopHere("stop_a");
    const auto b = scope.Input("b", TestingSource(SideRecords(1, 60))) | runs.StopHere("stop_b");
    a | Join<JoinEmit::kFinal, JoinInsert::kProduct>("join", JoinExpiry{absl::Hours(1)}, b) |
        CollectInto("rows", rows);
  });
  const std::vector<int> passed = runs.Run(flow, 30, {{1, 2}, {2, 2}, {1, 3}});
  CHECK(passed[0] < 120);
  CHECK(passed[0] + passed[1] + passed[2] == 120);
  CHECK(before == std::vector<size_t>{0, 0, 0});
  CHECK(rows.Sorted() == expected);
}

TEST_CASE("a stream may be joined with itself and with none") {
  for (const int workers : kWorkerCounts) {
    CAPTURE(workers);
    Collected<std::pair<int, std::tuple<int, int>>> both;
    Collected<std::pair<int, std::tuple<int>>> alone;
    Dataflow flow("flow", [&](Scope<>& scope) {
      const auto pairs =
          scope.Input("pairs", TestingSource(std::vector<Numbered>{{1, 10}, {2, 20}}));
      pairs | Join("both", pairs) | CollectInto("1", both);
      pairs | Join("alone") | CollectInto("2", alone);
    });
    CheckOk(RunMain(flow, {.worker_count = workers}));
    CHECK(both.Sorted() ==
          std::vector<std::pair<int, std::tuple<int, int>>>{{1, {10, 10}}, {2, {20, 20}}});
    CHECK(alone.Sorted() == std::vector<std::pair<int, std::tuple<int>>>{{1, {10}}, {2, {20}}});
  }
}

TEST_CASE("an expiry that is not positive is an error of the step") {
  Dataflow flow("flow", [&](Scope<>& scope) {
    const auto pairs = scope.Input("pairs", TestingSource(std::vector<Numbered>{{1, 10}}));
    pairs | Join("join", JoinExpiry{absl::ZeroDuration()}, pairs);
  });
  CheckError(RunMain(flow, {}), absl::StatusCode::kInvalidArgument,
             {"step 'join'", "JoinExpiry is not positive"});
}

}  // namespace
}  // namespace headway
