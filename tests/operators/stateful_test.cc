// Stateful, Collect and StatefulFlatMap: the life cycle of a key's state, and lists and ranges.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <ranges>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/engine/snapshot_store.h"
#include "tests/engine/store/memory_store.h"
#include "tests/operators/run_everywhere.h"

namespace headway {
namespace {

using Item = std::pair<int, int>;
using Text = std::pair<int, std::string>;

void Settle(Worker& worker) {
  for (int i = 0; i < 100; ++i) CheckOk(worker.Step());
}

std::string Seconds(absl::Time at) { return std::to_string(absl::ToUnixSeconds(at)); }

// A value is a command:
//   0 < v < 100    sets a timer at that second
//   -100 < v < 0   cancels that timer
//   0              cancels all timers
//   100            discards the key
//   101            sets a timer now
// Emits a text for each call.
struct Commands {
  struct State {
    std::string seen;
  };
  using Result = std::string;
  using Context = StatefulContext<int, std::string>;

  StatefulAnswer OnItem(Context& context, State& state, int value) {
    context.Emit("item " + std::to_string(value) + " after [" + state.seen + "]");
    state.seen += std::to_string(value) + ",";
    if (value > 0 && value < 100) context.SetTimer(absl::FromUnixSeconds(value));
    if (value < 0) {
      CHECK(context.CancelTimer(absl::FromUnixSeconds(-value)));
      CHECK_FALSE(context.CancelTimer(absl::FromUnixSeconds(-value)));
    }
    if (value == 0) context.CancelTimers();
    if (value == 101) context.SetTimer(context.now());
    return value == 100 ? StatefulAnswer::kDiscard : StatefulAnswer::kKeep;
  }
  StatefulAnswer OnTimer(Context& context, State& state, absl::Time at) {
    context.Emit("timer " + Seconds(at) + " after [" + state.seen + "]");
    state.seen += "t" + Seconds(at) + ",";
    return at == absl::FromUnixSeconds(66) ? StatefulAnswer::kDiscard : StatefulAnswer::kKeep;
  }
  StatefulAnswer OnEnd(Context& context, State& state) {
    context.Emit("end after [" + state.seen + "]");
    return StatefulAnswer::kDiscard;
  }
};

// A flow with a handle for its input and a clock that is set by hand.
class CommandsFlow {
 public:
  // Runs body(flow) in a worker.
  static void Run(bool in_order, const std::function<void(CommandsFlow&)>& body) {
    CommandsFlow flow;
    CheckOk(Execute({.run = {.apply_in_epoch_order = in_order, .clock = &flow.clock_}},
                    [&](Worker& worker) -> absl::Status {
                      flow.worker_ = &worker;
                      HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
                        scope.Input(flow.input_) | Stateful("commands", Commands()) |
                            CollectInto("collect", flow.emitted_);
                      }));
                      body(flow);
                      flow.input_.Close();
                      return worker.StepWhile([&] { return worker.HasDataflows(); });
                    }));
  }

  void Send(const std::vector<Item>& items) {
    for (const Item& item : items) input_.Send(item);
    input_.Flush();
    input_.AdvanceTo(++epoch_);
    Settle(*worker_);
  }
  void Advance(int seconds) {
    clock_.Advance(absl::Seconds(seconds));
    Settle(*worker_);
  }
  // Advances the clock before the items are processed.
  void SendLate(const std::vector<Item>& items, int seconds) {
    clock_.Advance(absl::Seconds(seconds));
    Send(items);
  }
  void Close() {
    input_.Close();
    Settle(*worker_);
  }
  // The texts of a key that were not taken before.
  std::vector<std::string> Take(int key) {
    std::vector<std::string> texts;
    for (const Text& each : emitted_.InOrder()) {
      if (each.first == key) texts.push_back(each.second);
    }
    texts.erase(texts.begin(), texts.begin() + static_cast<ptrdiff_t>(taken_[key]));
    taken_[key] += texts.size();
    return texts;
  }

 private:
  ManualClock clock_;
  InputHandle<Item> input_;
  Collected<Text> emitted_;
  Worker* worker_ = nullptr;
  Epoch epoch_ = 0;
  std::map<int, size_t> taken_;
};

using Texts = std::vector<std::string>;

