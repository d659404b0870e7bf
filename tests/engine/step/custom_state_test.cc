// State of operators that OperatorBuilder makes: the order of epochs over several inputs, snapshots
// at the ends of epochs, and the worker that gets the state after a change of their number.
#include <doctest/doctest.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "tests/engine/run_helpers.h"

namespace headway {
namespace {

using Bytes = std::vector<std::byte>;
using Keyed = std::pair<int64_t, int64_t>;

// The entries of all steps, by (step id, key).
struct Entry {
  Bytes state;
  uint64_t hash;
};
using Entries = std::map<std::pair<std::string, Bytes>, Entry>;

template <class K, class S>
std::map<K, S> Content(const Entries& entries, const std::string& step_id) {
  std::map<K, S> content;
  for (const auto& [id, entry] : entries) {
    if (id.first != step_id) continue;
    K key{};
    CHECK(DecodeFromBytes(std::span<const std::byte>(id.second), &key));
    CHECK(DecodeFromBytes(std::span<const std::byte>(entry.state), &content[key]));
  }
  return content;
}

// The participants without sources: these tests give each run new records.
std::vector<EpochParticipant*> StatesOf(Scope<>& scope) {
  std::vector<EpochParticipant*> states = scope.graph().parts().participants;
  std::erase_if(states, [](EpochParticipant* each) { return each->step_id() == "records"; });
  return states;
}

// Restores the entries that belong to the worker, as recovery does.
void Restore(const Entries& entries, Scope<>& scope) {
  for (EpochParticipant* participant : StatesOf(scope)) {
    for (const auto& [id, entry] : entries) {
      if (id.first != participant->step_id()) continue;
      if (!participant->restores_everywhere() &&
          RouteHash(entry.hash, scope.worker_count()) != scope.worker_index()) {
        continue;
      }
      CheckOk(participant->Restore({.key = id.second, .state = entry.state}));
    }
  }
}

// The entries as of the epochs that have closed. Thread safe.
struct Store {
  std::mutex mutex;
  Entries entries;
  std::vector<Epoch> closed;
  std::map<Epoch, Entries> snapshots;  // the entries when an epoch was closed

