#include "operators/broadcast_join.h"

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

using Record = std::pair<std::string, int>;
using Change = std::pair<std::string, std::optional<std::string>>;
using Row = std::pair<std::string, std::tuple<int, std::optional<std::string>>>;

std::vector<Record> Records(int count) {
  std::vector<Record> records;
  for (int i = 0; i < count; ++i) records.emplace_back("key " + std::to_string(i * 5 % 17), i);
  return records;
}
// Sets the rows of keys 0 to 11, some of them again, and erases those of 0, 5 and 10.
std::vector<Change> Changes() {
  std::vector<Change> changes;
  for (int i = 0; i < 40; ++i) {
    changes.emplace_back("key " + std::to_string(i % 12), "row " + std::to_string(i));
  }
  for (int i : {0, 5, 10}) changes.emplace_back("key " + std::to_string(i), std::nullopt);
  return changes;
}
std::map<std::string, std::string> TableAfter(const std::vector<Change>& changes) {
  std::map<std::string, std::string> table;
  for (const auto& [key, row] : changes) {
    table.erase(key);
    if (row.has_value()) table[key] = *row;
  }
  return table;
}

std::vector<Row> Model(const std::vector<Record>& records, const std::vector<Change>& changes) {
  const auto table = TableAfter(changes);
  std::vector<Row> rows;
  for (const auto& [key, value] : records) {
    const auto row = table.find(key);
    rows.push_back({key, {value, row == table.end() ? std::nullopt : std::optional(row->second)}});
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

TEST_CASE("a record meets the table as it is at the end of the record's epoch, in every shape") {
  std::vector<Row> matched = Model(Records(60), Changes());
  const std::vector<Row> expected = matched;
  std::erase_if(matched, [](const Row& row) { return !std::get<1>(row.second).has_value(); });
  CHECK(matched.size() < expected.size());
  for (const Shape shape : kShapes) {
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    Collected<Row> left;
    Collected<Row> inner;
    Dataflow flow("flow", [&](Scope<>& scope) {
      const auto records = scope.Input("records", TestingSource(Records(60)));
      const auto table = scope.Input("changes", TestingSource(Changes()));
      records | BroadcastLeftJoin("left", table) | CollectInto("1", left);
      records | BroadcastJoin("inner", table) |
          Inspect("2", [&](const std::pair<std::string, std::tuple<int, std::string>>& row) {
            inner.Add(row);
          });
    });
    // One epoch has the changes and the records; their order of arrival is arbitrary.
    CheckOk(RunInShape(flow, shape));
    CHECK(left.Sorted() == expected);
    CHECK(inner.Sorted() == matched);
  }
}

using Number = std::pair<int, int>;

// Inputs by hand, on one worker.
struct HandJoin {
  InputHandle<Number> records;
  InputHandle<Number> table;
  Collected<std::pair<int, std::tuple<int, std::optional<int>>>> rows;
  SnapshotStore store;

  absl::Status Build(Worker& worker, BroadcastJoinOptions options) {
    return worker.Build("flow", [&](Scope<>& scope) {
      scope.Input(records) | BroadcastLeftJoin("join", scope.Input(table), options) |
          CollectInto("rows", rows);
      store.Listen(scope);
    });
  }
  void Steps(Worker& worker) {
    records.Flush();
    table.Flush();
    for (int i = 0; i < 20; ++i) CheckOk(worker.Step());
  }
  absl::Status Close(Worker& worker) {
    records.Close();
    table.Close();
    return worker.StepWhile([&] { return worker.HasDataflows(); });
  }
};
using HandRows = std::vector<std::pair<int, std::tuple<int, std::optional<int>>>>;

TEST_CASE("records wait for the table of their epoch, and rows for the records of earlier ones") {
  for (const bool in_order : {false, true}) {
    CAPTURE(in_order);
    const Config config{.run = {.apply_in_epoch_order = in_order}};
    CheckOk(Execute(config, [](Worker& worker) -> absl::Status {
      HandJoin join;
      HEADWAY_RETURN_IF_ERROR(join.Build(worker, {}));
      join.records.Send(Number(1, 10));
      join.Steps(worker);
      CHECK(join.rows.size() == 0);
      join.table.Send(Number(1, 100));
      join.table.AdvanceTo(1);
      join.table.Send(Number(1, 101));  // of epoch 1: the records of epoch 0 do not see it
      join.table.AdvanceTo(3);
      join.Steps(worker);
      CHECK(join.rows.InOrder() == HandRows{{1, {10, 100}}});
      join.records.Send(Number(1, 11));
      join.Steps(worker);
      CHECK(join.rows.InOrder().back() == HandRows::value_type{1, {11, 100}});
      join.records.AdvanceTo(1);
      join.records.Send(Number(1, 12));
      join.Steps(worker);
      CHECK(join.rows.InOrder().back() == HandRows::value_type{1, {12, 101}});
      CHECK(join.rows.size() == 3);
      join.records.AdvanceTo(3);
      join.records.Send(Number(1, 13));
      join.Steps(worker);
      CHECK(join.rows.size() == 3);
      return join.Close(worker);
    }));
  }
}

TEST_CASE("the watermark is that of the records, and waits behind those that wait") {
  for (const bool in_order : {false, true}) {
    CAPTURE(in_order);
    const Config config{.run = {.apply_in_epoch_order = in_order}};
    CheckOk(Execute(config, [](Worker& worker) -> absl::Status {
      InputHandle<Number> records;
      InputHandle<Number> table;
      std::vector<EventTime> watermarks;
      int early = 0;  // records behind the watermark
      HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
        const EventClock clock([](const Number& record) { return record.second; }, 0);
        using Joined = std::pair<int, std::tuple<int, std::optional<int>>>;
        const auto joined = scope.Input(records) | AssignEventTime("time", clock) |
                            BroadcastLeftJoin("join", scope.Input(table));
        KeyedOperator<int, Joined, Epoch, FirstOfPair> keyed(joined, "note", FirstOfPair());
        auto& step = keyed.step();
        auto& output = keyed.AddOutput<int>();
        keyed.OnBatch([&early, &step](const CapabilityRef<>&, Batch<Joined>& batch) {
          for (const auto& row : batch) early += std::get<0>(row.second) < step.watermark() ? 1 : 0;
        });
        keyed.OnWatermark([&](const CapabilityRef<>&) { watermarks.push_back(step.watermark()); });
        keyed.Build(output);
      }));
      auto steps = [&] {
        records.Flush();
        table.Flush();
        for (int i = 0; i < 20; ++i) CheckOk(worker.Step());
      };
      records.Send(Number(1, 10));
      table.Send(Number(1, 1));
      steps();
      records.Send(Number(1, 20));
      records.AdvanceTo(1);
      records.Send(Number(1, 30));
      records.Flush();
      steps();
      CHECK(watermarks.empty());
      table.AdvanceTo(1);
      table.Send(Number(1, 2));
      steps();
      REQUIRE(!watermarks.empty());
      CHECK(watermarks.back() == 20);
      table.AdvanceTo(2);
      records.AdvanceTo(2);
      steps();
      CHECK(watermarks.back() == 30);
      CHECK(early == 0);
      records.Close();
      table.Close();
      return worker.StepWhile([&] { return worker.HasDataflows(); });
    }));
  }
}

