// ManualSource: coroutines that emit to an output may be idle, fail and close epochs, and their
// records may be aggregates that own memory.
#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/engine/run_helpers.h"

namespace headway {
namespace {

struct Click {
  std::string user;
  int64_t at = 0;
};

// Too long for the string's own buffer: its memory is on the heap.
std::string User(int64_t i) { return "user " + std::to_string(i) + std::string(100, '.'); }

TEST_CASE("a record may be an aggregate that owns memory") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    Collected<std::string> users;
    Collected<std::string> pairs;
    Dataflow flow("flow", [&](Scope<>& scope) {
      auto clicks = [](int worker, int count, std::optional<int64_t> resume,
                       ManualOutput<Click>& out) -> Generator<SourceYield<int64_t>> {
        for (int64_t i = resume.value_or(worker); i < 100; i += count) {
          out.Emit(Click{User(i), i});
          co_yield i + count;
        }
      };
      scope.Input("clicks", ManualSource(clicks)) |
          Map("user", [](const Click& click) { return click.user; }) | CollectInto("u", users);
      auto arrays =
          [](int worker, int count, std::optional<int64_t> resume,
             ManualOutput<std::array<std::string, 2>>& out) -> Generator<SourceYield<int64_t>> {
        for (int64_t i = resume.value_or(worker); i < 100; i += count) {
          out.Emit({User(i), User(i + 1)});
          co_yield i + count;
        }
      };
      scope.Input("arrays", ManualSource(arrays)) |
          Map("both", [](const std::array<std::string, 2>& both) { return both[0] + both[1]; }) |
          CollectInto("p", pairs);
    });
    CheckOk(RunMain(flow, {.worker_count = workers}));
    std::vector<std::string> expected_users;
    std::vector<std::string> expected_pairs;
    for (int64_t i = 0; i < 100; ++i) {
      expected_users.push_back(User(i));
      expected_pairs.push_back(User(i) + User(i + 1));
    }
    std::sort(expected_users.begin(), expected_users.end());
    std::sort(expected_pairs.begin(), expected_pairs.end());
    CHECK(users.Sorted() == expected_users);
    CHECK(pairs.Sorted() == expected_pairs);
  }
}

TEST_CASE("an idle coroutine is polled again after its time, and its records move on meanwhile") {
  ManualClock clock;
  std::atomic<int64_t> seen{0};
  int64_t behind = 0;
  std::vector<int64_t> resumed_at;
  auto source = [&](int, int, std::optional<int64_t>,
                    ManualOutput<int64_t>& out) -> Generator<SourceYield<int64_t>> {
    for (int64_t i = 0; i < 10; ++i) {
      resumed_at.push_back(clock.NowNanos());
      behind += i - seen;
      out.Emit(i);
      co_yield i + 1;
      co_yield SourceState::Idle(absl::Nanoseconds(100));
    }
  };
  CheckOk(Execute({.run = {.clock = &clock}}, [&](Worker& worker) -> absl::Status {
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      scope.Input("numbers", ManualSource(source)) | Inspect("see", [&](int64_t) { ++seen; });
    }));
    while (worker.HasDataflows()) {
      HEADWAY_RETURN_IF_ERROR(worker.Step());
      clock.Advance(absl::Nanoseconds(10));
    }
    return absl::OkStatus();
  }));
  CHECK(seen == 10);
  CHECK(behind == 0);
  REQUIRE(resumed_at.size() == 10);
  for (size_t i = 1; i < resumed_at.size(); ++i) {
    CHECK(resumed_at[i] - resumed_at[i - 1] >= 100);
    CHECK(resumed_at[i] - resumed_at[i - 1] <= 130);
  }
}

TEST_CASE("a coroutine that yields a failure ends the run with it; OK has no effect") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    auto source = [](int, int, std::optional<int>,
                     ManualOutput<int>& out) -> Generator<SourceYield<int>> {
      out.Emit(1);
      co_yield absl::OkStatus();
      out.Emit(2);
      co_yield absl::UnavailableError("the sensor does not answer");
      out.Emit(3);
    };
    Collected<int> seen;
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("sensor", ManualSource(source)) | CollectInto("collect", seen);
    });
    CheckError(RunMain(flow, {.worker_count = workers}), absl::StatusCode::kUnavailable,
               {"step 'sensor'", "on worker ", "the sensor does not answer"});
    for (int record : seen.InOrder()) CHECK(record != 3);
  }
}

TEST_CASE("a coroutine closes its epochs by yields, whatever the run's config is") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    Collected<std::pair<Epoch, int64_t>> seen;
    auto source = [](int, int, std::optional<int64_t>,
                     ManualOutput<int64_t>& out) -> Generator<SourceYield<int64_t>> {
      for (int64_t i = 0; i < 12; ++i) {
        CHECK(out.epoch() == (i < 9 ? static_cast<Epoch>(i / 3) : 50));
        out.Emit(i);
        co_yield i + 1;
        if (i == 8) {
          co_yield SourceState::AdvanceTo(50);
        } else if (i % 3 == 2) {
          co_yield SourceState::EndEpoch();
        }
      }
      co_yield SourceState::Done();
      out.Emit(-1);
    };
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", ManualSource(source, SourceEpochConfig{})) | Exchange("spread") |
          CollectWithTime<int64_t, Epoch>("collect", seen);
    });
    CheckOk(RunMain(flow, {.worker_count = workers, .epoch_config = TestingEpochConfig{}}));
    CHECK(seen.size() == static_cast<size_t>(12 * workers));
    for (const auto& [epoch, number] : seen.InOrder()) {
      CHECK(epoch == (number < 9 ? static_cast<Epoch>(number / 3) : 50));
    }
  }
}

TEST_CASE("a coroutine that emits many records before it yields can ask when to yield") {
  Collected<int64_t> seen;
  int64_t longest = 0;
  auto source = [&](int, int, std::optional<int64_t>,
                    ManualOutput<int64_t>& out) -> Generator<SourceYield<int64_t>> {
    int64_t i = 0;
    while (i < 100'000) {
      const int64_t begin = i;
      while (i < 100'000 && out.WantsMore()) out.Emit(i++);
      longest = std::max(longest, i - begin);
      co_yield i;
    }
  };
  Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("numbers", ManualSource(source)) | CollectInto("collect", seen);
  });
  CheckOk(RunMain(flow));
  CHECK(seen.size() == 100'000);
  CHECK(longest < 100'000);
}

}  // namespace
}  // namespace headway