  void Listen(Scope<>& scope) {
    for (EpochParticipant* participant : StatesOf(scope)) {
      participant->TrackChanges();
      participant->SetListener([this](EpochParticipant& of, Epoch epoch) { Take(of, epoch); });
    }
  }
  void Take(EpochParticipant& participant, Epoch epoch) {
    std::lock_guard lock(mutex);
    closed.push_back(epoch);
    participant.Snapshot([&](const StateEntry& entry) {
      const std::pair id(participant.step_id(), Bytes(entry.key.begin(), entry.key.end()));
      if (entry.state.has_value()) {
        entries[id] = {Bytes(entry.state->begin(), entry.state->end()), entry.hash};
      } else {
        entries.erase(id);
      }
    });
    snapshots[epoch] = entries;
  }
};

// Adds the values of both inputs under their keys, and emits the sums.
Stream<Keyed> Sum(const Stream<Keyed>& left, const Stream<Keyed>& right) {
  OperatorBuilder<Epoch> builder(left.scope(), "sum");
  auto& in_left = builder.AddInput(left, pact::Exchange{FirstOfPair()});
  auto& in_right = builder.AddInput(right, pact::Exchange{FirstOfPair()});
  auto& output = builder.AddOutput<Keyed>();
  auto& sums = builder.AddState<int64_t, int64_t>();
  auto& epochs = builder.OrderEpochs();
  builder.BuildWithoutCapabilities([&] {
    auto add = [&](const CapabilityRef<>& time, Batch<Keyed>& batch) {
      auto session = output.SessionAt(time);
      for (const Keyed& record : batch) {
        int64_t& sum = sums.At(record.first);
        sum += record.second;
        session.Give(Keyed(record.first, sum));
      }
    };
    epochs.ForEach(in_left, add);
    epochs.ForEach(in_right, add);
    epochs.CloseEnded();
  });
  return builder.StreamOf(output);
}

RunOptions InOrder() { return {.apply_in_epoch_order = true}; }

TEST_CASE("an epoch ends when it has ended at all inputs, and the next one is applied after it") {
  Store store;
  CheckOk(Execute({.run = InOrder()}, [&](Worker& worker) -> absl::Status {
    InputHandle<Keyed> left;
    InputHandle<Keyed> right;
    ProbeHandle<> probe;
    Collected<std::pair<Epoch, Keyed>> sums;
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      Sum(scope.Input(left), scope.Input(right)) | CollectWithTime("sums", sums) | Probe(probe);
      store.Listen(scope);
    }));
    auto steps = [&] {
      for (int i = 0; i < 20; ++i) CheckOk(worker.Step());
    };
    for (const Epoch epoch : {0, 1, 2}) {
      left.AdvanceTo(epoch);
      left.Send(Keyed(7, 1));
    }
    left.AdvanceTo(9);
    steps();
    CHECK(sums.InOrder() == std::vector<std::pair<Epoch, Keyed>>{{0, {7, 1}}});
    CHECK(store.closed.empty());
    right.Send(Keyed(7, 10));
    right.AdvanceTo(1);
    steps();
    CHECK(sums.InOrder().back() == std::pair<Epoch, Keyed>{1, {7, 12}});
    CHECK(store.closed == std::vector<Epoch>{0});
    CHECK(Content<int64_t, int64_t>(store.entries, "sum") == std::map<int64_t, int64_t>{{7, 11}});
    right.AdvanceTo(2);
    right.Send(Keyed(7, 100));
    right.Close();
    steps();
    CHECK(sums.InOrder().size() == 5);
    CHECK(store.closed == std::vector<Epoch>{0, 1, 2});
    CHECK(Content<int64_t, int64_t>(store.entries, "sum") == std::map<int64_t, int64_t>{{7, 113}});
    left.Close();
    return worker.StepWhile([&] { return worker.HasDataflows(); });
  }));
}

TEST_CASE("an epoch is not complete before its state is closed, without order it is at once") {
  for (const bool in_order : {true, false}) {
    CheckOk(
        Execute({.run = {.apply_in_epoch_order = in_order}}, [&](Worker& worker) -> absl::Status {
          InputHandle<Keyed> left;
          InputHandle<Keyed> right;
          std::vector<Epoch> closed;
          Collected<std::pair<Epoch, Keyed>> sums;
          HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
            // Only a dataflow with a source knows which epochs are complete.
            scope.Input("records", TestingSource(std::vector<Keyed>()));
            Sum(scope.Input(left), scope.Input(right)) | CollectWithTime("sums", sums);
            StatesOf(scope).at(0)->SetListener(
                [&, &graph = scope.graph()](EpochParticipant&, Epoch epoch) {
                  CHECK(graph.completion().frontier().LessEqual(epoch));
                  closed.push_back(epoch);
                });
          }));
          left.AdvanceTo(3);
          left.Send(Keyed(1, 1));
          left.Close();
          for (int i = 0; i < 20; ++i) HEADWAY_RETURN_IF_ERROR(worker.Step());
          CHECK(sums.size() == (in_order ? 0 : 1));
          right.Close();
          HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return worker.HasDataflows(); }));
          CHECK(sums.size() == 1);
          CHECK(closed == (in_order ? std::vector<Epoch>{3} : std::vector<Epoch>{}));
          return absl::OkStatus();
        }));
  }
}

