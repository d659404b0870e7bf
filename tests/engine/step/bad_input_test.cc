// A wrong graph, a wrong option or a wrong call ends in one error that names the step and the
// worker, on any number of workers, and nothing hangs.
#include <doctest/doctest.h>

#include <atomic>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "tests/engine/run_helpers.h"

namespace headway {
namespace {

using absl::StatusCode;
using Round = Product<Epoch, uint64_t>;
using Inner = Product<Round, uint64_t>;

int64_t Same(int64_t x) { return x; }

// Builds `build` on a run of each number of workers, and checks how it fails.
void CheckBuildFails(const std::function<void(Scope<>&)>& build, StatusCode code,
                     std::initializer_list<std::string> parts) {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    absl::Status status = RunMain(Dataflow("flow", build), {.worker_count = workers});
    CheckError(status, code, parts);
    CheckError(status, code, {"on worker "});
  }
}

TEST_CASE("a step id that is used twice") {
  CheckBuildFails(
      [](Scope<>& scope) {
        scope.Input("numbers", NumbersOfEachWorker(10)) | Map("same", Same) | Map("same", Same);
      },
      StatusCode::kInvalidArgument, {"step 'same'", "used twice"});
  CheckBuildFails(
      [](Scope<>& scope) {
        scope.Input("numbers", NumbersOfEachWorker(10));
        scope.Input("numbers", NumbersOfEachWorker(10)) | Exchange("spread");
      },
      StatusCode::kInvalidArgument, {"step 'numbers'", "used twice"});
}

TEST_CASE("the same id in different steps is no error") {
  for (int workers : kWorkerCounts) {
    Dataflow flow("flow", [](Scope<>& scope) {
      auto numbers = scope.Input("numbers", NumbersOfEachWorker(10));
      for (std::string part : {"a", "b"}) {
        Scope<>::Substeps substeps(scope, part);
        numbers | Map("same", Same);
      }
    });
    CheckOk(RunMain(flow, {.worker_count = workers}));
  }
}

TEST_CASE("an empty step id") {
  CheckBuildFails(
      [](Scope<>& scope) { scope.Input("numbers", NumbersOfEachWorker(10)) | Map("", Same); },
      StatusCode::kInvalidArgument, {"dataflow 'flow'", "a step needs an id"});
  CheckBuildFails(
      [](Scope<>& scope) { scope.Input("", NumbersOfEachWorker(10)) | Exchange("spread"); },
      StatusCode::kInvalidArgument, {"dataflow 'flow'", "a step needs an id"});
}

TEST_CASE("a stream of another scope as the second input") {
  auto with_stream_of_first = [](auto use) {
    return [use](Scope<>& scope) {
      auto numbers = scope.Input("numbers", NumbersOfEachWorker(10));
      std::optional<Stream<int64_t, Round>> other;
      scope.Iterate("first", [&](Scope<Round>& inner) { other = numbers | Enter(inner); });
      scope.Iterate("second",
                    [&](Scope<Round>& inner) { use(inner, numbers | Enter(inner), *other); });
    };
  };
  CheckBuildFails(with_stream_of_first([](auto&, const auto& stream, const auto& other) {
                    stream | Merge("bad", other);
                  }),
                  StatusCode::kInvalidArgument, {"step 'second.bad'", "different scopes", "Enter"});
  CheckBuildFails(with_stream_of_first([](auto&, const auto& stream, const auto& other) {
                    stream | Binary<int64_t>(
                                 "bad", other, pact::Pipeline{}, pact::Pipeline{},
                                 [](Capability<Round>) { return [](auto&, auto&, auto&) {}; });
                  }),
                  StatusCode::kInvalidArgument, {"step 'second.bad'", "different scopes", "Enter"});
  CheckBuildFails(with_stream_of_first([](auto& inner, const auto&, const auto& other) {
                    auto [loop, again] = inner.template Feedback<int64_t>("bad", {0, 1});
                    other | ConnectLoop(loop);
                  }),
                  StatusCode::kInvalidArgument, {"step 'second.bad'", "different scopes", "Enter"});
}

TEST_CASE("a stream that enters or leaves a scope that is not its neighbour") {
  CheckBuildFails(
      [](Scope<>& scope) {
        auto numbers = scope.Input("numbers", NumbersOfEachWorker(10));
        std::optional<Stream<int64_t, Round>> other;
        scope.Iterate("first", [&](Scope<Round>& inner) { other = numbers | Enter(inner); });
        scope.Iterate("second", [&](Scope<Round>& second) {
          second.Iterate("third", [&](Scope<Inner>& third) { *other | Enter(third); });
        });
      },
      StatusCode::kInvalidArgument, {"Enter"});
  CheckBuildFails(
      [](Scope<>& scope) {
        auto numbers = scope.Input("numbers", NumbersOfEachWorker(10));
        Scope<Round>* other = nullptr;
        scope.Iterate("first", [&](Scope<Round>& inner) {
          other = &inner;
          numbers | Enter(inner);
        });
        scope.Iterate("second", [&](Scope<Round>& second) {
          second.Iterate("third", [&](Scope<Inner>& third) {
            numbers | Enter(second) | Enter(third) | Leave(*other);
          });
        });
      },
      StatusCode::kInvalidArgument, {"Leave"});
}

TEST_CASE("a stream of another dataflow") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    absl::Status status = Execute({.workers = workers}, [&](Worker& worker) -> absl::Status {
      InputHandle<int64_t> input1, input2;
      std::optional<Stream<int64_t>> other;
      HEADWAY_RETURN_IF_ERROR(
          worker.Build("first", [&](Scope<>& scope) { other = scope.Input(input1); }));
      return worker.Build("second",
                          [&](Scope<>& scope) { scope.Input(input2) | Merge("bad", *other); });
    });
    CheckError(status, StatusCode::kInvalidArgument, {"step 'bad'", "on worker ", "different"});
  }
}

