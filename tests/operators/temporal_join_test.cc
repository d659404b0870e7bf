#include "operators/temporal_join.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "tests/engine/run_helpers.h"
#include "tests/engine/snapshot_store.h"
#include "tests/engine/thread_cluster.h"
#include "tests/operators/stopped_runs.h"

namespace headway {
namespace {

// A value is its own event time. A version "v<time>" has its time behind the letter.
using Record = std::pair<std::string, int64_t>;
using Version = std::pair<std::string, std::string>;
using Row = std::pair<std::string, std::tuple<int64_t, std::optional<std::string>>>;

constexpr auto kItself = [](int64_t value) { return value; };
constexpr auto kOfVersion = [](std::string_view version) {
  return std::stoll(std::string(version.substr(1)));
};
constexpr int64_t kDisorder = 7;

std::vector<Record> Records(int count) {
  std::vector<Record> records;
  for (int64_t i = 0; i < count; ++i) {
    records.emplace_back("key " + std::to_string(i * i % 7), 3 * i + i * 5 % kDisorder);
  }
  return records;
}
std::vector<Version> Versions(int count) {
  std::vector<Version> versions;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t time = 50 + 10 * i + i * 3 % kDisorder;
    versions.emplace_back("key " + std::to_string(i % 5), "v" + std::to_string(time));
  }
  return versions;
}

std::vector<Row> Model(int records, int versions) {
  std::vector<Row> rows;
  for (const auto& [key, time] : Records(records)) {
    std::optional<std::string> valid;
    for (const auto& [other, version] : Versions(versions)) {
      if (other != key || kOfVersion(version) > time) continue;
      if (!valid.has_value() || kOfVersion(*valid) < kOfVersion(version)) valid = version;
    }
    rows.push_back({key, {time, valid}});
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

TEST_CASE("a record meets the version that is valid at its time, in every shape") {
  const std::vector<Row> expected = Model(150, 40);
  std::vector<Row> matched = expected;
  std::erase_if(matched, [](const Row& row) { return !std::get<1>(row.second).has_value(); });
  CHECK(matched.size() < expected.size());
  CHECK(matched.size() > 50);
  for (const Shape shape : kShapes) {
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    Collected<Row> left;
    Collected<Row> inner;
    Dataflow flow("flow", [&](Scope<>& scope) {
      const EventClock record_clock(kItself, kDisorder);
      const EventClock version_clock(kOfVersion, kDisorder);
      const auto records = scope.Input("records", TestingSource(Records(150)));
      const auto versions = scope.Input("versions", TestingSource(Versions(40)));
      records | TemporalLeftJoin("left", record_clock, versions, version_clock) |
          CollectInto("1", left);
      records | TemporalJoin("inner", record_clock, versions, version_clock) |
          Inspect("2", [&](const std::pair<std::string, std::tuple<int64_t, std::string>>& row) {
            inner.Add(row);
          });
    });
    CheckOk(RunInShape(flow, shape, {.epoch_config = RecordCountEpochConfig{7}}));
    CHECK(left.Sorted() == expected);
    CHECK(inner.Sorted() == matched);
  }
}

TEST_CASE("a temporal join that is stopped and resumed with other workers has each row once") {
  Collected<Row> rows;
  StoppedRuns runs;
  Dataflow flow("flow", [&](Scope<>& scope) {
    const auto records = scope.Input("records", TestingSource(Records(80))) | runs.StopHere("1");
    const auto versions = scope.Input("versions", TestingSource(Versions(30))) | runs.StopHere("2");
    records |
        TemporalLeftJoin("join", EventClock(kItself, kDisorder), versions,
                         EventClock(kOfVersion, kDisorder)) |
        CollectInto("rows", rows);
  });
  const std::vector<int> passed = runs.Run(flow, 25, {{1, 2}, {2, 2}, {1, 3}});
  CHECK(passed[0] < 110);
  CHECK(passed[0] + passed[1] + passed[2] == 110);
  CHECK(rows.Sorted() == Model(80, 30));
}

using Number = std::pair<int, int64_t>;
using MaybeNumber = std::pair<int, std::optional<int64_t>>;
using NumberRow = std::pair<int, std::tuple<int64_t, std::optional<int64_t>>>;

// Inputs by hand, on one worker. The watermark of the versions is assigned before the join.
struct HandJoin {
  InputHandle<Number> records;
  InputHandle<Number> versions;
  Collected<NumberRow> rows;
  SnapshotStore store;
  Epoch epoch = 0;
  int64_t disorder = 0;  // of the versions

  absl::Status Build(Worker& worker) {
    return worker.Build("flow", [&](Scope<>& scope) {
      const auto table =
          scope.Input(versions) |
          AssignEventTime("time",
                          EventClock([](const Number& each) { return each.second; }, disorder));
      scope.Input(records) |
          TemporalLeftJoin("join", EventClock(kItself, 0), table, EventClock(kItself)) |
          CollectInto("rows", rows);
      store.RestoreInto(scope);
      store.Listen(scope);
    });
  }
  void EndEpoch(Worker& worker) {
    ++epoch;
    records.AdvanceTo(epoch);
    versions.AdvanceTo(epoch);
    Steps(worker);
  }
  void Steps(Worker& worker) {
    records.Flush();
    versions.Flush();
    for (int i = 0; i < 20; ++i) CheckOk(worker.Step());
  }
  absl::Status Close(Worker& worker) {
    records.Close();
    versions.Close();
    return worker.StepWhile([&] { return worker.HasDataflows(); });
  }
  // The sizes of the keys' states in the snapshots, in bytes.
  std::map<std::string, size_t> StoredBytes() const {
    std::map<std::string, size_t> keys;
    for (const auto& change : store.changes()) {
      if (change.step_id != "join" || !change.part.empty()) continue;
      keys.erase(change.KeyText());
      if (change.state.has_value()) keys[change.KeyText()] = change.state->size();
    }
    return keys;
  }
};

const Config kInOrder{.run = {.apply_in_epoch_order = true}};

TEST_CASE("a record waits for the watermark of both streams, and meets a version of its own time") {
  CheckOk(Execute(kInOrder, [](Worker& worker) -> absl::Status {
    HandJoin join;
    HEADWAY_RETURN_IF_ERROR(join.Build(worker));
    join.records.Send(Number(1, 100));
    join.records.Send(Number(1, 99));
    join.records.Send(Number(9, 200));
    join.versions.Send(Number(1, 50));
    join.EndEpoch(worker);
    CHECK(join.rows.size() == 0);
    join.versions.Send(Number(1, 100));
    join.EndEpoch(worker);
    CHECK(join.rows.InOrder() == std::vector<NumberRow>{{1, {99, 50}}});
    join.versions.Send(Number(1, 101));
    join.EndEpoch(worker);
    CHECK(join.rows.InOrder().back() == NumberRow{1, {100, 100}});
    CHECK(join.rows.size() == 2);
    join.records.Send(Number(1, 100));  // late: its version is gone
    join.records.Send(Number(1, 101));
    join.EndEpoch(worker);
    CHECK(join.rows.InOrder().back() == NumberRow{1, {100, std::nullopt}});
    CHECK(join.rows.size() == 3);
    HEADWAY_RETURN_IF_ERROR(join.Close(worker));
    CHECK(join.rows.size() == 5);
    CHECK(join.rows.Sorted()[3] == NumberRow{1, {101, 101}});
    CHECK(join.rows.Sorted()[4] == NumberRow{9, {200, std::nullopt}});
    return absl::OkStatus();
  }));
}

TEST_CASE("versions that no record can meet are dropped, with and without records of the key") {
  CheckOk(Execute(kInOrder, [](Worker& worker) -> absl::Status {
    HandJoin join;
    HEADWAY_RETURN_IF_ERROR(join.Build(worker));
    join.records.Send(Number(2, 10));
    join.records.Send(Number(9, 1000));
    join.versions.Send(Number(1, 1));
    join.versions.Send(Number(2, 1));
    join.EndEpoch(worker);
    const size_t one_version = join.StoredBytes().begin()->second;  // of key 1
    for (int64_t time = 2; time <= 50; ++time) {
      join.versions.Send(Number(1, time));
      join.versions.Send(Number(2, time));
    }
    join.EndEpoch(worker);
    join.versions.Send(Number(3, 51));
    join.EndEpoch(worker);
    const std::map<std::string, size_t> sizes = join.StoredBytes();
    CHECK(sizes.size() == 4);  // 1 to 3, and 9 with a record that waits
    for (const auto& [key, size] : sizes) CHECK(size <= one_version + 32);
    CHECK(join.rows.InOrder() == std::vector<NumberRow>{{2, {10, 10}}});
    return join.Close(worker);
  }));
}

TEST_CASE("versions that are kept at the end of the input are dropped in a run that continues") {
  HandJoin join;
  join.disorder = 100;
  // The size of the versions of key 1 after a run whose watermark ends at `watermark`.
  const auto run = [&](int64_t watermark, const std::vector<int64_t>& versions) {
    CheckOk(Execute({.run = {.first_epoch = join.epoch, .apply_in_epoch_order = true}},
                    [&](Worker& worker) -> absl::Status {
                      HEADWAY_RETURN_IF_ERROR(join.Build(worker));
                      for (int64_t time : versions) join.versions.Send(Number(1, time));
                      join.versions.Send(Number(9, watermark));
                      join.records.Send(Number(9, watermark));
                      join.EndEpoch(worker);
                      return join.Close(worker);
                    }));
    ++join.epoch;
    const auto key = EncodeToBytes(1);
    return join.StoredBytes()[std::string(reinterpret_cast<const char*>(key.data()), key.size())];
  };
  std::vector<int64_t> versions;
  for (int64_t time = 1; time <= 50; ++time) versions.push_back(time);
  const size_t all = run(0, versions);
  const size_t some = run(40, {});
  CHECK(some < all / 2);
  const size_t one = run(60, {});
  CHECK(one < some / 4);
  CHECK(one > 0);
}

TEST_CASE("records and versions at both ends of the range of times meet") {
  CheckOk(Execute({}, [](Worker& worker) -> absl::Status {
    HandJoin join;
    HEADWAY_RETURN_IF_ERROR(join.Build(worker));
    constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
    constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
    for (int64_t time : {kMin, int64_t{0}, kMax}) {
      join.records.Send(Number(1, time));
      join.versions.Send(Number(1, time));
    }
    join.Steps(worker);
    CHECK(join.rows.Sorted() ==
          std::vector<NumberRow>{{1, {kMin, kMin}}, {1, {0, 0}}, {1, {kMax, kMax}}});
    return join.Close(worker);
  }));
}

TEST_CASE("an empty version ends the row, and leaves nothing when the watermark has passed it") {
  CheckOk(Execute(kInOrder, [](Worker& worker) -> absl::Status {
    InputHandle<Number> records;
    InputHandle<MaybeNumber> versions;
    Collected<NumberRow> rows;
    SnapshotStore store;
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      // The end of a row is at time 20.
      scope.Input(records) |
          TemporalLeftJoin(
              "join", EventClock(kItself, 0), scope.Input(versions),
              EventClock([](const std::optional<int64_t>& version) { return version.value_or(20); },
                         0)) |
          CollectInto("rows", rows);
      store.Listen(scope);
    }));
    for (int64_t time : {10, 19, 20, 21}) records.Send(Number(1, time));
    records.Send(Number(9, 100));
    versions.Send(MaybeNumber(1, 10));
    versions.Send(MaybeNumber(1, std::nullopt));
    versions.Send(MaybeNumber(2, 90));
    records.AdvanceTo(1);
    versions.AdvanceTo(1);
    for (int i = 0; i < 20; ++i) CheckOk(worker.Step());
    CHECK(rows.InOrder() ==
          std::vector<NumberRow>{
              {1, {10, 10}}, {1, {19, 10}}, {1, {20, std::nullopt}}, {1, {21, std::nullopt}}});
    for (const auto& change : store.changes()) {
      if (change.step_id != "join" || !change.part.empty()) continue;
      int key = 0;
      CHECK(DecodeFromBytes(std::span<const std::byte>(change.key), &key));
      CHECK((key != 1 || !change.state.has_value()));
    }
    records.Close();
    versions.Close();
    return worker.StepWhile([&] { return worker.HasDataflows(); });
  }));
}

}  // namespace
}  // namespace headway