TEST_CASE("an epoch whose batches wait stays open, however many of the next one have come") {
  Store store;
  CheckOk(Execute({.run = InOrder()}, [&](Worker& worker) -> absl::Status {
    InputHandle<Keyed> left;
    InputHandle<Keyed> right;
    std::map<Epoch, int64_t> at_end;
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      Sum(scope.Input(left), scope.Input(right));
      store.Listen(scope);
      StatesOf(scope).at(0)->SetListener([&](EpochParticipant& of, Epoch epoch) {
        of.Snapshot(
            [&](const StateEntry& entry) { CHECK(DecodeFromBytes(*entry.state, &at_end[epoch])); });
      });
    }));
    for (const Epoch epoch : {0, 1}) {
      for (InputHandle<Keyed>* input : {&left, &right}) {
        input->AdvanceTo(epoch);
        for (int i = 0; i < 2000; ++i) {
          input->Send(Keyed(1, 1));
          input->Flush();
        }
      }
    }
    left.Close();
    right.Close();
    HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return worker.HasDataflows(); }));
    CHECK(at_end == std::map<Epoch, int64_t>{{0, 4000}, {1, 8000}});
    return absl::OkStatus();
  }));
}

// A run over `records`, with the state of `entries`. Returns the state at its end.
template <class BuildStep>
Entries Run(int workers, const Entries& entries, const std::vector<Keyed>& records,
            BuildStep build) {
  Store store;
  store.entries = entries;
  Dataflow flow("flow", [&](Scope<>& scope) {
    build(scope.Input("records", TestingSource(records)));
    Restore(entries, scope);
    store.Listen(scope);
  });
  RunOptions options = InOrder();
  options.worker_count = workers;
  options.epoch_config = RecordCountEpochConfig{.records_per_epoch = 7};
  CheckOk(RunMain(flow, options));
  return store.entries;
}

std::vector<Keyed> SomeRecords() {
  std::vector<Keyed> records;
  for (int64_t i = 0; i < 100; ++i) records.push_back(Keyed(i * i % 37, i));
  return records;
}

TEST_CASE("state under keys is found again by any number of workers, however it is routed") {
  auto group_of = [](int64_t key) { return key % 5; };
  for (const bool by_key : {true, false}) {
    Collected<Keyed> seen;
    auto step = [&](const Stream<Keyed>& stream) {
      OperatorBuilder<Epoch> builder(stream.scope(), "sum");
      auto& input = by_key ? builder.AddInput(stream, pact::Exchange{FirstOfPair()})
                           : builder.AddInput(stream, pact::Exchange{[=](const Keyed& record) {
                                                return group_of(record.first);
                                              }});
      auto& sums = by_key ? builder.AddState<int64_t, int64_t>()
                          : builder.AddState<int64_t, int64_t>(group_of);
      auto& epochs = builder.OrderEpochs();
      builder.BuildWithoutCapabilities([&] {
        epochs.ForEach(input, [&](const CapabilityRef<>&, Batch<Keyed>& batch) {
          for (const Keyed& record : batch) sums.At(record.first) += record.second;
        });
        epochs.CloseEnded();
      });
    };
    Entries entries;
    std::map<int64_t, int64_t> expected;
    for (const int workers : {3, 1, 2, 8}) {
      CAPTURE(workers);
      for (const Keyed& record : SomeRecords()) expected[record.first] += record.second;
      entries = Run(workers, entries, SomeRecords(), step);
      CHECK(Content<int64_t, int64_t>(entries, "sum") == expected);
    }
  }
}

TEST_CASE("state of workers is merged when there are fewer of them, once") {
  auto step = [&](const Stream<Keyed>& stream) {
    OperatorBuilder<Epoch> builder(stream.scope(), "count");
    auto& input = builder.AddInput(stream, pact::Exchange{FirstOfPair()});
    auto& count =
        builder.AddWorkerState<int64_t>([](int64_t& into, int64_t&& other) { into += other; });
    auto& epochs = builder.OrderEpochs();
    builder.BuildWithoutCapabilities([&] {
      epochs.ForEach(input, [&](const CapabilityRef<>&, Batch<Keyed>& batch) {
        count.Change() += static_cast<int64_t>(batch.size());
      });
      epochs.CloseEnded();
    });
  };
  Entries entries;
  int64_t expected = 0;
  for (const int workers : {3, 1, 2, 8, 1}) {
    CAPTURE(workers);
    expected += 100;
    entries = Run(workers, entries, SomeRecords(), step);
    int64_t total = 0;
    for (const auto& [worker, count] : Content<uint32_t, int64_t>(entries, "count")) {
      CHECK(worker < static_cast<uint32_t>(workers));
      total += count;
    }
    CHECK(total == expected);
  }
}