void InBothOrders(const std::function<void(CommandsFlow&)>& body) {
  for (const bool in_order : {false, true}) {
    CAPTURE(in_order);
    CommandsFlow::Run(in_order, body);
  }
}

TEST_CASE("the state of a key is its own, and its values come in order") {
  InBothOrders([](CommandsFlow& flow) {
    flow.Send({{1, 50}, {2, 60}, {1, 51}, {2, 61}});
    CHECK(flow.Take(1) == Texts{"item 50 after []", "item 51 after [50,]"});
    CHECK(flow.Take(2) == Texts{"item 60 after []", "item 61 after [60,]"});
  });
}

TEST_CASE("a discard gives the next value of the key a new state, in the same batch too") {
  InBothOrders([](CommandsFlow& flow) {
    flow.Send({{1, 50}, {1, 100}, {1, 51}, {1, 52}});
    CHECK(flow.Take(1) == Texts{"item 50 after []", "item 100 after [50,]", "item 51 after []",
                                "item 52 after [51,]"});
    flow.Advance(50);  // the timer of the discarded state is gone
    CHECK(flow.Take(1).empty());
    flow.Advance(2);
    CHECK(flow.Take(1) == Texts{"timer 51 after [51,52,]", "timer 52 after [51,52,t51,]"});
  });
}

TEST_CASE("a timer that is set for now fires once, at once") {
  InBothOrders([](CommandsFlow& flow) {
    flow.Send({{1, 101}});
    CHECK(flow.Take(1) == Texts{"item 101 after []", "timer 0 after [101,]"});
    flow.Advance(1000);
    CHECK(flow.Take(1).empty());
  });
}

TEST_CASE("timers of a key fire in order, each once, and not if they were cancelled") {
  InBothOrders([](CommandsFlow& flow) {
    flow.Send({{1, 9}, {1, 5}, {1, 7}, {1, 3}, {1, 5}, {1, -7}, {2, 4}, {2, 0}});
    flow.Take(1);
    flow.Take(2);
    flow.Advance(2);
    CHECK(flow.Take(1).empty());
    flow.Advance(1);
    CHECK(flow.Take(1) == Texts{"timer 3 after [9,5,7,3,5,-7,]"});
    flow.Advance(10);
    CHECK(flow.Take(1) ==
          Texts{"timer 5 after [9,5,7,3,5,-7,t3,]", "timer 9 after [9,5,7,3,5,-7,t3,t5,]"});
    CHECK(flow.Take(2).empty());
  });
}

TEST_CASE("a value that is there when a timer is due comes first, and may cancel it") {
  InBothOrders([](CommandsFlow& flow) {
    flow.Send({{1, 5}, {2, 5}});
    flow.SendLate({{1, 77}, {2, -5}}, 6);
    CHECK(flow.Take(1) == Texts{"item 5 after []", "item 77 after [5,]", "timer 5 after [5,77,]"});
    CHECK(flow.Take(2) == Texts{"item 5 after []", "item -5 after [5,]"});
  });
}

TEST_CASE("a timer may discard its key, with the later timers") {
  InBothOrders([](CommandsFlow& flow) {
    flow.Send({{1, 66}, {1, 67}});
    flow.Take(1);
    flow.Advance(100);
    CHECK(flow.Take(1) == Texts{"timer 66 after [66,67,]"});
    flow.Send({{1, 90}});
    CHECK(flow.Take(1) == Texts{"item 90 after []", "timer 90 after [90,]"});
  });
}

TEST_CASE(
    "at the end of the input the timers that are due fire, then the end is told to each key") {
  InBothOrders([](CommandsFlow& flow) {
    flow.Send({{1, 90}, {2, 91}, {3, 100}});
    flow.Take(1);
    flow.Take(3);
    flow.Close();
    CHECK(flow.Take(1) == Texts{"end after [90,]"});
    CHECK(flow.Take(2) == Texts{"item 91 after []", "end after [91,]"});
    CHECK(flow.Take(3).empty());  // no state
  });
}

// A value is an event time. Emits it when the watermark has passed it by five; the number of
// values of the key that have come is with it.
struct Remind {
  struct State {
    int seen = 0;
  };
  using Result = std::pair<int64_t, int>;
  using Context = StatefulContext<int, Result>;