TEST_CASE("a cycle that does not advance time") {
  CheckBuildFails(
      [](Scope<>& scope) {
        auto [loop, again] = scope.Feedback<int64_t>("loop", 0);
        scope.Input("numbers", NumbersOfEachWorker(10)) | Merge("merge", again) | ConnectLoop(loop);
      },
      StatusCode::kInvalidArgument, {"the cycle 'loop'", "step 'merge'"});
  CheckBuildFails(
      [](Scope<>& scope) {
        auto numbers = scope.Input("numbers", NumbersOfEachWorker(10));
        scope.Iterate("iterate", [&](Scope<Round>& inner) {
          auto [loop, again] = inner.Feedback<int64_t>("loop", {0, 0});
          numbers | Enter(inner) | Merge("merge", again) | Exchange("spread") | ConnectLoop(loop);
        });
      },
      StatusCode::kInvalidArgument, {"iterate.", "cycle"});
}

TEST_CASE("a cycle through a nested scope that advances only inside of it") {
  CheckBuildFails(
      [](Scope<>& scope) {
        auto [loop, again] = scope.Feedback<int64_t>("loop", 0);
        auto numbers = scope.Input("numbers", NumbersOfEachWorker(10)) | Merge("merge", again);
        auto left = scope.Iterate("iterate", [&](Scope<Round>& inner) {
          auto [inner_loop, inner_again] = inner.Feedback<int64_t>("loop", {0, 1});
          auto both = numbers | Enter(inner) | Merge("merge", inner_again);
          both | ConnectLoop(inner_loop);
          return both | Leave(scope);
        });
        left | ConnectLoop(loop);
      },
      StatusCode::kInvalidArgument, {"cycle"});
}

TEST_CASE("a cycle that is closed twice") {
  CheckBuildFails(
      [](Scope<>& scope) {
        auto numbers = scope.Input("numbers", NumbersOfEachWorker(10));
        auto [loop, again] = scope.Feedback<int64_t>("loop", 1);
        numbers | ConnectLoop(loop);
        numbers | ConnectLoop(loop);
      },
      StatusCode::kInvalidArgument, {"step 'loop'", "twice"});
}

