// Steps that combine the records of each key: at the end of the input, or at each change.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/engine/snapshot_store.h"
#include "tests/engine/store/memory_store.h"
#include "tests/operators/epoch_records.h"
#include "tests/operators/run_everywhere.h"

namespace headway {
namespace {

using Sale = std::pair<std::string, int64_t>;

// The names have up to 20 characters; amounts repeat.
std::vector<Sale> Sales(int count = 200) {
  std::vector<Sale> sales;
  for (int i = 0; i < count; ++i) {
    sales.emplace_back("customer" + std::string(static_cast<size_t>(i * i % 13), 'x'),
                       i * 7919 % 31 - 15);
  }
  return sales;
}

std::map<std::string, std::vector<int64_t>> ByCustomer(const std::vector<Sale>& sales) {
  std::map<std::string, std::vector<int64_t>> by_customer;
  for (const auto& [customer, amount] : sales) by_customer[customer].push_back(amount);
  return by_customer;
}

// The pairs of a map, in its order.
template <class R>
std::vector<std::pair<std::string, R>> Pairs(const std::map<std::string, R>& map) {
  return {map.begin(), map.end()};
}

TEST_CASE("a final fold gives each key's values in their order, once, at the end of the input") {
  RunEverywhere<std::pair<std::string, std::vector<int64_t>>>(
      Sales(),
      [](const Stream<Sale>& sales) {
        return sales | FoldFinal("fold", std::vector<int64_t>{-1},
                                 [](std::vector<int64_t>& amounts, int64_t amount) {
                                   amounts.push_back(amount);
                                 });
      },
      [](const auto& results) {
        auto expected = ByCustomer(Sales());
        for (auto& [customer, amounts] : expected) amounts.insert(amounts.begin(), -1);
        CHECK(results == Pairs(expected));
      });
}

TEST_CASE("a final reduction combines the values of a key in their order, numbers or strings") {
  const std::vector<Sale> sales = Sales();
  RunEverywhere<Sale>(
      sales,
      [](const Stream<Sale>& stream) {
        return stream | ReduceFinal("reduce", [](int64_t a, int64_t b) { return 3 * a + b; });
      },
      [&](const auto& results) {
        std::map<std::string, int64_t> expected;
        for (const auto& [customer, amounts] : ByCustomer(sales)) {
          uint64_t value = static_cast<uint64_t>(amounts[0]);
          for (size_t i = 1; i < amounts.size(); ++i) {
            value = 3 * value + static_cast<uint64_t>(amounts[i]);
          }
          expected[customer] = static_cast<int64_t>(value);
        }
        CHECK(results == Pairs(expected));
      });
}

TEST_CASE("the largest and the smallest value of a key are found, the earlier of equal ones") {
  using Reading = std::pair<int, std::pair<int, int>>;  // (sensor, (value, number))
  std::vector<Reading> readings;
  for (int i = 0; i < 150; ++i) readings.push_back({i * i % 7, {i * 31 % 11, i}});
  const auto value = [](const std::pair<int, int>& reading) { return reading.first; };
  for (const bool largest : {true, false}) {
    CAPTURE(largest);
    RunEverywhere<Reading>(
        readings,
        [&](const Stream<Reading>& stream) {
          return largest ? stream | MaxFinal("max", value) : stream | MinFinal("min", value);
        },
        [&](const std::vector<Reading>& results) {
          std::map<int, std::pair<int, int>> expected;
          for (const auto& [sensor, reading] : readings) {
            const auto [kept, is_new] = expected.try_emplace(sensor, reading);
            const int more = reading.first - kept->second.first;
            if (!is_new && (largest ? more > 0 : more < 0)) kept->second = reading;
          }
          CHECK(results == std::vector<Reading>(expected.begin(), expected.end()));
        });
  }
}

TEST_CASE("strings are reduced and compared as views") {
  const std::vector<std::pair<int, std::string>> records = {
      {1, "b"}, {2, "z"}, {1, "a text of more than fifteen characters"}, {1, "c"}};
  std::vector<std::pair<int, std::string>> joined;
  std::vector<std::pair<int, std::string>> last;
  CheckOk(RunMain(Dataflow("flow", [&](Scope<>& scope) {
    auto stream = scope.Input("records", TestingSource(records));
    stream | ReduceFinal("join", [](std::string text, std::string_view next) {
      return (text += '+').append(next);
    }) | Output("joined", TestingSink(&joined));
    stream | MaxFinal("last") | Output("last out", TestingSink(&last));
  })));
  std::sort(joined.begin(), joined.end());
  std::sort(last.begin(), last.end());
  CHECK(joined == std::vector<std::pair<int, std::string>>{
                      {1, "b+a text of more than fifteen characters+c"}, {2, "z"}});
  CHECK(last == std::vector<std::pair<int, std::string>>{{1, "c"}, {2, "z"}});
}

// The `k` largest, in descending order.
std::vector<int64_t> TopOf(std::vector<int64_t> values, size_t k) {
  std::sort(values.begin(), values.end(), std::greater<>());
  values.resize(std::min(values.size(), k));
  return values;
}

TEST_CASE("the top values of a key are the largest, in descending order") {
  for (const size_t k : {1, 3, 1000}) {
    CAPTURE(k);
    RunEverywhere<std::pair<std::string, std::vector<int64_t>>>(
        Sales(), [k](const Stream<Sale>& sales) { return sales | TopKFinal("top", k); },
        [k](const auto& results) {
          auto expected = ByCustomer(Sales());
          for (auto& [customer, amounts] : expected) amounts = TopOf(amounts, k);
          CHECK(results == Pairs(expected));
        });
  }
}

TEST_CASE("of equal values the earlier is in front, by a function of the value") {
  std::vector<std::pair<int, std::pair<int, int>>> records;
  for (int i = 0; i < 20; ++i) records.push_back({0, {i % 2, i}});
  std::vector<std::pair<int, std::vector<std::pair<int, int>>>> top;
  CheckOk(RunMain(Dataflow("flow", [&](Scope<>& scope) {
    scope.Input("records", TestingSource(records)) |
        TopKFinal("top", 12, [](const std::pair<int, int>& value) { return -value.first; }) |
        Output("out", TestingSink(&top));
  })));
  REQUIRE(top.size() == 1);
  std::vector<std::pair<int, int>> expected;
  for (int i = 0; i < 20; i += 2) expected.push_back({0, i});
  expected.push_back({1, 1});
  expected.push_back({1, 3});
  CHECK(top[0].second == expected);
}

TEST_CASE("a running fold emits the state after each record, over stops and resumes") {
  RunEverywhere<Sale>(
      Sales(),
      [](const Stream<Sale>& sales) {
        return sales | RunningFold("sum", int64_t{100},
                                   [](int64_t& sum, int64_t amount) { sum += amount; });
      },
      [](const std::vector<Sale>& results) {
        std::map<std::string, int64_t> sums;
        std::vector<Sale> expected;
        for (const auto& [customer, amount] : Sales()) {
          sums.try_emplace(customer, 100);
          expected.emplace_back(customer, sums[customer] += amount);
        }
        std::sort(expected.begin(), expected.end());
        CHECK(results == expected);
      });
}

TEST_CASE("a running fold emits nothing for a record that changes nothing") {
  RunEverywhere<Sale>(
      Sales(),
      [](const Stream<Sale>& sales) {
        return sales | RunningFold("record", int64_t{0}, [](int64_t& highest, int64_t amount) {
                 if (amount <= highest) return false;
                 highest = amount;
                 return true;
               });
      },
      [](const std::vector<Sale>& results) {
        std::map<std::string, int64_t> highest;
        std::vector<Sale> expected;
        for (const auto& [customer, amount] : Sales()) {
          if (amount > highest[customer]) {
            expected.emplace_back(customer, highest[customer] = amount);
          }
        }
        std::sort(expected.begin(), expected.end());
        CHECK(results == expected);
      });
}

TEST_CASE("running counts, reductions and tops emit their result after each record") {
  RunEverywhere<std::pair<std::string, int64_t>>(
      Sales(),
      [](const Stream<Sale>& sales) {
        auto counts = sales | RunningCount("count", [](const auto& sale) { return sale.first; });
        auto lowest =
            sales | RunningReduce("lowest", [](int64_t a, int64_t b) { return std::min(a, b); });
        auto top = sales | RunningTopK("top", 2) |
                   Map("last", [](const std::pair<std::string, std::vector<int64_t>>& each) {
                     return Sale(each.first, 1000 + each.second.back());
                   });
        return counts | Merge("all", lowest, top);
      },
      [](const std::vector<Sale>& results) {
        std::map<std::string, std::vector<int64_t>> before;
        std::vector<Sale> expected;
        for (const auto& [customer, amount] : Sales()) {
          std::vector<int64_t>& amounts = before[customer];
          const std::vector<int64_t> top = TopOf(amounts, 2);
          amounts.push_back(amount);
          expected.emplace_back(customer, static_cast<int64_t>(amounts.size()));
          expected.emplace_back(customer, *std::min_element(amounts.begin(), amounts.end()));
          if (TopOf(amounts, 2) != top) {
            expected.emplace_back(customer, 1000 + TopOf(amounts, 2).back());
          }
        }
        std::sort(expected.begin(), expected.end());
        CHECK(results == expected);
      });
}

TEST_CASE("a running step with updates for each epoch emits the result at the end of the epoch") {
  std::vector<std::pair<Epoch, Sale>> records;
  for (const Sale& sale : Sales()) records.push_back({records.size() / 9, sale});
  std::map<std::pair<Epoch, std::string>, int64_t> expected;  // the last sum in the epoch
  std::map<std::string, int64_t> sums;
  for (const auto& [epoch, sale] : records) {
    expected[{epoch, sale.first}] = sums[sale.first] += sale.second;
  }
  for (const Shape shape : kShapes) {
    for (const bool in_order : {false, true}) {
      CAPTURE(shape.processes);
      CAPTURE(shape.workers);
      CAPTURE(in_order);
      Collected<std::pair<Epoch, Sale>> results;
      Dataflow flow("flow", [&](Scope<>& scope) {
        scope.Input("records", RecordsInEpochs(records)) |
            RunningFold(
                "sum", int64_t{0}, [](int64_t& sum, int64_t amount) { sum += amount; },
                UpdateEach::kEpoch) |
            CollectWithTime("collect", results);
      });
      CheckOk(RunInShape(flow, shape,
                         {.epoch_config = SourceEpochConfig{}, .apply_in_epoch_order = in_order}));
      std::vector<std::pair<Epoch, Sale>> wanted;
      for (const auto& [key, sum] : expected) wanted.push_back({key.first, {key.second, sum}});
      std::sort(wanted.begin(), wanted.end());
      CHECK(results.Sorted() == wanted);
    }
  }
}

TEST_CASE("updates for each epoch go on after a stop, the last of a key is its total") {
  RunEverywhere<Sale>(
      Sales(),
      [](const Stream<Sale>& sales) {
        return sales |
               RunningCount(
                   "count", [](const auto& sale) { return sale.first; }, UpdateEach::kEpoch);
      },
      [](const std::vector<Sale>& results) {
        // No count is emitted twice, and none after the total.
        std::map<std::string, int64_t> totals;
        for (const auto& [customer, amount] : Sales()) ++totals[customer];
        std::map<std::string, int64_t> highest;
        for (const auto& [customer, count] : results) {
          CHECK(count > highest[customer]);
          highest[customer] = count;
        }
        CHECK(highest == totals);
      });
}

TEST_CASE("distinct keeps one record of each key, over stops and resumes") {
  RunEverywhere<std::string>(
      Sales(),
      [](const Stream<Sale>& sales) {
        return sales | Map("name", [](const auto& sale) { return sale.first; }) |
               Distinct("distinct");
      },
      [](const std::vector<std::string>& results) {
        std::set<std::string> expected;
        for (const auto& [customer, amount] : Sales()) expected.insert(customer);
        CHECK(results == std::vector<std::string>(expected.begin(), expected.end()));
      });
  RunEverywhere<Sale>(
      Sales(),
      [](const Stream<Sale>& sales) {
        return sales | Distinct("distinct", [](const auto& sale) { return sale.first; });
      },
      [](const std::vector<Sale>& results) {
        std::map<std::string, int64_t> first;
        for (const Sale& sale : Sales()) first.insert(sale);
        CHECK(results == Pairs(first));
      });
}

// Steps the worker while it has something to do.
void Settle(Worker& worker) {
  for (int i = 0; i < 100; ++i) CheckOk(worker.Step());
}

TEST_CASE("deduplicate drops a key for its time to live, and frees it then") {
  ManualClock clock;
  CheckOk(Execute({.run = {.clock = &clock}}, [&](Worker& worker) -> absl::Status {
    InputHandle<std::pair<int, int>> input;
    Collected<std::pair<int, int>> kept;
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      scope.Input(input) | Deduplicate("once", absl::Seconds(10), FirstOfPair()) |
          CollectInto("collect", kept);
    }));
    using Records = std::vector<std::pair<int, int>>;
    const auto send = [&](const Records& records) {
      for (const auto& record : records) input.Send(record);
      input.Flush();
      Settle(worker);
    };
    send({{1, 0}, {1, 1}, {2, 2}});
    clock.Advance(absl::Seconds(9));
    send({{1, 3}, {3, 4}});  // does not prolong the time of 1
    clock.Advance(absl::Seconds(1));
    send({{1, 5}, {1, 6}, {3, 7}});
    clock.Advance(absl::Seconds(100));
    Settle(worker);
    send({{3, 8}});
    CHECK(kept.InOrder() == Records{{1, 0}, {2, 2}, {3, 4}, {1, 5}, {3, 8}});
    input.Close();
    return worker.StepWhile([&] { return worker.HasDataflows(); });
  }));
}

