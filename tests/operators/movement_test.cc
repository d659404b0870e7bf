// The steps that move records between workers.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/engine/run_helpers.h"
#include "tests/engine/thread_cluster.h"

namespace headway {
namespace {

// Yields 0, 1, 2, ... up to `count` on worker 0 only.
auto NumbersOfOneWorker(int64_t count) {
  std::vector<int64_t> numbers;
  for (int64_t i = 0; i < count; ++i) numbers.push_back(i);
  return TestingSource(std::move(numbers));
}

// Adds (worker, record).
template <class D>
auto CollectWithWorker(std::string step_id, Collected<std::pair<int, D>>& seen) {
  return InspectTime(std::move(step_id), [&seen](const auto& record, Epoch, int worker) {
    seen.Add({worker, D(record)});
  });
}

TEST_CASE("Redistribute loses and doubles nothing, and one hot worker gives work to all") {
  constexpr int64_t kEpochs = 64;
  constexpr int64_t kInEpoch = 10;
  for (const Shape shape : kShapes) {
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    Collected<std::pair<int, int64_t>> seen;
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", NumbersOfOneWorker(kEpochs * kInEpoch)) | Redistribute("spread") |
          CollectWithWorker("collect", seen);
    });
    CheckOk(RunInShape(flow, shape, {.epoch_config = RecordCountEpochConfig{kInEpoch}}));
    std::vector<int64_t> records;
    std::map<int, int64_t> shares;
    for (const auto& [worker, record] : seen.InOrder()) {
      records.push_back(record);
      ++shares[worker];
    }
    std::sort(records.begin(), records.end());
    REQUIRE(records.size() == kEpochs * kInEpoch);
    for (int64_t i = 0; i < kEpochs * kInEpoch; ++i) {
      CHECK(records[static_cast<size_t>(i)] == i);
    }
    // A batch has one epoch at most, so shares differ by 10 records at most.
    for (int worker = 0; worker < shape.total(); ++worker) {
      CAPTURE(worker);
      CHECK(shares[worker] >= kEpochs * kInEpoch / shape.total() - kInEpoch);
      CHECK(shares[worker] <= kEpochs * kInEpoch / shape.total() + kInEpoch);
    }
  }
}

TEST_CASE("Redistribute is fair where large and small batches alternate") {
  for (const int workers : {2, 4}) {
    Collected<std::pair<int, int64_t>> seen;
    CheckOk(Execute({.workers = workers}, [&](Worker& worker) -> absl::Status {
      InputHandle<int64_t> input;
      ProbeHandle<> probe;
      HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
        scope.Input(input) | Redistribute("spread") | CollectWithWorker("collect", seen) |
            Probe(probe);
      }));
      for (Epoch epoch = 0; epoch < 40; ++epoch) {
        if (worker.index() == 0) {
          for (int64_t i = 0; i < (epoch % 2 == 0 ? 100 : 1); ++i) input.Send(i);
        }
        input.AdvanceTo(epoch + 1);
        HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return probe.LessThan(input.time()); }));
      }
      return absl::OkStatus();
    }));
    std::map<int, int64_t> shares;
    for (const auto& [worker, record] : seen.InOrder()) ++shares[worker];
    CHECK(seen.size() == 2020);
    for (int worker = 0; worker < workers; ++worker) {
      CAPTURE(worker);
      CHECK(shares[worker] >= 2020 / workers - 100);
      CHECK(shares[worker] <= 2020 / workers + 100);
    }
  }
}

TEST_CASE("the workers of a Redistribute do not all begin with the same one") {
  Collected<std::pair<int, int64_t>> seen;
  Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("numbers", NumbersOfEachWorker(1)) | Redistribute("spread") |
        CollectWithWorker("collect", seen);
  });
  CheckOk(RunMain(flow, {.worker_count = 4}));
  // One record of each worker, to the next one.
  CHECK(seen.Sorted() ==
        std::vector<std::pair<int, int64_t>>{{0, 3000}, {1, 0}, {2, 1000}, {3, 2000}});
}

TEST_CASE("Broadcast gives every record to every worker, in its order") {
  for (const Shape shape : kShapes) {
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    Collected<std::pair<int, std::string>> seen;
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", NumbersOfEachWorker(20)) |
          Map("text", [](int64_t x) { return std::to_string(100'000 + x); }) | Broadcast("all") |
          CollectWithWorker("collect", seen);
    });
    CheckOk(RunInShape(flow, shape, {.epoch_config = RecordCountEpochConfig{3}}));
    // By the worker that saw them, and the one that they come from.
    std::map<std::pair<int, int>, std::vector<std::string>> texts;
    for (const auto& [worker, text] : seen.InOrder()) {
      texts[{worker, (std::stoi(text) - 100'000) / 1000}].push_back(text);
    }
    for (int worker = 0; worker < shape.total(); ++worker) {
      for (int from = 0; from < shape.total(); ++from) {
        std::vector<std::string> expected;
        for (int i = 0; i < 20; ++i) expected.push_back(std::to_string(100'000 + from * 1000 + i));
        CHECK(texts[{worker, from}] == expected);
      }
    }
  }
}

}  // namespace
}  // namespace headway