TEST_CASE("an input handle that feeds two inputs at once") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    absl::Status status = Execute({.workers = workers}, [&](Worker& worker) -> absl::Status {
      InputHandle<int64_t> input;
      return worker.Build(
          "flow", [&](Scope<>& scope) { scope.Input(input) | Merge("merge", scope.Input(input)); });
    });
    CheckError(status, StatusCode::kFailedPrecondition,
               {"step 'InputHandle-", "on worker ", "handle"});
  }
}

TEST_CASE("a number of workers that is not positive, and other impossible options") {
  Dataflow flow("flow", [](Scope<>&) { FAIL("must not be built"); });
  for (int workers : {0, -1, -1000, 1'000'000}) {
    CAPTURE(workers);
    CheckError(RunMain(flow, {.worker_count = workers}), StatusCode::kInvalidArgument,
               {std::to_string(workers), "workers"});
    CheckError(Execute({.workers = workers}, [](Worker&) { return absl::OkStatus(); }),
               StatusCode::kInvalidArgument, {std::to_string(workers), "workers"});
  }
  CheckError(RunMain(flow, {.max_epochs_in_flight = 0}), StatusCode::kInvalidArgument,
             {"max_epochs_in_flight"});
  CheckError(RunMain(flow, {.max_bytes_in_flight = 0}), StatusCode::kInvalidArgument,
             {"max_bytes_in_flight"});
  CheckError(RunMain(flow, {.epoch_config = PeriodicEpochConfig{absl::ZeroDuration()}}),
             StatusCode::kInvalidArgument, {"epoch_length"});
  CheckError(RunMain(flow, {.first_epoch = std::numeric_limits<Epoch>::max()}),
             StatusCode::kInvalidArgument, {"first_epoch"});
  for (const ClusterConfig& cluster : {ClusterConfig{.connect_timeout = absl::ZeroDuration()},
                                       ClusterConfig{.connect_timeout = -absl::InfiniteDuration()},
                                       ClusterConfig{.peer_timeout = -absl::Seconds(1)}}) {
    CheckError(RunMain(flow, {.cluster = cluster}), StatusCode::kInvalidArgument,
               {"connect_timeout and peer_timeout must be positive"});
  }
  CheckError(RunMain(flow, {.cluster = {.max_frame_bytes = 1}}), StatusCode::kInvalidArgument,
             {"max_frame_bytes", "65536"});
}

TEST_CASE("an input that is advanced backwards, and what comes after it has no effect") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    std::atomic<int64_t> mapped{0};
    absl::Status status = Execute({.workers = workers}, [&](Worker& worker) -> absl::Status {
      InputHandle<int64_t> input;
      HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
        scope.Input(input) | Map("map", [&](int64_t x) {
          ++mapped;
          return x;
        });
      }));
      if (worker.index() != 0) return worker.StepWhile([] { return true; });
      input.AdvanceTo(5);
      CHECK(worker.Step().ok());
      input.AdvanceTo(4);
      CHECK(input.time() == 5);
      for (int64_t i = 0; i < 100'000; ++i) input.Send(i);
      input.AdvanceTo(6);
      input.Flush();
      CHECK(input.time() == 5);
      absl::Status failed = worker.Step();
      CheckError(failed, StatusCode::kFailedPrecondition,
                 {"step 'InputHandle-", OnWorker(0), "AdvanceTo(4)", "at 5"});
      CHECK(worker.StepWhile([] { return true; }) == failed);
      CHECK(worker.StepOrPark() == failed);
      CHECK(worker.Build("more", [](Scope<>&) { FAIL("must not be built"); }) == failed);
      CHECK(worker.Cancel("flow") == failed);
      input.Close();
      return absl::OkStatus();  // the failure remains
    });
    CheckError(status, StatusCode::kFailedPrecondition, {"AdvanceTo(4)", "at 5"});
    CHECK(mapped == 0);
  }
}

