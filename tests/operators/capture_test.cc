// Capture and Replay: a stream is replayed with the same records in the same epochs, also by
// another number of workers, and a damaged capture is an error.
#include "operators/io/capture.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "headway.h"
#include "tests/engine/run_helpers.h"
#include "tests/engine/store/memory_store.h"
#include "tests/engine/thread_cluster.h"
#include "tests/operators/stopped_runs.h"
#include "tests/temporary_directory.h"

namespace headway {
namespace {

using absl::StatusCode;

std::vector<int64_t> Numbers(int64_t count) {
  std::vector<int64_t> numbers;
  for (int64_t i = 0; i < count; ++i) numbers.push_back(i);
  return numbers;
}

template <class D>
using Timed = std::vector<std::pair<Epoch, D>>;

template <class D>
absl::Status ReplayInto(const std::shared_ptr<CaptureStore>& store,
                        Collected<std::pair<Epoch, D>>& replayed, Shape shape = {1, 1},
                        ReplayOptions options = {}) {
  const Dataflow flow("replay", [&](Scope<>& scope) {
    scope.Input("replay", Replay<D>(store, options)) | CollectWithTime("collect", replayed);
  });
  return RunInShape(flow, shape);
}

template <class D>
Timed<D> Replayed(const std::shared_ptr<CaptureStore>& store, Shape shape = {1, 1}) {
  Collected<std::pair<Epoch, D>> replayed;
  CheckOk(ReplayInto(store, replayed, shape));
  return replayed.Sorted();
}

// Captures some words on one worker, and returns the path of the file.
std::string CaptureWords(const std::string& directory) {
  const Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("words", TestingSource<std::string>({"alpha", "beta", "gamma", "delta"})) |
        Capture("capture", CaptureInDirectory(directory));
  });
  CheckOk(RunMain(flow, {.epoch_config = RecordCountEpochConfig{2}}));
  return directory + "/generation-0.epoch-0.worker-0-of-1.capture";
}

TEST_CASE("a captured stream is replayed in the same epochs by any number of workers") {
  for (const Shape shape : kShapes) {
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    TemporaryDirectory dir;
    const auto in_memory = CaptureInMemory();
    Collected<std::pair<Epoch, int64_t>> numbers;
    Collected<std::pair<Epoch, std::pair<std::string, int64_t>>> pairs;
    const Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", NumbersOfEachWorker(60)) | Exchange("exchange") |
          Capture("memory", in_memory) | CollectWithTime("numbers_seen", numbers) |
          KeyOn("key", [](int64_t x) { return std::to_string(x % 5); }) |
          Capture("directory", CaptureInDirectory(dir.path())) |
          CollectWithTime("pairs_seen", pairs);
    });
    CheckOk(RunInShape(flow, shape, {.epoch_config = RecordCountEpochConfig{7}}));
    REQUIRE(numbers.size() == 60 * static_cast<size_t>(shape.total()));
    for (const Shape other : {Shape{1, 1}, Shape{1, 3}, Shape{2, 2}}) {
      CAPTURE(other.processes);
      CAPTURE(other.workers);
      CHECK(Replayed<int64_t>(in_memory, other) == numbers.Sorted());
      CHECK(Replayed<std::pair<std::string, int64_t>>(CaptureInDirectory(dir.path()), other) ==
            pairs.Sorted());
    }
  }
}