TEST_CASE("without waiting, a record meets the rows that have arrived before it") {
  CheckOk(Execute({}, [](Worker& worker) -> absl::Status {
    HandJoin join;
    HEADWAY_RETURN_IF_ERROR(join.Build(worker, {.waits_for_epoch = false}));
    join.records.Send(Number(1, 10));
    join.Steps(worker);
    join.table.Send(Number(1, 100));
    join.Steps(worker);
    join.records.Send(Number(1, 11));
    join.Steps(worker);
    CHECK(join.rows.InOrder() == HandRows{{1, {10, std::nullopt}}, {1, {11, 100}}});
    return join.Close(worker);
  }));
}

TEST_CASE("a lookup is no change: a snapshot has only the rows that changed") {
  CheckOk(Execute({.run = {.apply_in_epoch_order = true}}, [](Worker& worker) -> absl::Status {
    HandJoin join;
    HEADWAY_RETURN_IF_ERROR(join.Build(worker, {}));
    for (int key = 0; key < 10; ++key) join.table.Send(Number(key, key));
    for (const Epoch next : {1, 2, 3}) {
      for (int key = 0; key < 10; ++key) join.records.Send(Number(key, key));
      join.records.AdvanceTo(next);
      join.table.AdvanceTo(next);
      join.Steps(worker);
    }
    CHECK(join.rows.size() == 30);
    CHECK(join.store.changes().size() == 10);
    return join.Close(worker);
  }));
}

TEST_CASE("a resumed run has the table on all workers, however many there are") {
  Collected<Row> rows;
  StoppedRuns runs;
  // The table is complete in the first run. The records of the later ones find it restored.
  Dataflow flow("flow", [&](Scope<>& scope) {
    const auto table = scope.Input("changes", TestingSource(Changes()));
    // Spread over the workers, which the join does not do.
    const auto records = scope.Input("records", TestingSource(Records(200))) |
                         runs.StopHere("stop") | Exchange("spread");
    records | BroadcastLeftJoin("join", table) | CollectInto("rows", rows);
  });
  const std::vector<int> passed = runs.Run(flow, 60, {{1, 1}, {1, 3}, {2, 2}, {1, 2}});
  CHECK(passed[1] >= 60);
  CHECK(passed[0] + passed[1] + passed[2] + passed[3] == 200);
  CHECK(rows.size() == 200);
  // The first records may have come in epochs before that of the last change.
  std::vector<Record> late;
  for (const auto& [key, value] : Records(200)) {
    if (value >= 60) late.emplace_back(key, value);
  }
  std::vector<Row> found = rows.Sorted();
  std::erase_if(found, [](const Row& row) { return std::get<0>(row.second) < 60; });
  CHECK(found == Model(late, Changes()));
}

}  // namespace
}  // namespace headway