// A step with the state of a worker, to which `change` is applied for each record.
template <class Change>
void ListStep(const Stream<Keyed>& stream, std::vector<int64_t>* seen, Change change) {
  OperatorBuilder<Epoch> builder(stream.scope(), "list");
  auto& input = builder.AddInput(stream, pact::Pipeline{});
  builder.IgnoreFrontier(0);  // has no effect in a run in epoch order
  auto& list = builder.AddWorkerState<std::vector<int64_t>>(
      [](std::vector<int64_t>& into, std::vector<int64_t>&& other) {
        into.insert(into.end(), other.begin(), other.end());
      });
  auto& epochs = builder.OrderEpochs();
  builder.BuildWithoutCapabilities([&, seen, change] {
    epochs.ForEach(input, [&](const CapabilityRef<>&, Batch<Keyed>& batch) {
      for (const Keyed& record : batch) {
        if (seen != nullptr) *seen = list.Get();
        change(list, record);
      }
    });
    epochs.CloseEnded();
  });
}

TEST_CASE("states of workers are merged in the order of their indices, and only on one worker") {
  Entries entries;
  for (const uint32_t worker : {0U, 1U, 2U, 3U, 4U}) {
    entries[{"list", EncodeToBytes(worker)}] = {
        EncodeToBytes(std::vector<int64_t>{static_cast<int64_t>(worker)}), 0};
  }
  for (const bool changes : {true, false}) {
    CAPTURE(changes);
    Store store;
    store.entries = entries;
    std::map<int, std::vector<int64_t>> seen;
    CheckOk(Execute({.workers = 2, .run = InOrder()}, [&](Worker& worker) -> absl::Status {
      InputHandle<Keyed> input;
      std::vector<int64_t> list;
      HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
        ListStep(scope.Input(input), &list, [changes](auto& state, const Keyed& record) {
          if (changes) state.Change().push_back(record.second);
        });
        Restore(entries, scope);
        store.Listen(scope);
      }));
      input.Send(Keyed(0, 10));
      input.Close();
      HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return worker.HasDataflows(); }));
      std::lock_guard lock(store.mutex);
      seen[worker.index()] = list;
      return absl::OkStatus();
    }));
    CHECK(seen == std::map<int, std::vector<int64_t>>{{0, {0, 2, 4}}, {1, {1, 3}}});
    // The merged states are stored even if nothing else changes them.
    std::map<uint32_t, std::vector<int64_t>> expected{{0, {0, 2, 4}}, {1, {1, 3}}};
    if (changes) {
      for (auto& [worker, list] : expected) list.push_back(10);
    }
    CHECK(Content<uint32_t, std::vector<int64_t>>(store.entries, "list") == expected);
  }
}

TEST_CASE("the state of a worker that does not change is not written again") {
  Store store;
  CheckOk(Execute({.run = InOrder()}, [&](Worker& worker) -> absl::Status {
    InputHandle<Keyed> input;
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      ListStep(scope.Input(input), nullptr, [](auto& state, const Keyed& record) {
        if (record.first == 1) state.Change().push_back(record.second);
      });
      store.Listen(scope);
    }));
    std::vector<size_t> entries;
    for (const int64_t key : {0, 1, 0}) {
      input.Send(Keyed(key, 5));
      input.AdvanceTo(input.time() + 1);
      for (int i = 0; i < 20; ++i) HEADWAY_RETURN_IF_ERROR(worker.Step());
      entries.push_back(store.entries.size());
      store.entries.clear();
    }
    CHECK(store.closed.size() == 3);
    CHECK(entries == std::vector<size_t>{0, 1, 0});
    return worker.Cancel("flow");
  }));
}

