// A cycle with a great many rounds in flight, of few records each, holds the memory of its records
// and not of as many whole blocks.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/engine/run_helpers.h"
#include "tests/engine/thread_cluster.h"
#include "tests/engine/worker_pair.h"
#include "tests/sanitizers.h"

namespace headway {

// A record that can only be moved.
struct OwnedNumber {
  std::unique_ptr<uint64_t> number;
};

template <>
struct Codec<OwnedNumber> {
  static void Encode(const OwnedNumber& record, Encoder& encoder) {
    Codec<uint64_t>::Encode(*record.number, encoder);
  }
  static bool Decode(Decoder& decoder, OwnedNumber* record) {
    record->number = std::make_unique<uint64_t>();
    return Codec<uint64_t>::Decode(decoder, record->number.get());
  }
};

namespace {

constexpr uint64_t kRounds = Repeated(3'000, 1'000);
constexpr uint64_t kTurns = 4;
constexpr int64_t kLimit = 1 << 20;
static_assert(int64_t{kRounds} * internal::kBlockBytes > 10 * kLimit);

// How a number is written as a record, and read again.
template <class D>
struct Form;
template <>
struct Form<uint64_t> {
  static uint64_t Write(uint64_t number) { return number; }
  static uint64_t Read(uint64_t record) { return record; }
};
template <>
struct Form<std::string> {
  static constexpr std::string_view kText = "a text that no string keeps inside of itself ";
  static std::string Write(uint64_t number) { return std::string(kText) + std::to_string(number); }
  static uint64_t Read(std::string_view record) {
    return std::stoull(std::string(record.substr(kText.size())));
  }
};
template <>
struct Form<std::vector<uint64_t>> {
  static std::vector<uint64_t> Write(uint64_t number) { return {number, number + 1}; }
  static uint64_t Read(const std::vector<uint64_t>& record) {
    CHECK(record.at(1) == record.at(0) + 1);
    return record.at(0);
  }
};
template <>
struct Form<OwnedNumber> {
  static OwnedNumber Write(uint64_t number) { return {std::make_unique<uint64_t>(number)}; }
  static uint64_t Read(const OwnedNumber& record) { return *record.number; }
};

struct CycleResult {
  absl::Status status;
  std::vector<uint64_t> left;   // records after kTurns turns
  int64_t bytes_in_flight = 0;  // when all rounds were in the cycle
};

// Sends the numbers 0 to kRounds - 1, each in an epoch of its own, before anything is taken. Each
// goes round the cycle kTurns times, and in each turn becomes `copies` records.
template <class D>
CycleResult RunCycle(int workers, int copies) {
  // A record is its number and, below, how many turns are left.
  constexpr uint64_t kBase = kTurns + 1;
  Collected<uint64_t> left;
  std::atomic<int64_t> bytes_in_flight{0};
  absl::Status status =
      Execute({.workers = workers, .run = {.max_bytes_in_flight = kLimit}},
              [&](Worker& worker) -> absl::Status {
                InputHandle<D> input;
                internal::Graph* graph = nullptr;
                HEADWAY_RETURN_IF_ERROR(worker.Build("cycle", [&](Scope<>& scope) {
                  graph = &scope.graph();
                  // An epoch is not used by two rounds at once.
                  auto [loop, again] = scope.Feedback<D>("loop", kRounds);
                  auto turned =
                      scope.Input(input) | Merge("merge", again) |
                      Exchange("spread", [](const auto& record) { return Form<D>::Read(record); });
                  turned | FlatMap("turn", [&left, copies](auto record) {
                    const uint64_t number = Form<D>::Read(record);
                    std::vector<D> records;
                    if (number % kBase == 0) {
                      left.Add(number / kBase);
                    } else {
                      for (int i = 0; i < copies; ++i)
                        records.push_back(Form<D>::Write(number - 1));
                    }
                    return records;
                  }) | ConnectLoop(loop);
                }));
                if (worker.index() != 0) return absl::OkStatus();
                for (uint64_t i = 0; i < kRounds; ++i) {
                  input.Send(Form<D>::Write(i * kBase + kTurns));
                  input.AdvanceTo(i + 1);
                }
                bytes_in_flight = graph->worker().attempt().flow_control().InFlight();
                return absl::OkStatus();
              });
  return {status, left.Sorted(), bytes_in_flight};
}

template <class D>
void CheckGoesOn() {
  std::vector<uint64_t> numbers;
  for (uint64_t i = 0; i < kRounds; ++i) numbers.push_back(i);
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    const CycleResult result = RunCycle<D>(workers, 1);
    CheckOk(result.status);
    CHECK(result.left == numbers);
    // Whole blocks as long as there is room, then a few cache lines for each round. Other workers
    // may have taken some already.
    if (workers == 1) CHECK(result.bytes_in_flight > kLimit / 2);
    CHECK(result.bytes_in_flight < kLimit + int64_t{kRounds} * 256);
  }
}

TEST_CASE(
    "a cycle with thousands of rounds of one number in flight goes on under a limit of 1 MiB") {
  CheckGoesOn<uint64_t>();
}

TEST_CASE("so does one of strings, of records with memory of their own, and of moved ones") {
  CheckGoesOn<std::string>();
  CheckGoesOn<std::vector<uint64_t>>();
  CheckGoesOn<OwnedNumber>();
}

TEST_CASE("one that makes ten records of each ends with ResourceExhausted all the same") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    CheckError(RunCycle<uint64_t>(workers, 10).status, absl::StatusCode::kResourceExhausted,
               {"amplifies", "max_bytes_in_flight"});
    CheckError(RunCycle<std::string>(workers, 10).status, absl::StatusCode::kResourceExhausted,
               {"amplifies", "max_bytes_in_flight"});
  }
}