TEST_CASE("a record that is dropped as a duplicate writes nothing to a snapshot") {
  SnapshotStore snapshots;
  CheckOk(Execute({.run = {.apply_in_epoch_order = true}}, [&](Worker& worker) -> absl::Status {
    InputHandle<int> input;
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      Stream<int> numbers = scope.Input(input);
      numbers | Distinct("distinct");
      numbers | Deduplicate("once", absl::Hours(1));
      snapshots.Listen(scope);
    }));
    for (Epoch epoch = 0; epoch < 3; ++epoch) {
      for (int number : {7, 8, 7}) input.Send(number);
      input.AdvanceTo(epoch + 1);
      Settle(worker);
    }
    return worker.Cancel("flow");
  }));
  // Two keys of the first step, and two with timers of the second.
  CHECK(snapshots.changes().size() == 2 + 2 * 2);
  for (const SnapshotStore::Change& change : snapshots.changes()) CHECK(change.epoch == 0);
}

TEST_CASE("a record that does not change the state of its key writes nothing to a snapshot") {
  SnapshotStore snapshots;
  CheckOk(Execute({.run = {.apply_in_epoch_order = true}}, [&](Worker& worker) -> absl::Status {
    InputHandle<std::pair<int, int>> input;
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      const auto numbers = scope.Input(input);
      numbers | MaxFinal("max");
      numbers | MinFinal("min");
      numbers | TopKFinal("top", 2);
      numbers | RunningTopK("running", 2, {}, UpdateEach::kEpoch);
      numbers | RunningFold("fold", 0, [](int& largest, int value) {
        return value > largest ? (largest = value, true) : false;
      });
      snapshots.Listen(scope);
    }));
    for (Epoch epoch = 0; epoch < 3; ++epoch) {
      // After the first epoch only key 2 changes, in the last one.
      input.Send(std::pair(1, 7));
      input.Send(std::pair(1, epoch == 0 ? 8 : 7));
      input.Send(std::pair(2, 5));
      input.Send(std::pair(2, epoch == 2 ? 9 : 5));
      input.AdvanceTo(epoch + 1);
      Settle(worker);
    }
    return worker.Cancel("flow");
  }));
  std::map<std::pair<std::string, Epoch>, int> writes;
  for (const SnapshotStore::Change& change : snapshots.changes()) {
    if (change.part.empty()) ++writes[{change.step_id, change.epoch}];
  }
  std::map<std::pair<std::string, Epoch>, int> expected;
  for (const std::string step : {"max", "min", "top", "running", "fold"}) {
    expected[{step, 0}] = 2;
    if (step != "min") expected[{step, 2}] = 1;
  }
  CHECK(writes == expected);
}

