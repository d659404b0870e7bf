#include <algorithm>
#include <atomic>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "doctest/doctest.h"
#include "headway.h"
#include "tests/engine/run_helpers.h"

namespace headway {
namespace {

constexpr int64_t kKeys = 50'000;

using Record = std::pair<int64_t, int64_t>;  // key, time

// Counts the results that were made, for the steps behind to compare.
struct CountedResults {
  using State = int64_t;
  std::atomic<int64_t>* made;

  void Add(State& count, EventTime, int64_t) const { ++count; }
  void Merge(State& count, State other) const { count += other; }
  int64_t Result(State count) const {
    ++*made;
    return count;
  }
};

// Closes the windows of all keys at once, by a watermark or by the end of the input. Checks that
// there are never many results in flight, and that the watermark follows them.
template <class W>
void CloseAllAtOnce(const W& windows, bool by_watermark, bool in_order) {
  std::vector<Record> records;
  for (int64_t key = 0; key < kKeys; ++key) records.emplace_back(key, key % 5);
  if (by_watermark) records.emplace_back(0, 1000);
  std::atomic<int64_t> made{0};
  int64_t seen = 0;
  int64_t in_flight_max = 0;
  int64_t late = 0;
  CheckOk(RunMain(
      Dataflow("flow",
               [&](Scope<>& scope) {
                 const EventClock clock([](int64_t time) { return time; }, 0);
                 auto results = scope.Input("records", TestingSource(records)) |
                                WindowWith("windows", clock, windows, CountedResults{&made});
                 auto seen_results =
                     results | Exchange("all", [](const auto&) { return 0; }) |
                     Inspect("seen",
                             [&](const auto&) {
                               ++seen;
                               in_flight_max = std::max(in_flight_max, made - seen);
                             }) |
                     MapValue("end", [](const auto& windowed) { return windowed.window.end - 1; });
                 auto again = seen_results |
                              WindowCount("again", EventClock(std::identity()), TumblingWindows(1));
                 again.late() | Inspect("late", [&](const auto&) { ++late; });
               }),
      {.epoch_config = RecordCountEpochConfig{1000},
       .max_bytes_in_flight = 64 << 10,
       .apply_in_epoch_order = in_order}));
  CHECK(made == kKeys + (by_watermark ? 1 : 0));
  CHECK(seen == made);
  CHECK(late == 0);
  CHECK(in_flight_max < kKeys / 5);
}

TEST_CASE("the results of windows that close together are sent under credit, then the watermark") {
  for (bool by_watermark : {true, false}) {
    for (bool in_order : {false, true}) {
      CAPTURE(by_watermark);
      CAPTURE(in_order);
      CloseAllAtOnce(TumblingWindows(10), by_watermark, in_order);
      CloseAllAtOnce(SessionWindows(10), by_watermark, in_order);
    }
  }
}

// Emits the sum of a key at the end, and counts these results.
struct AtEnd {
  using State = int64_t;
  using Result = int64_t;
  std::atomic<int64_t>* made;

  StatefulAnswer OnItem(StatefulContext<int64_t, Result>&, State& sum, int64_t value) {
    sum += value;
    return StatefulAnswer::kKeep;
  }
  StatefulAnswer OnEnd(StatefulContext<int64_t, Result>& context, State& sum) {
    ++*made;
    context.Emit(sum);
    return StatefulAnswer::kDiscard;
  }
};

TEST_CASE("the last results of a Stateful step are sent under credit") {
  std::vector<Record> records;
  for (int64_t key = 0; key < kKeys; ++key) records.emplace_back(key, 1);
  std::atomic<int64_t> made{0};
  int64_t seen = 0;
  int64_t in_flight_max = 0;
  CheckOk(RunMain(Dataflow("flow",
                           [&](Scope<>& scope) {
                             scope.Input("records", TestingSource(records)) |
                                 Stateful("at_end", AtEnd{&made}) |
                                 Exchange("all", [](const auto&) { return 0; }) |
                                 Inspect("seen", [&](const auto&) {
                                   ++seen;
                                   in_flight_max = std::max(in_flight_max, made - seen);
                                 });
                           }),
                  {.max_bytes_in_flight = 64 << 10}));
  CHECK(seen == kKeys);
  CHECK(in_flight_max < kKeys / 5);
}

struct KeyOfRecord {
  int64_t operator()(const Record& record) const { return record.first; }
};

// A timer of each key at the end of its epoch emits the key.
auto EmitAtEndOfEpoch(std::string id) {
  return DefineStep(std::move(id), [](const Stream<Record>& stream, std::string_view step_id) {
    KeyedOperator<int64_t, Record, Epoch, KeyOfRecord> builder(stream, step_id, KeyOfRecord());
    auto& output = builder.AddOutput<int64_t>();
    auto& step = builder.step();
    builder.OnBatch([&step](const CapabilityRef<>& time, Batch<Record>& batch) {
      for (const auto& record : batch) step.SetTimer(time, record.first, time.time());
    });
    builder.OnEpochTimer([&output](const CapabilityRef<>& time, int64_t key, Epoch) {
      output.SessionAt(time).Give(key);
    });
    return builder.Build(output);
  });
}

TEST_CASE("epochs that wait for credit at the end of the input lose no timer") {
  for (bool in_order : {false, true}) {
    CAPTURE(in_order);
    std::vector<Record> records;
    for (int64_t key = 0; key < kKeys; ++key) records.emplace_back(key, 1);
    int64_t seen = 0;
    CheckOk(RunMain(Dataflow("flow",
                             [&](Scope<>& scope) {
                               scope.Input("records", TestingSource(records)) |
                                   EmitAtEndOfEpoch("timers") |
                                   Exchange("all", [](int64_t) { return 0; }) |
                                   Inspect("seen", [&](int64_t) { ++seen; });
                             }),
                    {.epoch_config = RecordCountEpochConfig{kKeys / 7},
                     .max_epochs_in_flight = 20,
                     .max_bytes_in_flight = 64 << 10,
                     .apply_in_epoch_order = in_order}));
    CHECK(seen == kKeys);
  }
}

TEST_CASE("the last results of folds and joins are complete when they wait for credit") {
  std::vector<Record> records;
  for (int64_t key = 0; key < kKeys; ++key) records.emplace_back(key, key + 1);
  std::atomic<int64_t> counts{0};
  std::atomic<int64_t> sums{0};
  std::atomic<int64_t> rows{0};
  std::atomic<int64_t> unmatched{0};
  CheckOk(RunMain(
      Dataflow("flow",
               [&](Scope<>& scope) {
                 auto in = scope.Input("records", TestingSource(records));
                 auto none = in | Filter("none", [](const Record&) { return false; });
                 in | CountFinal("count", [](const Record& record) { return record.first; }) |
                     Inspect("counts", [&](const Record& each) { counts += each.second; });
                 in | ReduceFinal("reduce", [](int64_t a, int64_t b) { return a + b; }) |
                     Inspect("sums", [&](const Record& each) { sums += each.second; });
                 in | Join<JoinEmit::kFinal>("join", none) |
                     Inspect("rows", [&](const auto& row) { rows += *std::get<0>(row.second); });
                 in | LeftJoin("left", none) | Inspect("unmatched", [&](const auto& row) {
                   unmatched += std::get<0>(row.second);
                 });
               }),
      {.worker_count = 2, .max_bytes_in_flight = 64 << 10}));
  const int64_t total = kKeys * (kKeys + 1) / 2;
  CHECK(counts == kKeys);
  CHECK(sums == total);
  CHECK(rows == total);
  CHECK(unmatched == total);
}

}  // namespace
}  // namespace headway