  StatefulAnswer OnItem(Context& context, State& state, int64_t value) {
    ++state.seen;
    context.SetEventTimer(value + 9);
    context.SetEventTimer(value + 5);
    CHECK(context.CancelEventTimer(value + 9));
    CHECK_FALSE(context.CancelEventTimer(value + 9));
    return StatefulAnswer::kKeep;
  }
  StatefulAnswer OnEventTimer(Context& context, State& state, EventTime at) {
    if (ends_late) CHECK(context.watermark() >= at);
    context.Emit(Result(at - 5, state.seen));
    return --state.seen == 0 ? StatefulAnswer::kDiscard : StatefulAnswer::kKeep;
  }

  bool ends_late = false;
};

// Sets a timer for the last time of all.
struct WaitForEver {
  using State = int;
  using Result = int;
  using Context = StatefulContext<int, Result>;

  StatefulAnswer OnItem(Context& context, int& sum, int64_t value) {
    sum += static_cast<int>(value);
    context.SetEventTimer(absl::InfiniteFuture());
    return StatefulAnswer::kKeep;
  }
  StatefulAnswer OnEventTimer(Context& context, int& sum, EventTime) {
    context.Emit(sum);
    return StatefulAnswer::kDiscard;
  }
};

TEST_CASE("a timer at the last event time fires at the end of the input") {
  using Values = std::vector<std::pair<int, int64_t>>;
  Collected<std::pair<int, int>> sums;
  CheckOk(RunMain(Dataflow("flow", [&](Scope<>& scope) {
    scope.Input("values", TestingSource(Values{{1, 3}, {2, 5}, {1, 4}})) |
        AssignEventTime("time", EventClock([](const auto& value) { return value.second; }, 3)) |
        Stateful("wait", WaitForEver()) | CollectInto("collect", sums);
  })));
  CHECK(sums.Sorted() == std::vector<std::pair<int, int>>{{1, 7}, {2, 5}});
}

TEST_CASE("timers in event time fire when the watermark has reached them, earliest first") {
  ManualClock clock;
  CheckOk(Execute({.run = {.clock = &clock}}, [&](Worker& worker) -> absl::Status {
    using Values = std::vector<std::pair<int, int64_t>>;
    InputHandle<std::pair<int, int64_t>> input;
    Collected<std::pair<int, int64_t>> reminders;
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      scope.Input(input) |
          AssignEventTime("time", EventClock([](const auto& value) { return value.second; }, 3)) |
          Stateful("remind", Remind{.ends_late = true}) |
          Map("time only",
              [](const auto& each) { return std::pair(each.first, each.second.first); }) |
          CollectInto("collect", reminders);
    }));
    const auto send = [&](const Values& values) {
      for (const auto& value : values) input.Send(value);
      input.Flush();
      for (int i = 0; i < 20; ++i) {
        Settle(worker);
        clock.Advance(absl::Milliseconds(50));
      }
      return reminders.InOrder();
    };
    CHECK(send({{1, 10}, {2, 8}, {1, 14}}).empty());  // the watermark is 11
    CHECK(send({{1, 17}}) == Values{{2, 8}});         // 14
    CHECK(send({{3, 22}}) == Values{{2, 8}, {1, 10}, {1, 14}});
    input.AdvanceTo(1);
    CHECK(send({{1, 21}}).size() == 3);
    return worker.Cancel("flow");
  }));
}

TEST_CASE("at the end of the input all event timers of a key fire in order, also over resumes") {
  std::vector<std::pair<int, int64_t>> values;
  for (int i = 0; i < 120; ++i) values.push_back({i * i % 7, i / 3 * 2});
  // With the second one all timers wait until the end.
  for (const int64_t disorder : {4, 1000}) {
    RunEverywhere<std::pair<int, int64_t>>(
        values,
        [disorder](const auto& stream) {
          return stream |
                 AssignEventTime(
                     "time", EventClock([](const auto& each) { return each.second; }, disorder)) |
                 Stateful("remind", Remind()) | Map("time only", [](const auto& each) {
                   return std::pair(each.first, each.second.first);
                 });
        },
        [&](const std::vector<std::pair<int, int64_t>>& results) {
          // Two values of a key with the same time have one timer.
          std::vector<std::pair<int, int64_t>> expected = values;
          std::sort(expected.begin(), expected.end());
          expected.erase(std::unique(expected.begin(), expected.end()), expected.end());
          CHECK(results == expected);
        });
  }
}