TEST_CASE("a damaged state of a worker is DataLoss") {
  CheckOk(Execute({}, [&](Worker& worker) {
    return worker.Build("flow", [&](Scope<>& scope) {
      ListStep(scope.Input("records", TestingSource(SomeRecords())), nullptr,
               [](auto&, const Keyed&) {});
      EpochParticipant* list = StatesOf(scope).at(0);
      const Bytes key = EncodeToBytes(uint32_t{0});
      const Bytes state = EncodeToBytes(std::vector<int64_t>{1});
      CheckError(list->Restore({std::span(key).first(3), state}), absl::StatusCode::kDataLoss,
                 {"stored state of a worker"});
      CheckError(list->Restore({key, std::span(state).first(3)}), absl::StatusCode::kDataLoss,
                 {"stored state of a worker"});
    });
  }));
}

TEST_CASE("an operator has several states under names of their own") {
  std::vector<std::string> ids;
  auto build = [&](std::string_view second_name) {
    return Execute({}, [&](Worker& worker) {
      return worker.Build("flow", [&](Scope<>& scope) {
        auto records = scope.Input("records", TestingSource(SomeRecords()));
        OperatorBuilder<Epoch> builder(scope, "step");
        auto& input = builder.AddInput(records, pact::Exchange{FirstOfPair()});
        builder.AddState<int64_t, int64_t>();
        builder.AddState<std::string, int64_t>(second_name);
        builder.AddWorkerState<int64_t>([](int64_t&, int64_t&&) {}, "worker");
        auto& epochs = builder.OrderEpochs();
        builder.BuildWithoutCapabilities([&] {
          epochs.ForEach(input, [](const CapabilityRef<>&, Batch<Keyed>&) {});
          epochs.CloseEnded();
        });
        ids.clear();
        for (const EpochParticipant* participant : StatesOf(scope)) {
          ids.push_back(participant->step_id());
        }
      });
    });
  };
  CheckOk(build("names"));
  CHECK(ids == std::vector<std::string>{"step", "step.names", "step.worker"});
  CheckError(build("worker"), absl::StatusCode::kInvalidArgument,
             {"step 'step'", "under the id 'step.worker'", "a name of its own"});
  CheckError(build(""), absl::StatusCode::kInvalidArgument, {"under the id 'step'"});
}

TEST_CASE("changes for a complete epoch are in its snapshot") {
  // Counts the epochs that are complete, and emits the count.
  for (const bool in_order : {true, false}) {
    Store store;
    CheckOk(
        Execute({.run = {.apply_in_epoch_order = in_order}}, [&](Worker& worker) -> absl::Status {
          InputHandle<Keyed> records;
          Collected<std::pair<Epoch, int64_t>> counts;
          size_t capability_count = 0;
          HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
            OperatorBuilder<Epoch> builder(scope, "count");
            auto& input = builder.AddInput(scope.Input(records), pact::Pipeline{});
            auto& output = builder.AddOutput<int64_t>();
            auto& count = builder.AddState<int64_t, int64_t>();
            auto& epochs = builder.OrderEpochs();
            builder.Build([&](const std::vector<Capability<>>& capabilities) {
              capability_count = capabilities.size();
              return [&, notificator = Notificator<>()]() mutable {
                epochs.ForEach(input, [&](const CapabilityRef<>& time, Batch<Keyed>&) {
                  notificator.NotifyAt(time.Retain());
                });
                while (auto complete = notificator.Next(epochs.frontier())) {
                  output.SessionAt(*complete).Give(++count.At(0));
                }
                epochs.CloseEnded();
              };
            });
            builder.StreamOf(output) | CollectWithTime("counts", counts);
            store.Listen(scope);
          }));
          for (const Epoch epoch : {0, 1, 2}) {
            records.AdvanceTo(epoch);
            records.Send(Keyed(0, 0));
          }
          records.AdvanceTo(2);
          for (int i = 0; i < 20; ++i) HEADWAY_RETURN_IF_ERROR(worker.Step());
          CHECK(capability_count == 1);
          CHECK(counts.InOrder() == std::vector<std::pair<Epoch, int64_t>>{{0, 1}, {1, 2}});
          CHECK(store.closed == (in_order ? std::vector<Epoch>{0, 1} : std::vector<Epoch>{}));
          if (in_order) {
            // Both epochs ended at once, and each snapshot has the changes up to its own.
            for (const Epoch epoch : {0, 1}) {
              CHECK(Content<int64_t, int64_t>(store.snapshots[epoch], "count") ==
                    std::map<int64_t, int64_t>{{0, static_cast<int64_t>(epoch) + 1}});
            }
          }
          records.Close();
          return worker.StepWhile([&] { return worker.HasDataflows(); });
        }));
  }
}

