// Records that a host sends to an UnorderedInput, out of the order of their times.
#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/comm/test_seed.h"
#include "tests/engine/run_helpers.h"

namespace headway {
namespace {

using Seen = Collected<std::pair<Epoch, int64_t>>;

TEST_CASE("an unordered input sends at any time that it has not given up, in any order") {
  const uint64_t seed = internal::TestSeed("times of an unordered input");
  for (int workers : kWorkerCounts) {
    CAPTURE(seed);
    CAPTURE(workers);
    constexpr Epoch kLast = 50;
    constexpr int kPerStep = 20;
    Seen seen;
    std::atomic<size_t> sent{0};
    CheckOk(Execute({.workers = workers}, [&](Worker& worker) -> absl::Status {
      std::mt19937_64 random(seed + static_cast<uint64_t>(worker.index()));
      UnorderedInput<int64_t> input;
      ProbeHandle<> probe;
      HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
        scope.Input("events", input) | Exchange("spread") |
            CollectWithTime<int64_t, Epoch>("collect", seen) | Probe(probe);
      }));
      while (input.time() < kLast) {
        for (int i = 0; i < kPerStep; ++i) {
          const Epoch time = input.time() + random() % 30;
          CheckOk(input.Send(time, static_cast<int64_t>(time)));
          ++sent;
        }
        CheckOk(input.AdvanceTo(input.time() + random() % 3));
        HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return probe.LessThan(input.time()); }));
        CHECK_FALSE(probe.LessThan(input.time()));
      }
      return absl::OkStatus();
    }));
    CHECK(seen.size() == sent);
    for (const auto& [epoch, record] : seen.InOrder()) {
      CHECK(epoch == static_cast<Epoch>(record));
    }
  }
}

TEST_CASE("a function of the dataflow may send and advance while waiting records are sent") {
  Seen seen;
  CheckOk(Execute({}, [&](Worker& worker) -> absl::Status {
    UnorderedInput<int64_t> input;
    ProbeHandle<> probe;
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      scope.Input("events", input) |
          Map("answer",
              [&input](int64_t x) {
                if (x == 0) {
                  CheckOk(input.Send(5, 5));
                  CheckOk(input.AdvanceTo(10));
                }
                return x;
              }) |
          CollectWithTime<int64_t, Epoch>("collect", seen) | Probe(probe);
    }));
    CheckOk(input.Send(0, 0));
    CheckOk(input.Send(1, 1));
    return worker.StepWhile([&] { return probe.LessThan(10); });
  }));
  CHECK(seen.size() == 3);
  for (const auto& [epoch, record] : seen.InOrder()) CHECK(epoch == static_cast<Epoch>(record));
}

TEST_CASE("a record at a later time does not wait for the times before it") {
  Seen seen;
  CheckOk(Execute({}, [&](Worker& worker) -> absl::Status {
    UnorderedInput<int64_t> input;
    ProbeHandle<> probe;
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      scope.Input("events", input) | CollectWithTime<int64_t, Epoch>("collect", seen) |
          Probe(probe);
    }));
    CheckOk(input.Send(9, 9));
    HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return seen.size() == 0; }));
    CHECK(probe.LessEqual(0));  // nothing is complete
    CheckOk(input.Send(3, 3));
    CheckOk(input.AdvanceTo(5));
    HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return probe.LessThan(5); }));
    CHECK(seen.InOrder() == std::vector<std::pair<Epoch, int64_t>>{{9, 9}, {3, 3}});
    return absl::OkStatus();
  }));
}

TEST_CASE("a time that was given up, and an input without a dataflow, are errors that say so") {
  UnorderedInput<int64_t> outside;
  CheckOk(Execute({}, [&](Worker& worker) -> absl::Status {
    UnorderedInput<int64_t> input;
    CheckError(input.Send(0, 1), absl::StatusCode::kFailedPrecondition,
               {"Send was called on an UnorderedInput that is part of no dataflow yet"});
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      scope.Input("events", input) | Exchange("spread");
      scope.Input("more_events", outside) | Exchange("spread_more");
    }));
    CheckOk(input.AdvanceTo(5));
    CheckOk(input.Send(5, 1));
    CheckError(input.Send(4, 2), absl::StatusCode::kFailedPrecondition,
               {"Send of time 4", "has given up the times before 5"});
    CheckError(input.AdvanceTo(4), absl::StatusCode::kFailedPrecondition, {"AdvanceTo of time 4"});
    input.Close();
    outside.Close();
    CheckError(input.Send(6, 3), absl::StatusCode::kFailedPrecondition, {"that is closed"});
    return absl::OkStatus();
  }));
  CheckError(outside.Send(1, 1), absl::StatusCode::kFailedPrecondition, {"UnorderedInput"});
}

TEST_CASE("an unordered input of two dataflows is an error that names the step") {
  CheckError(Execute({},
                     [](Worker& worker) {
                       UnorderedInput<int64_t> input;
                       return worker.Build("flow", [&](Scope<>& scope) {
                         scope.Input("events", input) | Exchange("spread");
                         scope.Input("again", input) | Exchange("spread_again");
                       });
                     }),
             absl::StatusCode::kFailedPrecondition,
             {"step 'again'", "its UnorderedInput feeds another dataflow"});
}

}  // namespace
}  // namespace headway