// Counts the values of a key, and the alarms that follow them; keeps both at the end.
struct CountAlarms {
  struct State {
    int values = 0;
    int alarms = 0;
  };
  using Result = Item;
  using Context = StatefulContext<int, Item>;

  StatefulAnswer OnItem(Context& context, State& state, int) {
    ++state.values;
    context.CancelTimers();
    context.SetTimer(context.now() + absl::Seconds(10));
    context.SetTimer(context.now() + absl::Seconds(20));
    return StatefulAnswer::kKeep;
  }
  StatefulAnswer OnTimer(Context& context, State& state, absl::Time) {
    context.Emit(Item(state.values, ++state.alarms));
    return StatefulAnswer::kKeep;
  }
};

TEST_CASE("state and timers that are kept at the end belong to the run that continues") {
  ManualClock clock;
  auto store = std::make_shared<internal::MemoryStore>();
  std::vector<Item> records;
  Collected<std::pair<int, Item>> alarms;
  const auto run = [&](std::vector<Item> more, Shape shape) {
    records.insert(records.end(), more.begin(), more.end());
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("records", TestingSource(records)) | Stateful("alarms", CountAlarms()) |
          CollectInto("collect", alarms) | Output("out", CallbackSink([](const auto&) {}));
    });
    CheckOk(RunInShape(flow, shape,
                       {.recovery_config = RecoveryConfig{.store = store}, .clock = &clock}));
  };
  using Alarms = std::vector<std::pair<int, Item>>;
  run({{1, 0}, {2, 0}, {1, 0}}, {1, 2});
  CHECK(alarms.size() == 0);
  clock.Advance(absl::Seconds(5));
  run({{2, 0}}, {2, 1});
  CHECK(alarms.size() == 0);
  clock.Advance(absl::Seconds(6));  // while no run is up
  run({}, {1, 3});
  CHECK(alarms.Sorted() == Alarms{{1, {2, 1}}});
  clock.Advance(absl::Seconds(20));
  run({}, {1, 1});
  CHECK(alarms.Sorted() == Alarms{{1, {2, 1}}, {1, {2, 2}}, {2, {2, 1}}, {2, {2, 2}}});
}

TEST_CASE("a discarded key leaves nothing in snapshots, neither state nor timers") {
  SnapshotStore snapshots;
  ManualClock clock;
  CheckOk(Execute({.run = {.apply_in_epoch_order = true, .clock = &clock}},
                  [&](Worker& worker) -> absl::Status {
                    InputHandle<Item> input;
                    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
                      scope.Input(input) | Stateful("commands", Commands());
                      snapshots.Listen(scope);
                    }));
                    for (Epoch epoch = 0; epoch < 30; ++epoch) {
                      const int key = static_cast<int>(epoch);
                      input.Send(Item(key, 66));
                      input.Send(Item(key, 50));
                      if (epoch >= 5) input.Send(Item(key - 5, 100));  // discards
                      input.AdvanceTo(epoch + 1);
                      Settle(worker);
                    }
                    // The timers of the last keys discard them.
                    clock.Advance(absl::Seconds(100));
                    Settle(worker);
                    input.AdvanceTo(40);
                    Settle(worker);
                    return worker.Cancel("flow");
                  }));
  auto text_of = [](const std::vector<std::byte>& bytes) {
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  std::map<std::pair<std::string, std::string>, bool> is_there;  // by key and part
  size_t written = 0;
  for (const SnapshotStore::Change& change : snapshots.changes()) {
    is_there[{text_of(change.key), text_of(change.part)}] = change.state.has_value();
    if (change.state.has_value()) ++written;
  }
  CHECK(written >= 60);  // state and a timer of each key
  for (const auto& [entry, is_kept] : is_there) CHECK_FALSE(is_kept);
}