// Yields each of the numbers to one worker.
template <class D>
auto EachNumberOnce(uint64_t count) {
  return ManualSource([count](int worker, int workers, std::optional<uint64_t>,
                              ManualOutput<D>& out) -> Generator<SourceYield<uint64_t>> {
    for (auto i = static_cast<uint64_t>(worker); i < count; i += static_cast<uint64_t>(workers)) {
      out.Emit(Form<D>::Write(i));
      co_yield i;
    }
  });
}

// The pool never has room, so all that goes round is as small as it can be.
template <class D>
void CheckArrivesInShapes() {
  constexpr uint64_t kCount = Repeated(300, 150);
  // Every number is turned down to zero.
  constexpr uint64_t kStep = 60;
  std::vector<uint64_t> expected;
  for (uint64_t i = 0; i < kCount; ++i) expected.push_back(i % kStep);
  std::sort(expected.begin(), expected.end());
  for (const Shape shape : kShapes) {
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    Collected<uint64_t> left;
    const Dataflow flow("cycle", [&](Scope<>& scope) {
      auto [loop, again] = scope.Feedback<D>("loop", 1);
      scope.Input("numbers", EachNumberOnce<D>(kCount)) | Merge("merge", again) |
          Exchange("spread", [](const auto& record) { return Form<D>::Read(record); }) |
          FlatMap("turn",
                  [&left](auto record) {
                    const uint64_t number = Form<D>::Read(record);
                    std::vector<D> records;
                    if (number < kStep) {
                      left.Add(number);
                    } else {
                      records.push_back(Form<D>::Write(number - kStep));
                    }
                    return records;
                  }) |
          ConnectLoop(loop);
    });
    CheckOk(
        RunInShape(flow, shape, {.epoch_config = TestingEpochConfig{}, .max_bytes_in_flight = 1}));
    CHECK(left.Sorted() == expected);
  }
}

TEST_CASE("small batches of every kind of record arrive, in other processes too") {
  CheckArrivesInShapes<uint64_t>();
  CheckArrivesInShapes<std::string>();
  CheckArrivesInShapes<std::vector<uint64_t>>();
  CheckArrivesInShapes<OwnedNumber>();
}

// Turns each number down to zero, and returns the numbers of all turns.
Stream<uint64_t> Countdown(Scope<>& scope, const Stream<uint64_t>& numbers) {
  auto [loop, again] = scope.Feedback<uint64_t>("loop", 1);
  const Stream<uint64_t> all = numbers | Merge("all", again);
  all | Filter("more", [](uint64_t x) { return x > 0; }) |
      Map("turn", [](uint64_t x) { return x - 1; }) | ConnectLoop(loop);
  return all;
}

TEST_CASE("a cycle of one record does not amplify, whatever other dataflows have in flight") {
  constexpr size_t kOthers = 20;
  WorkerPair pair({.max_bytes_in_flight = 1});
  InputHandle<uint64_t> to_cycle[2];
  std::vector<InputHandle<uint64_t>> to_others[2];
  uint64_t count = 0;
  Collected<uint64_t> turned;
  for (Worker* worker : {&pair.first, &pair.second}) {
    const auto index = static_cast<size_t>(worker->index());
    CheckOk(worker->Build("cycle", [&](Scope<>& scope) {
      Countdown(scope, scope.Input(to_cycle[index])) | CollectInto("turned", turned);
    }));
    to_others[index].resize(kOthers);
    for (size_t i = 0; i < kOthers; ++i) {
      CheckOk(worker->Build("other " + std::to_string(i), [&](Scope<>& scope) {
        scope.Input(to_others[index][i]) | TakeOn(1, count);
      }));
    }
  }
  for (InputHandle<uint64_t>& other : to_others[0]) CHECK(UseUpCredit(other) > 0);
  CHECK(pair.attempt.flow_control().InFlight() >= int64_t{kOthers} * internal::kExclusiveBytes);
  to_cycle[0].Send(5);
  to_cycle[0].Flush();
  for (int i = 0; i < 10; ++i) CheckOk(pair.first.Step());
  CHECK(turned.Sorted() == std::vector<uint64_t>{0, 1, 2, 3, 4, 5});
}

TEST_CASE("a cycle waits for a slower step that its records leave to, and takes a bounded memory") {
  constexpr uint64_t kTurnsOfOne = 20'000;
  WorkerPair pair({.max_bytes_in_flight = 1});
  InputHandle<uint64_t> inputs[2];
  uint64_t count = 0;
  for (Worker* worker : {&pair.first, &pair.second}) {
    CheckOk(worker->Build("cycle", [&](Scope<>& scope) {
      Countdown(scope, scope.Input(inputs[worker->index()])) | TakeOn(1, count);
    }));
  }
  inputs[0].Send(kTurnsOfOne);
  for (InputHandle<uint64_t>& input : inputs) input.Close();
  // The second worker takes nothing meanwhile.
  do {
    CheckOk(pair.first.Step());
  } while (pair.first.did_work());
  CHECK(pair.attempt.flow_control().InFlight() < 2 * internal::kExclusiveBytes);
  for (uint64_t i = 0; i < kTurnsOfOne && pair.first.HasDataflows(); ++i) {
    CheckOk(pair.second.Step());
    CheckOk(pair.first.Step());
  }
  CHECK_FALSE(pair.first.HasDataflows());
  CHECK(count == kTurnsOfOne + 1);
}

}  // namespace
}  // namespace headway