TEST_CASE("the keys of deduplicate outlive the end of the input, and are freed in a later run") {
  ManualClock clock;
  auto store = std::make_shared<internal::MemoryStore>();
  std::vector<int> records;
  Collected<int> kept;
  const auto run = [&](std::vector<int> more, Shape shape) {
    records.insert(records.end(), more.begin(), more.end());
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("records", TestingSource(records)) | Deduplicate("once", absl::Seconds(10)) |
          CollectInto("collect", kept) | Output("out", CallbackSink([](int) {}));
    });
    CheckOk(RunInShape(flow, shape,
                       {.recovery_config = RecoveryConfig{.store = store}, .clock = &clock}));
  };
  run({1, 2, 1}, {1, 2});
  CHECK(kept.Sorted() == std::vector<int>{1, 2});
  clock.Advance(absl::Seconds(5));
  run({1, 3}, {1, 1});
  CHECK(kept.Sorted() == std::vector<int>{1, 2, 3});
  clock.Advance(absl::Seconds(5));
  run({1, 3}, {1, 3});
  CHECK(kept.Sorted() == std::vector<int>{1, 1, 2, 3});
}

TEST_CASE("steps with impossible arguments fail the build with an error that names the step") {
  const auto check = [](const std::string& message, auto step) {
    const absl::Status status = RunMain(Dataflow("flow", [&](Scope<>& scope) {
      scope.Input("records", TestingSource(std::vector<std::pair<int, int>>{})) | step;
    }));
    CheckError(status, absl::StatusCode::kInvalidArgument, {"'bad'", message});
  };
  check("top 0", TopKFinal("bad", 0));
  check("top 0", RunningTopK("bad", 0));
  check("top 0", TopKPerEpoch("bad", 0));
  check("not positive", Deduplicate("bad", absl::ZeroDuration()));
  check("positive", Collect("bad", {.size_max = 0}));
  check("positive", Collect("bad", {.age_max = -absl::Seconds(1)}));
}