TEST_CASE("records of a captured worker are replayed in their order") {
  const auto store = CaptureInMemory();
  const Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("numbers", TestingSource(Numbers(20'000))) | Capture("capture", store);
  });
  CheckOk(RunMain(flow, {.epoch_config = RecordCountEpochConfig{777}}));
  Collected<std::pair<Epoch, int64_t>> replayed;
  CheckOk(ReplayInto(store, replayed));
  Timed<int64_t> expected;
  for (int64_t x : Numbers(20'000)) expected.emplace_back(x / 777, x);
  CHECK(replayed.InOrder() == expected);
}

TEST_CASE("epochs without records are replayed") {
  const auto store = CaptureInMemory();
  CheckOk(Execute({}, [&](Worker& worker) -> absl::Status {
    InputHandle<std::string> input;
    HEADWAY_RETURN_IF_ERROR(worker.Build(
        "flow", [&](Scope<>& scope) { scope.Input(input) | Capture("capture", store); }));
    for (const Epoch epoch : {3, 4, 9}) {
      input.AdvanceTo(epoch);
      HEADWAY_RETURN_IF_ERROR(worker.Step());
    }
    input.Send("late");
    input.Close();
    return absl::OkStatus();
  }));
  std::vector<Epoch> frontiers;
  const Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("replay", Replay<std::string>(store)) |
        UnaryFrontier<std::string>("watch", pact::Pipeline{}, [&](Capability<>) {
          return [&](NodeInput<std::string>& in, NodeOutput<std::string>& out) {
            in.ForEach([&](const CapabilityRef<>& time, Batch<std::string>& batch) {
              out.SessionAt(time).GiveBatch(std::move(batch));
            });
            for (Epoch epoch : in.frontier().elements()) {
              if (frontiers.empty() || frontiers.back() != epoch) frontiers.push_back(epoch);
            }
          };
        });
  });
  CheckOk(RunMain(flow));
  // Without them the frontier would go from 0 to 9 at once.
  CHECK(std::ranges::any_of(frontiers, [](Epoch epoch) { return epoch == 3 || epoch == 4; }));
  CHECK(Replayed<std::string>(store) == Timed<std::string>{{9, "late"}});
}

TEST_CASE("a capture that is cut off anywhere is one error, or is replayed as far as it goes") {
  TemporaryDirectory dir;
  const std::string path = CaptureWords(dir.path());
  const auto store = CaptureInDirectory(dir.path());
  const Timed<std::string> all = Replayed<std::string>(store);
  REQUIRE(all.size() == 4);
  size_t longest = 0;
  for (auto length = std::filesystem::file_size(path); length-- > 0;) {
    CAPTURE(length);
    std::filesystem::resize_file(path, length);
    Collected<std::pair<Epoch, std::string>> replayed;
    CheckError(ReplayInto(store, replayed), StatusCode::kDataLoss,
               {"step 'replay'", path, "cut off"});
    Collected<std::pair<Epoch, std::string>> rest;
    const absl::Status status = ReplayInto(store, rest, {1, 1}, {.incomplete = true});
    if (length > 0 && length < 8) {
      CheckError(status, StatusCode::kDataLoss, {path, "is cut off in its head"});
      continue;
    }
    CheckOk(status);
    REQUIRE(rest.size() <= all.size());
    CHECK(rest.Sorted() ==
          Timed<std::string>(all.begin(), all.begin() + std::ssize(rest.Sorted())));
    longest = std::max(longest, rest.size());
  }
  CHECK(longest == all.size());  // only the end was missing
}

TEST_CASE("a capture with a byte that changed is one error that names the file") {
  TemporaryDirectory dir;
  const std::string path = CaptureWords(dir.path());
  const std::string good = dir.Read(std::filesystem::path(path).filename());
  for (size_t i = 0; i < good.size(); i += i < 64 ? 1 : 3) {
    CAPTURE(i);
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x40);
    dir.Write(std::filesystem::path(path).filename(), bad);
    Collected<std::pair<Epoch, std::string>> replayed;
    const absl::Status status = ReplayInto(CaptureInDirectory(dir.path()), replayed);
    INFO(status.ToString());
    CHECK((status.code() == StatusCode::kDataLoss ||
           status.code() == StatusCode::kFailedPrecondition));
    CHECK(std::string(status.message()).find(path) != std::string::npos);
  }
}

TEST_CASE("a capture is replayed with the type of its records only") {
  TemporaryDirectory dir;
  CaptureWords(dir.path());
  Collected<std::pair<Epoch, int64_t>> replayed;
  CheckError(ReplayInto(CaptureInDirectory(dir.path()), replayed), StatusCode::kFailedPrecondition,
             {"has records of type std::string, and is replayed with long"});
}

TEST_CASE("a place has one capture, whose parts are all there") {
  TemporaryDirectory dir;
  const std::string path = CaptureWords(dir.path());
  const auto store = CaptureInDirectory(dir.path());
  auto capture_again = [&](int workers) {
    const Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("words", TestingSource<std::string>({"again"})) | Capture("capture", store);
    });
    return RunMain(flow, {.worker_count = workers});
  };
  CheckError(capture_again(1), StatusCode::kFailedPrecondition,
             {"step 'capture'", path, "an earlier run has captured to this place"});
  CheckError(capture_again(2), StatusCode::kFailedPrecondition, {"step 'capture'", "another run"});
  CHECK(Replayed<std::string>(store).size() == 4);  // the refused captures have left no part

  Collected<std::pair<Epoch, std::string>> replayed;
  std::filesystem::rename(path, dir / "generation-0.epoch-0.worker-0-of-2.capture");
  std::filesystem::remove(dir / "generation-0.epoch-0.worker-1-of-2.capture");
  CheckError(ReplayInto(store, replayed), StatusCode::kDataLoss,
             {"has 1 parts of generation 0, whose run had 2 workers"});
  dir.Write("mine.capture", "");
  CheckError(ReplayInto(store, replayed), StatusCode::kFailedPrecondition,
             {"'mine'", "no name of a captured worker"});
  TemporaryDirectory empty;
  CheckError(ReplayInto(CaptureInDirectory(empty.path()), replayed), StatusCode::kNotFound,
             {"step 'replay'", empty.path(), "has no captured stream"});
  CheckError(ReplayInto(CaptureInDirectory(empty / "none"), replayed), StatusCode::kNotFound,
             {"step 'replay'", empty / "none"});
}