TEST_CASE("what NotifyAt asked for is done before its epoch closes, and may take several calls") {
  // A record asks for an epoch that is its value; the state counts the calls.
  for (const bool in_order : {true, false}) {
    CAPTURE(in_order);
    Store store;
    Collected<std::pair<Epoch, int64_t>> calls;
    CheckOk(
        Execute({.run = {.apply_in_epoch_order = in_order}}, [&](Worker& worker) -> absl::Status {
          InputHandle<Keyed> records;
          HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
            OperatorBuilder<Epoch> builder(scope, "count");
            auto& input = builder.AddInput(scope.Input(records), pact::Pipeline{});
            auto& output = builder.AddOutput<int64_t>();
            auto& count = builder.AddState<int64_t, int64_t>();
            auto& epochs = builder.OrderEpochs();
            builder.BuildWithoutCapabilities([&] {
              epochs.ForEach(input, [&](const CapabilityRef<>& time, Batch<Keyed>& batch) {
                for (const Keyed& record : batch) {
                  epochs.NotifyAt(time, static_cast<Epoch>(record.second));
                }
              });
              epochs.CloseEnded([&](const Capability<>& time) {
                const int64_t called = ++count.At(0);
                output.SessionAt(time).Give(called);
                return called % 2 == 0;
              });
            });
            builder.StreamOf(output) | CollectWithTime("calls", calls);
            store.Listen(scope);
          }));
          for (const int64_t until : {9, 7, 9}) records.Send(Keyed(0, until));
          records.AdvanceTo(3);
          records.Send(Keyed(0, 5));
          records.AdvanceTo(8);  // epochs 0 to 7 end at once
          for (int i = 0; i < 20; ++i) HEADWAY_RETURN_IF_ERROR(worker.Step());
          CHECK(calls.InOrder() ==
                std::vector<std::pair<Epoch, int64_t>>{{5, 1}, {5, 2}, {7, 3}, {7, 4}});
          records.Close();
          return worker.StepWhile([&] { return worker.HasDataflows(); });
        }));
    CHECK(calls.size() == 6);
    CHECK(store.closed == (in_order ? std::vector<Epoch>{0, 3, 5, 7, 9} : std::vector<Epoch>{}));
    if (!in_order) continue;
    for (const auto& [epoch, expected] : std::map<Epoch, int64_t>{{5, 2}, {7, 4}, {9, 6}}) {
      CHECK(Content<int64_t, int64_t>(store.snapshots[epoch], "count") ==
            std::map<int64_t, int64_t>{{0, expected}});
    }
  }
}