TEST_CASE("an exception of a step's function ends the run with an error that names the step") {
  const auto thrower = [](auto&&...) -> int { throw std::runtime_error("no more"); };
  const auto check = [](auto step) {
    const absl::Status status = RunMain(Dataflow("flow", [&](Scope<>& scope) {
      scope.Input("records", TestingSource(std::vector<std::pair<int, int>>{{1, 2}, {1, 3}})) |
          step;
    }));
    CheckError(status, absl::StatusCode::kAborted, {"'bad", "no more"});
  };
  check(FoldFinal("bad", 0, thrower));
  check(ReduceFinal("bad", thrower));
  check(MaxFinal("bad", thrower));
  check(RunningFold("bad", 0, thrower, UpdateEach::kEpoch));
  check(Distinct("bad", thrower));
  check(CountPerEpoch("bad", thrower));
}

// The entries of each step that a store has after each epoch: the largest number, and the last.
struct EntryCounts {
  size_t largest = 0;
  size_t last = 0;
};
std::map<std::string, EntryCounts> CountEntries(const SnapshotStore& store) {
  using Entry = std::pair<SnapshotStore::Bytes, SnapshotStore::Bytes>;  // key, part
  std::map<std::string, std::set<Entry>> entries;
  std::map<std::string, EntryCounts> counts;
  for (size_t i = 0; i < store.changes().size(); ++i) {
    const SnapshotStore::Change& change = store.changes()[i];
    std::set<Entry>& of_step = entries[change.step_id];
    if (change.state.has_value()) {
      of_step.emplace(change.key, change.part);
    } else {
      of_step.erase({change.key, change.part});
    }
    EntryCounts& count = counts[change.step_id];
    count.last = of_step.size();
    const bool ends_snapshot = i + 1 == store.changes().size() ||
                               store.changes()[i + 1].epoch != change.epoch ||
                               store.changes()[i + 1].step_id != change.step_id;
    if (ends_snapshot) count.largest = std::max(count.largest, count.last);
  }
  return counts;
}

