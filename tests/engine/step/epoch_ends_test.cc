// The ends of epochs: when a node learns of one, and the contents of its snapshots then.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/engine/run_helpers.h"
#include "tests/engine/snapshot_store.h"

namespace headway {
namespace {

using Numbers = std::vector<std::pair<int64_t, int64_t>>;

constexpr int64_t kEpochs = 40;

// NumbersOfEachWorker emits a number in the epoch of its last three digits.
Epoch EpochOfNumber(int64_t number) { return static_cast<Epoch>(number % 1000); }

// A sink that counts the records of each epoch.
struct CountingSink {
  struct Writer {
    absl::Status Write(int64_t) { return absl::OkStatus(); }
    absl::Status Flush() { return absl::OkStatus(); }
  };
  absl::StatusOr<Writer> Open(const SinkContext&) { return Writer(); }
};

auto CountEach() {
  return StatefulMap<int64_t>("count", [](std::optional<int64_t>& count, int64_t) {
    count = count.value_or(0) + 1;
    return *count;
  });
}

// A source, a stateful step, one that emits at the end, and a sink.
void BuildFlow(Scope<>& scope, Collected<std::pair<int64_t, int64_t>>& counts,
               Collected<std::pair<int64_t, int64_t>>& totals) {
  Stream<int64_t> numbers = scope.Input("numbers", NumbersOfEachWorker(kEpochs));
  numbers | Output("out", CountingSink());
  numbers | KeyOn("key", [](int64_t x) { return x % 7; }) | CountEach() |
      CollectInto("counts", counts);
  numbers | CountFinal("total", [](int64_t x) { return x % 5; }) | CollectInto("totals", totals);
}

RunOptions InOrder(int workers, int max_epochs_in_flight = 2) {
  return {.worker_count = workers,
          .epoch_config = TestingEpochConfig{},
          .max_epochs_in_flight = max_epochs_in_flight,
          .apply_in_epoch_order = true};
}

TEST_CASE("a node closes each epoch once, in order") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    SnapshotStore store;
    Collected<std::pair<int64_t, int64_t>> counts;
    Collected<std::pair<int64_t, int64_t>> totals;
    Dataflow flow("flow", [&](Scope<>& scope) {
      BuildFlow(scope, counts, totals);
      store.Listen(scope);
    });
    CheckOk(RunMain(flow, InOrder(workers)));
    std::map<std::pair<int, std::string>, Epoch> next;
    std::map<std::string, int> closed;
    for (const SnapshotStore::Closed& each : store.closed()) {
      Epoch& earliest = next[{each.worker, each.step_id}];
      CHECK(each.epoch >= earliest);
      earliest = each.epoch + 1;
      ++closed[each.step_id];
    }
    CHECK(closed.size() == 4);
    CHECK(closed["numbers"] >= workers * kEpochs);
    CHECK(closed["out"] == workers * kEpochs);
    CHECK(closed["count"] >= kEpochs);
    CHECK(closed["total"] >= kEpochs);
  }
}

TEST_CASE("when an epoch closes, its records are applied, and none of a later epoch is") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    Dataflow flow("flow", [&](Scope<>& scope) {
      // The records of each epoch that a worker has applied.
      auto applied = std::make_shared<std::vector<int64_t>>(kEpochs);
      scope.Input("numbers", NumbersOfEachWorker(kEpochs)) |
          KeyOn("key", [](int64_t x) { return x; }) |
          StatefulMap<int64_t>("apply", [applied](std::optional<int64_t>&, int64_t x) {
            ++(*applied)[EpochOfNumber(x)];
            return x;
          });
      EpochParticipant* apply = scope.graph().parts().participants.back();
      REQUIRE(apply->step_id() == "apply");
      apply->SetListener(
          [applied, index = scope.worker_index(), workers](EpochParticipant&, Epoch closed) {
            for (Epoch epoch = 0; epoch < static_cast<Epoch>(kEpochs); ++epoch) {
              int64_t expected = 0;
              for (int64_t from = 0; from < workers && epoch <= closed; ++from) {
                const int64_t number = from * 1000 + static_cast<int64_t>(epoch);
                if (RouteHash(StableHash(number), workers) == index) ++expected;
              }
              CHECK((*applied)[epoch] == expected);
            }
          });
    });
    CheckOk(RunMain(flow, InOrder(workers)));
  }
}