TEST_CASE("after a failure of another worker, sending has no effect") {
  std::atomic<int64_t> mapped{0};
  absl::Status status = Execute({.workers = 2}, [&](Worker& worker) -> absl::Status {
    InputHandle<int64_t> input;
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      scope.Input(input) | Map("map", [&](int64_t x) {
        ++mapped;
        return x;
      }) | Exchange("spread");
    }));
    if (worker.index() == 1) return absl::InternalError("worker 1 has failed");
    absl::Status failed = worker.StepWhile([] { return true; });
    for (int64_t i = 0; i < 100'000; ++i) input.Send(i);
    input.AdvanceTo(1);
    return failed;
  });
  CheckError(status, StatusCode::kInternal, {"worker 1 has failed"});
  CHECK(mapped == 0);
}

TEST_CASE("workers that build different graphs") {
  for (int workers : {2, 3, 8}) {
    CAPTURE(workers);
    for (int odd = 0; odd < workers; odd += workers - 1) {
      CAPTURE(odd);
      Dataflow other_id("flow", [&](Scope<>& scope) {
        scope.Input("numbers", NumbersOfEachWorker(10)) |
            Exchange(scope.worker_index() == odd ? "here" : "there");
      });
      CheckError(RunMain(other_id, {.worker_count = workers}), StatusCode::kInvalidArgument,
                 {"different dataflows", "on worker ", "step 'here'", "step 'there'"});
      Dataflow more("flow", [&](Scope<>& scope) {
        auto numbers = scope.Input("numbers", NumbersOfEachWorker(10));
        if (scope.worker_index() == odd) numbers | Map("more", Same);
      });
      CheckError(RunMain(more, {.worker_count = workers}), StatusCode::kInvalidArgument,
                 {"different dataflows", "step 'more'", "nothing"});
    }
  }
}

TEST_CASE(
    "workers that connect the same steps differently are told the first stream that differs") {
  Dataflow flow("flow", [](Scope<>& scope) {
    auto a = scope.Input("a", NumbersOfEachWorker(10));
    auto b = scope.Input("b", NumbersOfEachWorker(10));
    if (scope.worker_index() == 1) std::swap(a, b);
    a | Exchange("x");
    b | Exchange("y");
  });
  CheckError(RunMain(flow, {.worker_count = 2}), StatusCode::kInvalidArgument,
             {"different dataflows", "from output 0 of step 'a' to input 0 of step 'x'",
              "from output 0 of step 'b' to input 0 of step 'x'"});
}

TEST_CASE("workers that use another output of the same step are told the stream") {
  Dataflow flow("flow", [](Scope<>& scope) {
    auto numbers = scope.Input("numbers", NumbersOfEachWorker(10));
    OperatorBuilder<Epoch> builder(scope, "two");
    auto& in = builder.AddInput(numbers, pact::Pipeline{});
    auto& first = builder.AddOutput<int64_t>();
    auto& second = builder.AddOutput<int64_t>();
    builder.BuildWithoutCapabilities([&in] { in.ForEach([](const auto&, auto&) {}); });
    builder.StreamOf(scope.worker_index() == 0 ? first : second) | Exchange("spread");
  });
  CheckError(RunMain(flow, {.worker_count = 2}), StatusCode::kInvalidArgument,
             {"output 0 of step 'two'", "output 1 of step 'two'"});
}

TEST_CASE("workers that close another cycle, or advance its time by another summary") {
  auto loops = [](Scope<>& scope, Epoch by, bool swapped) {
    auto numbers = scope.Input("numbers", NumbersOfEachWorker(10));
    auto [first, first_again] = scope.Feedback<int64_t>("first", by);
    auto [second, second_again] = scope.Feedback<int64_t>("second", 1);
    auto none = numbers | Merge("all", first_again, second_again) |
                Filter("none", [](int64_t) { return false; });
    none | ConnectLoop(swapped ? second : first);
    none | ConnectLoop(swapped ? first : second);
  };
  Dataflow other_summary(
      "flow", [&](Scope<>& scope) { loops(scope, scope.worker_index() == 0 ? 2 : 1000, false); });
  CheckError(RunMain(other_summary, {.worker_count = 2}), StatusCode::kInvalidArgument,
             {"step 'first'", "advances time 0 to 1000", "advances time 0 to 2"});
  Dataflow other_cycle("flow", [&](Scope<>& scope) { loops(scope, 1, scope.worker_index() == 0); });
  CheckError(RunMain(other_cycle, {.worker_count = 2}), StatusCode::kInvalidArgument,
             {"to input 0 of step 'first'", "to input 0 of step 'second'"});
}