TEST_CASE("state is exact after crashes, and new for a key that was discarded before") {
  // Discards on every fifth value, so the texts of a key have up to five numbers.
  struct FiveValues {
    using State = std::string;
    using Result = std::string;
    StatefulAnswer OnItem(StatefulContext<int, std::string>& context, std::string& text,
                          int value) {
      text += std::to_string(value) + " ";
      if (std::ranges::count(text, ' ') < 5) return StatefulAnswer::kKeep;
      context.Emit(text);
      return StatefulAnswer::kDiscard;
    }
  };
  std::vector<Item> items;
  for (int i = 0; i < 100; ++i) items.push_back({i * i % 7, i});
  std::map<int, std::vector<int>> lists;
  std::vector<Text> expected;
  for (const auto& [key, value] : items) {
    lists[key].push_back(value);
    if (lists[key].size() < 5) continue;
    std::string text;
    for (int each : std::exchange(lists[key], {})) text += std::to_string(each) + " ";
    expected.emplace_back(key, text);
  }
  std::sort(expected.begin(), expected.end());
  for (int64_t call = 4; call < 60; call += 7) {
    CAPTURE(call);
    auto store = std::make_shared<internal::MemoryStore>();
    Collected<Text> texts;
    const Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("items", TestingSource(items)) | Stateful("five", FiveValues()) |
          CollectInto("collect", texts) | Output("out", CallbackSink([](const auto&) {}));
    });
    const RunOptions options{.epoch_config = RecordCountEpochConfig{3},
                             .recovery_config = RecoveryConfig{.store = store}};
    store->CrashAt(call, call % 2 == 0);
    RunInShape(flow, {1, 2}, options).IgnoreError();
    store->Restart();
    CheckOk(RunInShape(flow, {1, 3}, options));
    // Texts after the last commit are emitted again, and are the same.
    std::vector<Text> all = texts.Sorted();
    all.erase(std::unique(all.begin(), all.end()), all.end());
    CHECK(all == expected);
  }
}

// Emits (number of values so far, value) for each value; forgets the key after its third.
struct ThreeInABatch {
  using State = int;
  using Result = Item;

  StatefulAnswer OnBatch(StatefulContext<std::string, Item>& context, int& seen,
                         std::span<int> values) {
    REQUIRE_FALSE(values.empty());
    for (const int value : values) {
      context.Emit(Item(++seen, value));
      if (seen == 3) seen = 0;
    }
    return seen == 0 ? StatefulAnswer::kDiscard : StatefulAnswer::kKeep;
  }
};

std::vector<std::pair<std::string, int>> Named(int count) {
  std::vector<std::pair<std::string, int>> records;
  for (int i = 0; i < count; ++i) {
    records.push_back({"key" + std::string(static_cast<size_t>(i * i % 17), 'y'), i});
  }
  return records;
}

TEST_CASE("batches of the values of a key have the same effect as single values") {
  RunEverywhere<std::pair<std::string, Item>>(
      Named(200),
      [](const Stream<std::pair<std::string, int>>& stream) {
        return stream | Stateful("three", ThreeInABatch());
      },
      [](const auto& results) {
        std::map<std::string, int> seen;
        std::vector<std::pair<std::string, Item>> expected;
        for (const auto& [key, value] : Named(200)) {
          expected.push_back({key, {seen[key] % 3 + 1, value}});
          ++seen[key];
        }
        std::sort(expected.begin(), expected.end());
        CHECK(results == expected);
      });
}

// Joins strings, and emits the text every third time and at the end.
struct JoinStrings {
  struct State {
    std::string text;
    int count = 0;
  };
  using Result = std::string;

  StatefulAnswer OnItem(StatefulContext<std::string, std::string>& context, State& state,
                        std::string_view value) {
    CHECK(context.key().substr(0, 3) == "key");
    state.text.append(value);
    if (++state.count % 3 == 0) context.Emit(state.text);
    return StatefulAnswer::kKeep;
  }
  StatefulAnswer OnEnd(StatefulContext<std::string, std::string>& context, State& state) {
    context.Emit("end " + state.text);
    return StatefulAnswer::kDiscard;
  }
};

TEST_CASE("keys and values that are strings are seen as views, over stops and resumes") {
  RunEverywhere<std::pair<std::string, std::string>>(
      Named(100),
      [](const Stream<std::pair<std::string, int>>& stream) {
        return stream |
               Map("text",
                   [](const auto& record) {
                     return std::pair(std::string(record.first),
                                      std::to_string(record.second) + " ");
                   }) |
               Stateful("join", JoinStrings());
      },
      [](const auto& results) {
        std::map<std::string, std::pair<std::string, int>> texts;
        std::vector<std::pair<std::string, std::string>> expected;
        for (const auto& [key, value] : Named(100)) {
          auto& [text, count] = texts[key];
          text += std::to_string(value) + " ";
          if (++count % 3 == 0) expected.push_back({key, text});
        }
        for (const auto& [key, text] : texts) expected.push_back({key, "end " + text.first});
        std::sort(expected.begin(), expected.end());
        CHECK(results == expected);
      });
}

