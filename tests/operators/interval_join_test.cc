#include "operators/interval_join.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
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

// A value is its own event time.
using Record = std::pair<std::string, int64_t>;
using Row = std::pair<std::string, std::tuple<int64_t, int64_t>>;

constexpr auto kItself = [](int64_t value) { return value; };
constexpr int64_t kDisorder = 7;

// Times from 0 on, in the order of the given side, of keys 0 to 6.
std::vector<Record> SideRecords(int64_t side, int count) {
  std::vector<Record> records;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t time = 3 * i + (i * 5 + side) % kDisorder;
    records.emplace_back("key " + std::to_string((i * i + side) % 7), time);
  }
  return records;
}

std::vector<Row> Model(int count, int64_t lower, int64_t upper) {
  std::vector<Row> rows;
  for (const auto& [key, left] : SideRecords(0, count)) {
    for (const auto& [other, right] : SideRecords(1, count)) {
      if (key == other && left + lower <= right && right <= left + upper) {
        rows.push_back({key, {left, right}});
      }
    }
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

TEST_CASE("an interval join has the pairs of a nested loop in every shape") {
  constexpr int kCount = 150;
  CHECK(Model(kCount, -20, 30).size() > 100);
  for (const Shape shape : kShapes) {
    for (const int64_t epoch : {7, 1000}) {
      CAPTURE(shape.processes);
      CAPTURE(shape.workers);
      CAPTURE(epoch);
      Collected<Row> rows;
      Dataflow flow("flow", [&](Scope<>& scope) {
        const auto left = scope.Input("left", TestingSource(SideRecords(0, kCount)));
        const auto right = scope.Input("right", TestingSource(SideRecords(1, kCount)));
        left |
            IntervalJoin("join", EventClock(kItself, kDisorder), right,
                         EventClock(kItself, kDisorder), JoinInterval(-20, 30)) |
            CollectInto("rows", rows);
      });
      CheckOk(RunInShape(flow, shape, {.epoch_config = RecordCountEpochConfig{epoch}}));
      CHECK(rows.Sorted() == Model(kCount, -20, 30));
    }
  }
}

TEST_CASE("an interval join that is stopped and resumed with other workers has each pair once") {
  constexpr int kCount = 60;
  Collected<Row> rows;
  StoppedRuns runs;
  Dataflow flow("flow", [&](Scope<>& scope) {
    const auto left =
        scope.Input("left", TestingSource(SideRecords(0, kCount))) | runs.StopHere("stop_left");
    const auto right =
        scope.Input("right", TestingSource(SideRecords(1, kCount))) | runs.StopHere("stop_right");
    left |
        IntervalJoin("join", EventClock(kItself, kDisorder), right, EventClock(kItself, kDisorder),
                     JoinInterval(-20, 30)) |
        CollectInto("rows", rows);
  });
  const std::vector<int> passed = runs.Run(flow, 30, {{1, 2}, {2, 2}, {1, 3}});
  CHECK(passed[0] < 2 * kCount);
  CHECK(passed[0] + passed[1] + passed[2] == 2 * kCount);
  CHECK(rows.Sorted() == Model(kCount, -20, 30));
}

using Number = std::pair<int, int64_t>;
using NumberRow = std::pair<int, std::tuple<int64_t, int64_t>>;

// Inputs by hand, on one worker, with clocks without disorder.
struct HandJoin {
  InputHandle<Number> left;
  InputHandle<Number> right;
  Collected<NumberRow> rows;
  SnapshotStore store;
  Epoch epoch = 0;

  absl::Status Build(Worker& worker, JoinInterval interval) {
    return worker.Build("flow", [&](Scope<>& scope) {
      scope.Input(left) |
          IntervalJoin("join", EventClock(kItself, 0), scope.Input(right), EventClock(kItself, 0),
                       interval) |
          CollectInto("rows", rows);
      store.Listen(scope);
    });
  }
  void EndEpoch(Worker& worker) {
    ++epoch;
    left.AdvanceTo(epoch);
    right.AdvanceTo(epoch);
    Steps(worker);
  }
  void Steps(Worker& worker) {
    left.Flush();
    right.Flush();
    for (int i = 0; i < 20; ++i) CheckOk(worker.Step());
  }
  absl::Status Close(Worker& worker) {
    left.Close();
    right.Close();
    return worker.StepWhile([&] { return worker.HasDataflows(); });
  }
  // The keys with values in the snapshots.
  size_t StoredKeys() const {
    std::map<std::string, bool> keys;
    for (const auto& change : store.changes()) {
      if (change.step_id == "join" && change.part.empty()) {
        keys[change.KeyText()] = change.state.has_value();
      }
    }
    return static_cast<size_t>(
        std::count_if(keys.begin(), keys.end(), [](const auto& key) { return key.second; }));
  }
  // The bytes of a key's values in the snapshots, and the number of its timers.
  struct Stored {
    size_t values = 0;
    size_t timers = 0;
  };
  Stored StoredOf(int key) const {
    std::map<SnapshotStore::Bytes, size_t> parts;
    for (const auto& change : store.changes()) {
      if (change.step_id != "join" || change.key != EncodeToBytes(key)) continue;
      parts.erase(change.part);
      if (change.state.has_value()) parts[change.part] = change.state->size();
    }
    const bool has_values = parts.contains({});
    return {.values = has_values ? parts[{}] : 0, .timers = parts.size() - (has_values ? 1 : 0)};
  }
};

const Config kInOrder{.run = {.apply_in_epoch_order = true}};

TEST_CASE("both bounds belong to the interval, whichever value comes first") {
  CheckOk(Execute({}, [](Worker& worker) -> absl::Status {
    HandJoin join;
    HEADWAY_RETURN_IF_ERROR(join.Build(worker, JoinInterval(-2, 3)));
    for (int64_t time : {97, 98, 103, 104}) join.right.Send(Number(1, time));
    join.Steps(worker);
    join.left.Send(Number(1, 100));
    join.left.Send(Number(2, 100));
    join.Steps(worker);
    CHECK(join.rows.Sorted() == std::vector<NumberRow>{{1, {100, 98}}, {1, {100, 103}}});
    for (int64_t time : {104, 105}) join.left.Send(Number(1, time));
    join.right.Send(Number(1, 105));
    join.Steps(worker);
    CHECK(join.rows.size() == 2 + 3 + 3);  // 104 and 105 meet 103, 104 and 105
    return join.Close(worker);
  }));
}

TEST_CASE("a value is dropped when the watermark of both streams has passed its last partner") {
  CheckOk(Execute(kInOrder, [](Worker& worker) -> absl::Status {
    HandJoin join;
    HEADWAY_RETURN_IF_ERROR(join.Build(worker, JoinInterval(0, 10)));
    join.left.Send(Number(1, 100));   // meets up to 110
    join.right.Send(Number(2, 100));  // meets left values up to 100
    join.EndEpoch(worker);
    CHECK(join.StoredKeys() == 2);
    join.left.Send(Number(3, 200));
    join.EndEpoch(worker);
    CHECK(join.StoredKeys() == 3);  // the right stream is at 100
    join.right.Send(Number(4, 110));
    join.EndEpoch(worker);
    CHECK(join.StoredKeys() == 3);  // only key 2 can meet nothing
    join.right.Send(Number(5, 111));
    join.EndEpoch(worker);
    CHECK(join.StoredKeys() == 2);  // 3 and 5
    return join.Close(worker);
  }));
}

TEST_CASE(
    "a key has one timer, which moves to an earlier time with a value that is dropped before") {
  CheckOk(Execute(kInOrder, [](Worker& worker) -> absl::Status {
    HandJoin join;
    HEADWAY_RETURN_IF_ERROR(join.Build(worker, JoinInterval(0, 10)));
    join.left.Send(Number(1, 100));  // dropped at 111
    join.EndEpoch(worker);
    const size_t one_value = join.StoredOf(1).values;
    CHECK(join.StoredOf(1).timers == 1);
    join.right.Send(Number(1, 105));  // dropped at 106
    join.EndEpoch(worker);
    CHECK(join.StoredOf(1).values > one_value);
    CHECK(join.StoredOf(1).timers == 1);
    for (const int64_t watermark : {106, 110}) {
      join.left.Send(Number(2, watermark));
      join.right.Send(Number(3, watermark));
      join.EndEpoch(worker);
      CHECK(join.StoredOf(1).values == one_value);
      CHECK(join.StoredOf(1).timers == 1);
    }
    join.left.Send(Number(2, 111));
    join.right.Send(Number(3, 111));
    join.EndEpoch(worker);
    CHECK(join.StoredOf(1).values == 0);
    CHECK(join.StoredOf(1).timers == 0);
    return join.Close(worker);
  }));
}

TEST_CASE("at the end of the input all values are dropped") {
  HandJoin join;
  CheckOk(Execute(kInOrder, [&join](Worker& worker) -> absl::Status {
    HEADWAY_RETURN_IF_ERROR(join.Build(worker, JoinInterval(0, 10)));
    for (int key = 0; key < 5; ++key) join.left.Send(Number(key, 100 + key));
    join.EndEpoch(worker);
    CHECK(join.StoredKeys() == 5);
    return join.Close(worker);
  }));
  CHECK(join.StoredKeys() == 0);
}

TEST_CASE("a late value meets the values that are kept, and is kept if it can meet others") {
  CheckOk(Execute(kInOrder, [](Worker& worker) -> absl::Status {
    HandJoin join;
    HEADWAY_RETURN_IF_ERROR(join.Build(worker, JoinInterval(-10, 10)));
    join.left.Send(Number(1, 80));
    join.left.Send(Number(1, 95));
    join.right.Send(Number(9, 100));
    join.left.Send(Number(9, 100));
    join.EndEpoch(worker);
    CHECK(join.rows.size() == 1);    // of key 9
    join.right.Send(Number(1, 85));  // late: 80 is gone, 95 is still kept
    join.EndEpoch(worker);
    CHECK(join.rows.InOrder().back() == NumberRow{1, {95, 85}});
    CHECK(join.rows.size() == 2);
    join.right.Send(Number(1, 92));  // late, and meets 102 below
    join.Steps(worker);
    join.left.Send(Number(1, 102));
    join.Steps(worker);
    CHECK(join.rows.InOrder().back() == NumberRow{1, {102, 92}});
    return join.Close(worker);
  }));
}

TEST_CASE("times at both ends of their range meet within unbounded intervals") {
  CheckOk(Execute({}, [](Worker& worker) -> absl::Status {
    HandJoin join;
    HEADWAY_RETURN_IF_ERROR(
        join.Build(worker, JoinInterval(-absl::InfiniteDuration(), absl::InfiniteDuration())));
    constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
    constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
    for (int64_t time : {kMin, int64_t{0}, kMax}) {
      join.left.Send(Number(1, time));
      join.right.Send(Number(1, time));
    }
    join.Steps(worker);
    CHECK(join.rows.size() == 9);
    return join.Close(worker);
  }));
}

TEST_CASE("an interval that ends before it begins is an error of the step") {
  Dataflow flow("flow", [&](Scope<>& scope) {
    const auto pairs = scope.Input("pairs", TestingSource(SideRecords(0, 1)));
    pairs | IntervalJoin("join", EventClock(kItself, 0), pairs, EventClock(kItself, 0),
                         JoinInterval(1, 0));
  });
  CheckError(RunMain(flow, {}), absl::StatusCode::kInvalidArgument,
             {"step 'join'", "JoinInterval ends before it begins"});
}

}  // namespace
}  // namespace headway