TEST_CASE("many keys that live for a short time leave nothing in state and store") {
  constexpr int kKeys = 5000;
  // Two records of each key, 50 keys at a time; a record in a millisecond of both times.
  std::vector<std::pair<int, int64_t>> records;
  for (int i = 0; i < 2 * kKeys; ++i) records.emplace_back(i / 100 * 50 + i % 50, i);
  ManualClock clock;
  SnapshotStore store;
  const auto ignore = [](auto stream, std::string id) {
    stream | Inspect(std::move(id), [](const auto&) {});
  };
  Dataflow flow("flow", [&](Scope<>& scope) {
    auto in = scope.Input("in", TestingSource(records, {.batch_size = 10})) |
              Inspect("clock", [&](const auto&) { clock.Advance(absl::Milliseconds(1)); });
    const auto time = [](int64_t millis) { return absl::FromUnixMillis(millis); };
    const EventClock event_clock(time, absl::Milliseconds(20));
    const auto millis = [](int count) { return absl::Milliseconds(count); };
    ignore(in | WindowCount("tumbling", event_clock, TumblingWindows(millis(200))), "1");
    ignore(in | WindowCount("sliding", event_clock, SlidingWindows(millis(200), millis(50))), "2");
    ignore(in | WindowCount("sessions", event_clock, SessionWindows(millis(100))), "3");
    ignore(in | WindowCount("key_clock", KeyClock(time, millis(20), /*idle_timeout=*/millis(100)),
                            TumblingWindows(millis(200))),
           "4");
    ignore(in | StatefulMap<int>("discard",
                                 [](std::optional<int>& seen, int64_t) {
                                   return (seen = seen ? std::nullopt : std::optional(1)), 0;
                                 }),
           "5");
    ignore(
        in | Deduplicate("deduplicate", millis(200), [](const auto& each) { return each.first; }),
        "6");
    ignore(in | Join<JoinEmit::kFinal>("join", JoinExpiry{millis(200)}, in), "7");
    ignore(in | Collect("collect", {.idle_max = millis(200)}), "8");
    store.Listen(scope);
  });
  CheckOk(RunMain(flow, {.epoch_config = RecordCountEpochConfig{.records_per_epoch = 30},
                         .apply_in_epoch_order = true,
                         .clock = &clock}));
  std::map<std::string, EntryCounts> counts = CountEntries(store);
  for (const std::string step : {"tumbling", "sliding", "sessions", "key_clock", "discard",
                                 "deduplicate", "join", "collect"}) {
    CAPTURE(step);
    REQUIRE(counts.contains(step));
    CHECK(counts[step].largest > 0);
    CHECK(counts[step].largest < 2000);  // of 5000 keys
    const bool keeps_recent = step == "deduplicate" || step == "key_clock";
    CHECK(counts[step].last <= (keeps_recent ? 500 : 0));
  }
}

}  // namespace
}  // namespace headway