struct WithoutOnTimer {
  using State = int;
  using Result = int;
  StatefulAnswer OnItem(StatefulContext<int, int>& context, int&, int) {
    context.SetTimer(context.now());
    return StatefulAnswer::kKeep;
  }
};

TEST_CASE("a timer without a function for it ends the run with an error that names the step") {
  const absl::Status status = RunMain(Dataflow("flow", [&](Scope<>& scope) {
    scope.Input("records", TestingSource(std::vector<Item>{{1, 2}})) |
        Stateful("silent", WithoutOnTimer());
  }));
  CheckError(status, absl::StatusCode::kAborted, {"'silent'", "OnTimer"});
}

TEST_CASE("lists of a size come when they are full, and the rest at the end of the input") {
  std::vector<Item> items;
  for (int i = 0; i < 100; ++i) items.push_back({i * i % 7, i});
  RunEverywhere<std::pair<int, std::vector<int>>>(
      items, [](const Stream<Item>& stream) { return stream | Collect("lists", {.size_max = 3}); },
      [&](const auto& results) {
        std::map<int, std::vector<int>> lists;
        std::vector<std::pair<int, std::vector<int>>> expected;
        for (const auto& [key, value] : items) {
          lists[key].push_back(value);
          if (lists[key].size() == 3) expected.push_back({key, std::exchange(lists[key], {})});
        }
        for (const auto& [key, list] : lists) {
          if (!list.empty()) expected.push_back({key, list});
        }
        std::sort(expected.begin(), expected.end());
        CHECK(results == expected);
      });
}

TEST_CASE("lists of ten values of one key, three at a time, are of 3, 3, 3 and 1") {
  std::vector<std::pair<std::string, std::string>> items;
  for (int i = 0; i < 10; ++i) items.push_back({"key", std::to_string(i)});
  std::vector<std::pair<std::string, std::vector<std::string>>> lists;
  CheckOk(RunMain(Dataflow("flow", [&](Scope<>& scope) {
    scope.Input("items", TestingSource(items)) | Collect("lists", {.size_max = 3}) |
        Output("out", TestingSink(&lists));
  })));
  CHECK(lists ==
        std::vector<std::pair<std::string, std::vector<std::string>>>{{"key", {"0", "1", "2"}},
                                                                      {"key", {"3", "4", "5"}},
                                                                      {"key", {"6", "7", "8"}},
                                                                      {"key", {"9"}}});
}

TEST_CASE("a list is emitted when its key is idle, or when its first value is old enough") {
  for (const bool by_age : {false, true}) {
    CAPTURE(by_age);
    ManualClock clock;
    CheckOk(Execute({.run = {.clock = &clock}}, [&](Worker& worker) -> absl::Status {
      InputHandle<Item> input;
      Collected<std::pair<int, std::vector<int>>> lists;
      HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
        CollectOptions options{.idle_max = absl::Seconds(10)};
        if (by_age) options.age_max = absl::Seconds(25);
        scope.Input(input) | Collect("lists", options) | CollectInto("collect", lists);
      }));
      // Values trickle faster than the key is idle.
      for (int i = 0; i < 6; ++i) {
        input.Send(Item(1, i));
        input.Flush();
        Settle(worker);
        clock.Advance(absl::Seconds(5));
        Settle(worker);
      }
      using Lists = std::vector<std::pair<int, std::vector<int>>>;
      // At 25 seconds the first value is old enough; the value of that time begins a list.
      CHECK(lists.InOrder() == (by_age ? Lists{{1, {0, 1, 2, 3, 4}}} : Lists{}));
      clock.Advance(absl::Seconds(5));
      Settle(worker);
      CHECK(lists.InOrder() ==
            (by_age ? Lists{{1, {0, 1, 2, 3, 4}}, {1, {5}}} : Lists{{1, {0, 1, 2, 3, 4, 5}}}));
      input.Close();
      return worker.StepWhile([&] { return worker.HasDataflows(); });
    }));
  }
}