TEST_CASE("the captures of runs that were stopped or failed have each record once") {
  for (const bool fails : {false, true}) {
    CAPTURE(fails);
    TemporaryDirectory dir;
    const auto recovery = std::make_shared<internal::MemoryStore>();
    const auto captured = CaptureInDirectory(dir.path());
    int run = 0;
    for (const Shape shape : {Shape{1, 2}, Shape{2, 2}, Shape{1, 1}}) {
      RunOptions options{.epoch_config = RecordCountEpochConfig{5},
                         .recovery_config = RecoveryConfig{.store = recovery}};
      const bool is_last = ++run == 3;
      std::atomic<int> passed = 0;
      const Dataflow flow("flow", [&](Scope<>& scope) {
        scope.Input("numbers", TestingSource(Numbers(200))) |
            Inspect("stop",
                    [&](int64_t) {
                      if (++passed < 60 || is_last) return;
                      if (fails) throw std::runtime_error("killed");
                      options.stop.RequestStop();
                    }) |
            Exchange("exchange") | Capture("capture", captured);
      });
      const absl::Status status = RunInShape(flow, shape, options);
      CHECK(status.ok() == (is_last || !fails));
    }
    std::vector<int64_t> numbers;
    for (const auto& [epoch, number] : Replayed<int64_t>(captured, {1, 3})) {
      numbers.push_back(number);
    }
    std::sort(numbers.begin(), numbers.end());
    CHECK(numbers == Numbers(200));
  }
}

TEST_CASE("the capture of a run that was stopped is replayed") {
  for (const Shape shape : {Shape{1, 1}, Shape{1, 3}, Shape{2, 2}}) {
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    TemporaryDirectory dir;
    const auto store = CaptureInDirectory(dir.path());
    RunOptions options{.epoch_config = RecordCountEpochConfig{5}};
    std::atomic<int> passed = 0;
    Collected<std::pair<Epoch, int64_t>> captured;
    const Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", TestingSource(Numbers(100'000))) |
          Inspect("stop",
                  [&](int64_t) {
                    if (++passed == 60) options.stop.RequestStop();
                  }) |
          Exchange("exchange") | Capture("capture", store) | CollectWithTime("collect", captured);
    });
    CheckOk(RunInShape(flow, shape, options));
    CHECK(passed < 100'000);
    CHECK(Replayed<int64_t>(store) == captured.Sorted());
  }
}

TEST_CASE("the frontier of a stop in the capture of an earlier version is ignored") {
  const auto store = CaptureInMemory();
  {
    auto writer = internal::CaptureWriter::Create(*store, {}, internal::TypeName<int64_t>());
    REQUIRE(writer.ok());
    Encoder records;
    Codec<int64_t>::Encode(7, records);
    CheckOk((*writer)->AddBatch(0, 1, records.bytes()));
    (*writer)->AddFrontier(kStopEpoch);
  }
  CHECK(Replayed<int64_t>(store) == Timed<int64_t>{{0, 7}});
}

TEST_CASE("a replay that is stopped in the middle is resumed by another number of workers") {
  const auto store = CaptureInMemory();
  const Dataflow capture("capture", [&](Scope<>& scope) {
    scope.Input("numbers", NumbersOfEachWorker(100)) | Capture("capture", store);
  });
  CheckOk(RunMain(capture, {.worker_count = 3, .epoch_config = RecordCountEpochConfig{9}}));
  Collected<int64_t> replayed;
  StoppedRuns runs;
  const Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("replay", Replay<int64_t>(store)) | runs.StopHere("stop") |
        CollectInto("collect", replayed);
  });
  const std::vector<int> passed = runs.Run(flow, 70, {{1, 1}, {1, 2}, {2, 2}, {1, 3}});
  CHECK(passed[0] < 300);
  std::vector<int64_t> expected;
  for (int64_t worker = 0; worker < 3; ++worker) {
    for (int64_t x : Numbers(100)) expected.push_back(worker * 1000 + x);
  }
  CHECK(replayed.Sorted() == expected);
}

}  // namespace
}  // namespace headway