TEST_CASE("a Notificator gets a later epoch that ends at once with the one that asked for it") {
  Collected<std::pair<Epoch, int64_t>> calls;
  CheckOk(Execute({.run = InOrder()}, [&](Worker& worker) -> absl::Status {
    InputHandle<Keyed> records;
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      OperatorBuilder<Epoch> builder(scope, "count");
      auto& input = builder.AddInput(scope.Input(records), pact::Pipeline{});
      auto& output = builder.AddOutput<int64_t>();
      builder.AddState<int64_t, int64_t>();
      auto& epochs = builder.OrderEpochs();
      builder.BuildWithoutCapabilities([&, notificator = Notificator<>()]() mutable {
        epochs.ForEach(input, [&](const CapabilityRef<>& time, Batch<Keyed>&) {
          notificator.NotifyAt(time.Delayed(7));
        });
        while (auto complete = notificator.Next(epochs.frontier())) {
          output.SessionAt(*complete).Give(1);
        }
        epochs.CloseEnded();
      });
      builder.StreamOf(output) | CollectWithTime("calls", calls);
    }));
    records.Send(Keyed(0, 0));
    records.Close();
    return worker.StepWhile([&] { return worker.HasDataflows(); });
  }));
  CHECK(calls.InOrder() == std::vector<std::pair<Epoch, int64_t>>{{7, 1}});
}

TEST_CASE("an operator in a nested scope has state, and its epochs are those outside") {
  std::vector<Epoch> closed;
  Collected<int64_t> seen;
  Dataflow flow("flow", [&](Scope<>& scope) {
    auto numbers = scope.Input("records", TestingSource(std::vector<int64_t>{1, 2, 3}));
    scope.Iterate("loop", [&](Scope<Product<Epoch, uint64_t>>& inner) {
      using Time = Product<Epoch, uint64_t>;
      auto [loop, again] = inner.Feedback<int64_t>("again", {.outer = 0, .inner = 1});
      Stream<int64_t, Time> all = numbers | Enter(inner) | Merge("all", again);
      OperatorBuilder<Time> builder(inner, "sum");
      auto& input = builder.AddInput(all, pact::Exchange{std::identity()});
      auto& output = builder.template AddOutput<int64_t>();
      auto& sums = builder.template AddState<int64_t, int64_t>();
      auto& epochs = builder.OrderEpochs();
      builder.BuildWithoutCapabilities([&] {
        epochs.ForEach(input, [&](const CapabilityRef<Time>& time, Batch<int64_t>& batch) {
          auto session = output.SessionAt(time);
          for (int64_t x : batch) {
            sums.At(x) += x;
            seen.Add(x);
            if (x < 10) session.Give(x + 4);
          }
        });
        epochs.CloseEnded();
      });
      builder.StreamOf(output) | ConnectLoop(loop);
      EpochParticipant* state = scope.graph().parts().participants.back();
      CHECK_FALSE(state->ends().has_value());
      state->SetListener([&](EpochParticipant&, Epoch epoch) { closed.push_back(epoch); });
      return all | Leave(scope);
    });
  });
  RunOptions options = InOrder();
  options.epoch_config = RecordCountEpochConfig{.records_per_epoch = 1};
  CheckOk(RunMain(flow, options));
  CHECK(seen.Sorted() == std::vector<int64_t>{1, 2, 3, 5, 6, 7, 9, 10, 11, 13});
  CHECK(closed == std::vector<Epoch>{0, 1, 2});
}

TEST_CASE("state that nothing closes is an error of the build") {
  Dataflow flow("flow", [&](Scope<>& scope) {
    auto records = scope.Input("records", TestingSource(SomeRecords()));
    OperatorBuilder<Epoch> builder(scope, "step");
    auto& input = builder.AddInput(records, pact::Exchange{FirstOfPair()});
    builder.AddState<int64_t, int64_t>();
    builder.BuildWithoutCapabilities(
        [&] { input.ForEach([](const CapabilityRef<>&, Batch<Keyed>&) {}); });
  });
  CheckError(RunMain(flow, {}), absl::StatusCode::kInvalidArgument,
             {"step 'step'", "OrderEpochs", "CloseEnded"});
}

}  // namespace
}  // namespace headway