TEST_CASE("a stateful flat map emits ranges that follow the state") {
  std::vector<Item> items;
  for (int i = 0; i < 90; ++i) items.push_back({i * i % 7, i});
  RunEverywhere<Item>(
      items,
      [](const Stream<Item>& stream) {
        return stream | StatefulFlatMap<int>("repeat", [](std::optional<int>& seen, int value) {
                 seen = seen.value_or(0) + 1;
                 std::vector<int> values(static_cast<size_t>(*seen), value);
                 if (*seen == 4) seen.reset();
                 return values;
               });
      },
      [&](const std::vector<Item>& results) {
        std::map<int, int> seen;
        std::vector<Item> expected;
        for (const Item& item : items) {
          for (int i = 0; i <= seen[item.first] % 4; ++i) expected.push_back(item);
          ++seen[item.first];
        }
        std::sort(expected.begin(), expected.end());
        CHECK(results == expected);
      });
}

// Counts down from the value. The state counts the texts.
Generator<std::string> CountDown(std::optional<int>& emitted, int value) {
  for (int i = value; i > 0; --i) {
    emitted = emitted.value_or(0) + 1;
    co_yield std::to_string(i) + " (" + std::to_string(*emitted) + ")";
  }
}

TEST_CASE("a generator may change the state while it runs") {
  const std::vector<std::pair<std::string, int>> items = {
      {"a", 3}, {"b", 1}, {"a", 0}, {"c", 0}, {"a", 2}};
  RunEverywhere<std::pair<std::string, std::string>>(
      items,
      [](const auto& stream) { return stream | StatefulFlatMap<int>("count down", CountDown); },
      [](const auto& results) {
        CHECK(results == std::vector<std::pair<std::string, std::string>>{{"a", "1 (3)"},
                                                                          {"a", "1 (5)"},
                                                                          {"a", "2 (2)"},
                                                                          {"a", "2 (4)"},
                                                                          {"a", "3 (1)"},
                                                                          {"b", "1 (1)"}});
      });
}

TEST_CASE("a stateful flat map emits a range as it is taken, and ends the epoch after it") {
  // Far more than may be in flight.
  constexpr int kCount = 3'000'000;
  for (const bool in_order : {false, true}) {
    CAPTURE(in_order);
    std::atomic<int64_t> made{0};
    std::atomic<int64_t> taken{0};
    std::atomic<int64_t> ahead_max{0};
    CheckOk(Execute(
        {.run = {.max_bytes_in_flight = 1 << 16, .apply_in_epoch_order = in_order}},
        [&](Worker& worker) -> absl::Status {
          InputHandle<Item> input;
          std::vector<std::pair<int64_t, Epoch>> closed;  // (taken, epoch) when an epoch closed
          HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
            scope.Input(input) |
                StatefulFlatMap<int>("numbers",
                                     [&](std::optional<int>& runs, int count) {
                                       runs = runs.value_or(0) + 1;
                                       return std::views::iota(0, count) |
                                              std::views::transform([&](int i) {
                                                ++made;
                                                return i;
                                              });
                                     }) |
                Unary<Item>("count", pact::Pipeline{}, [&](Capability<>) {
                  return [&](NodeInput<Item>& in, NodeOutput<Item>&) {
                    in.ForEach([&](const CapabilityRef<>&, Batch<Item>& batch) {
                      taken += static_cast<int64_t>(batch.size());
                      ahead_max = std::max(ahead_max.load(), made - taken);
                    });
                  };
                });
            if (!in_order) return;
            scope.graph().parts().participants[0]->SetListener(
                [&](EpochParticipant&, Epoch epoch) { closed.push_back({taken, epoch}); });
          }));
          input.Send(Item(1, kCount));
          input.AdvanceTo(1);
          input.Send(Item(1, 3));
          input.Close();
          HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return worker.HasDataflows(); }));
          if (in_order) {
            REQUIRE(closed.size() == 2);
            CHECK(closed[0].second == 0);
            // The node closes the epoch when the range has ended; a few batches may be under way.
            CHECK(closed[0].first > kCount / 2);
          }
          return absl::OkStatus();
        }));
    CHECK(taken == kCount + 3);
    CHECK(ahead_max < kCount / 4);
  }
}

}  // namespace
}  // namespace headway