TEST_CASE("no epoch is complete before all nodes have closed it") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    std::atomic<int64_t> complete{-1};
    Collected<std::pair<int64_t, int64_t>> counts;
    Dataflow flow("flow", [&](Scope<>& scope) {
      // With one epoch in flight, a source emits in an epoch when the one before is complete.
      auto numbers = ManualSource(
          [&complete](int, int, std::optional<int64_t>) -> Generator<std::pair<int64_t, int64_t>> {
            for (int64_t i = 0; i < kEpochs; ++i) {
              int64_t before = complete;
              while (before < i - 1 && !complete.compare_exchange_weak(before, i - 1)) {
              }
              co_yield {i, i};
            }
          });
      Stream<int64_t> stream = scope.Input("numbers", std::move(numbers));
      stream | Output("out", CountingSink());
      stream | KeyOn("key", [](int64_t x) { return x % 7; }) | CountEach() |
          CollectInto("counts", counts);
      for (EpochParticipant* participant : scope.graph().parts().participants) {
        participant->SetListener([&complete](EpochParticipant&, Epoch epoch) {
          CHECK(static_cast<int64_t>(epoch) > complete);
        });
      }
    });
    CheckOk(RunMain(flow, InOrder(workers, 1)));
  }
}

TEST_CASE("snapshots of an epoch, restored into a new run, continue after it") {
  for (int workers : kWorkerCounts) {
    SnapshotStore store;
    Collected<std::pair<int64_t, int64_t>> all_counts;
    Collected<std::pair<int64_t, int64_t>> all_totals;
    Dataflow flow("flow", [&](Scope<>& scope) {
      BuildFlow(scope, all_counts, all_totals);
      store.Listen(scope);
    });
    CheckOk(RunMain(flow, InOrder(workers)));
    for (Epoch last : {Epoch{0}, Epoch{kEpochs / 2}, Epoch{kEpochs - 2}}) {
      CAPTURE(workers);
      CAPTURE(last);
      Collected<std::pair<int64_t, int64_t>> counts;
      Collected<std::pair<int64_t, int64_t>> totals;
      Dataflow resumed("flow", [&](Scope<>& scope) {
        BuildFlow(scope, counts, totals);
        store.RestoreInto(scope);
      });
      RunOptions options = InOrder(workers);
      options.first_epoch = last + 1;
      CheckOk(RunMain(resumed, options));
      // In each epoch every worker emits a record, and each record raises the count of its key.
      Numbers expected = all_counts.Sorted();
      std::map<int64_t, int64_t> before;
      for (int64_t worker = 0; worker < workers; ++worker) {
        for (int64_t i = 0; i <= static_cast<int64_t>(last); ++i) ++before[(worker * 1000 + i) % 7];
      }
      std::erase_if(expected, [&](const auto& each) { return each.second <= before[each.first]; });
      CHECK(counts.Sorted() == expected);
      CHECK(totals.Sorted() == all_totals.Sorted());
    }
  }
}

TEST_CASE("an epoch whose batches wait is not closed, however many of the next one have come") {
  CheckOk(Execute({.run = {.apply_in_epoch_order = true}}, [&](Worker& worker) -> absl::Status {
    InputHandle<int64_t> input;
    int64_t applied = 0;
    std::map<Epoch, int64_t> applied_at;
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      scope.Input(input) | KeyOn("key", [](int64_t x) { return x; }) |
          StatefulMap<int64_t>("apply", [&](std::optional<int64_t>&, int64_t x) {
            ++applied;
            return x;
          });
      scope.graph().parts().participants.back()->SetListener(
          [&](EpochParticipant&, Epoch epoch) { applied_at[epoch] = applied; });
    }));
    // Each batch has one record; a node takes a few batches at a time.
    for (const Epoch epoch : {0, 1}) {
      input.AdvanceTo(epoch);
      for (int64_t i = 0; i < 2000; ++i) {
        input.Send(i);
        input.Flush();
      }
    }
    input.Close();
    HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return worker.HasDataflows(); }));
    CHECK(applied_at == std::map<Epoch, int64_t>{{0, 2000}, {1, 4000}});
    return absl::OkStatus();
  }));
}

TEST_CASE("a snapshot that is not of this program is refused") {
  const std::string text = "state";
  const std::span<const std::byte> bytes = std::as_bytes(std::span(text));
  CheckOk(Execute({}, [&](Worker& worker) {
    return worker.Build("flow", [&](Scope<>& scope) {
      scope.Input("numbers", NumbersOfEachWorker(1)) | Output("out", CountingSink());
      EpochParticipant* out = scope.graph().parts().participants.back();
      REQUIRE(out->step_id() == "out");
      CheckError(out->Restore({bytes, bytes}), absl::StatusCode::kInvalidArgument,
                 {"which is a sink and has none"});
    });
  }));
}

}  // namespace
}  // namespace headway