TEST_CASE("workers whose operators promise other times for an output") {
  Dataflow flow("flow", [](Scope<>& scope) {
    auto numbers = scope.Input("numbers", NumbersOfEachWorker(10));
    OperatorBuilder<Epoch> builder(scope, "own");
    auto& in = builder.AddInput(numbers, pact::Pipeline{});
    builder.AddOutput<int64_t>();
    if (scope.worker_index() == 0) builder.SetSummary(0, 0, std::nullopt);
    builder.BuildWithoutCapabilities([&in] { in.ForEach([](const auto&, auto&) {}); });
  });
  CheckError(RunMain(flow, {.worker_count = 2}), StatusCode::kInvalidArgument,
             {"step 'own' with no path from input 0 to output 0"});
}

TEST_CASE("workers that give a dataflow different names") {
  absl::Status status = Execute({.workers = 2}, [](Worker& worker) {
    return worker.Build(worker.index() == 0 ? "one" : "another", [](Scope<>& scope) {
      scope.Input("numbers", NumbersOfEachWorker(10)) | Exchange("spread");
    });
  });
  CheckError(status, StatusCode::kInvalidArgument, {"named 'one'", "named 'another'"});
}

TEST_CASE("workers that build graphs whose records are of different types") {
  Dataflow flow("flow", [](Scope<>& scope) {
    auto numbers = scope.Input("numbers", NumbersOfEachWorker(10));
    if (scope.worker_index() == 0) {
      numbers | Map("convert", [](int64_t x) { return static_cast<int>(x); }) | Exchange("spread");
    } else {
      numbers | Map("convert", [](int64_t x) { return std::to_string(x); }) | Exchange("spread");
    }
  });
  CheckError(RunMain(flow, {.worker_count = 2}), StatusCode::kInvalidArgument,
             {"different dataflows", "step 'spread'"});
}

TEST_CASE("a dataflow that one of its own operators cancels goes on, and the call says why") {
  absl::Status cancelled;
  int64_t seen = 0;
  absl::Status status = Execute({.workers = 1}, [&](Worker& worker) -> absl::Status {
    InputHandle<int64_t> input;
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      scope.Input(input) | Exchange("spread") | Inspect("cancel", [&](int64_t x) {
        cancelled = worker.Cancel("flow");
        seen += x;
      });
    }));
    input.Send(7);
    return absl::OkStatus();
  });
  CHECK_MESSAGE(status.ok(), status.ToString());
  CHECK(cancelled.code() == StatusCode::kFailedPrecondition);
  CHECK(seen == 7);
}

TEST_CASE("a log hook that throws does not hide the failure") {
  absl::Status status =
      Execute({.workers = 1, .run = {.log_hook = [](LogSeverity, std::string_view) { throw 1; }}},
              [&](Worker&) -> absl::Status { return absl::NotFoundError("no such thing"); });
  CheckError(status, StatusCode::kNotFound, {"no such thing"});
}

TEST_CASE("a worker that ends without building what the others have built") {
  for (int workers : {2, 3, 8}) {
    CAPTURE(workers);
    for (int odd : {0, workers - 1}) {
      CAPTURE(odd);
      absl::Status status = Execute({.workers = workers}, [&](Worker& worker) -> absl::Status {
        InputHandle<int64_t> input1, input2;
        HEADWAY_RETURN_IF_ERROR(worker.Build(
            "first", [&](Scope<>& scope) { scope.Input(input1) | Exchange("spread"); }));
        if (worker.index() == odd) return absl::OkStatus();
        return worker.Build("second",
                            [&](Scope<>& scope) { scope.Input(input2) | Exchange("spread"); });
      });
      CheckError(status, StatusCode::kInvalidArgument,
                 {"worker " + std::to_string(odd), "dataflow number 1"});
    }
  }
}

}  // namespace
}  // namespace headway
