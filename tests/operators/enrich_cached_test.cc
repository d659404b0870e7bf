#include "operators/enrich_cached.h"

#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "headway.h"
#include "tests/engine/run_helpers.h"
#include "tests/engine/thread_cluster.h"

namespace headway {
namespace {

using absl::StatusCode;

TEST_CASE("enriched records do not depend on the shape of the run or the size of the cache") {
  for (const Shape shape : kShapes) {
    for (const size_t max_entries : {1, 3, 100}) {
      CAPTURE(shape.processes);
      CAPTURE(shape.workers);
      CAPTURE(max_entries);
      Collected<std::pair<int64_t, std::string>> enriched;
      const Dataflow flow("flow", [&](Scope<>& scope) {
        scope.Input("numbers", NumbersOfEachWorker(100)) |
            EnrichCached<int64_t>(
                "name", [](int64_t key) { return "name " + std::to_string(key); },
                [](auto& names, int64_t x) { return std::pair(x, names.Get(x % 7)); },
                {.max_entries = max_entries}) |
            CollectInto("collect", enriched);
      });
      CheckOk(RunInShape(flow, shape));
      std::vector<std::pair<int64_t, std::string>> expected;
      for (int64_t worker = 0; worker < shape.total(); ++worker) {
        for (int64_t x = worker * 1000; x < worker * 1000 + 100; ++x) {
          expected.emplace_back(x, "name " + std::to_string(x % 7));
        }
      }
      CHECK(enriched.Sorted() == expected);
    }
  }
}

TEST_CASE("a key is looked up once, until its entry is the least recently used or is removed") {
  ManualClock clock;
  std::vector<std::string> asked;
  LookupCache<std::string, int> cache({.max_entries = 2}, clock, [&](const std::string& key) {
    asked.push_back(key);
    return static_cast<int>(key.size());
  });
  CHECK(cache.Get("a") == 1);
  CHECK(cache.Get("bb") == 2);
  CHECK(cache.Get("a") == 1);
  CHECK(cache.Get("ccc") == 3);  // in place of bb
  CHECK(cache.Get("a") == 1);
  CHECK(asked == std::vector<std::string>{"a", "bb", "ccc"});
  CHECK(cache.Get("bb") == 2);  // in place of ccc
  CHECK(cache.size() == 2);
  CHECK(cache.Remove("a"));
  CHECK_FALSE(cache.Remove("a"));
  CHECK(cache.Get("a") == 1);
  CHECK(asked == std::vector<std::string>{"a", "bb", "ccc", "bb", "a"});
}

TEST_CASE("a value is looked up again when it is too old by the run's clock") {
  ManualClock clock;
  int lookups = 0;
  std::vector<int> seen;
  CheckOk(Execute({.run = {.clock = &clock}}, [&](Worker& worker) -> absl::Status {
    InputHandle<std::string> input;
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      scope.Input(input) |
          EnrichCached<std::string>(
              "version", [&](const std::string&) { return ++lookups; },
              [](auto& versions, std::string_view key) { return versions.Get(key); },
              {.time_to_live = absl::Seconds(10)}) |
          Inspect("see", [&](int version) { seen.push_back(version); });
    }));
    for (const int seconds : {0, 9, 1, 9, 1, 100}) {
      clock.Advance(absl::Seconds(seconds));
      input.Send("key");
      input.Flush();
      HEADWAY_RETURN_IF_ERROR(worker.Step());
    }
    input.Close();
    return absl::OkStatus();
  }));
  CHECK(seen == std::vector{1, 1, 2, 2, 3, 4});
}

TEST_CASE("the age of a value counts from the end of its lookup") {
  ManualClock clock;
  int lookups = 0;
  LookupCache<int, int> cache({.time_to_live = absl::Seconds(10)}, clock, [&](int) {
    clock.Advance(absl::Seconds(30));
    return ++lookups;
  });
  cache.ReadClock();
  CHECK(cache.Get(1) == 1);
  CHECK(cache.Get(2) == 2);
  CHECK(cache.Get(2) == 2);
  CHECK(cache.Get(1) == 3);  // the other lookup took 30 s
}

TEST_CASE("an error of the getter ends the run, names the step, and is not kept") {
  const Dataflow flow("flow", [](Scope<>& scope) {
    scope.Input("numbers", TestingSource<int>({1, 2, 3})) |
        EnrichCached<int>(
            "rate",
            [](int key) -> absl::StatusOr<double> {
              if (key == 3) return absl::NotFoundError("there is no rate for 3");
              return 0.5;
            },
            [](LookupCache<int, double>& rates, int x) { return rates.Get(x) * x; }) |
        Inspect("see", [](double) {});
  });
  CheckError(RunMain(flow), StatusCode::kNotFound,
             {"step 'rate' on worker 0: there is no rate for 3"});
}

TEST_CASE("an exception of the getter or the mapper ends the run and names the step") {
  for (const bool in_getter : {true, false}) {
    const Dataflow flow("flow", [=](Scope<>& scope) {
      scope.Input("numbers", TestingSource<int>({1, 2, 3})) |
          EnrichCached<int>(
              "rate",
              [=](int key) {
                if (in_getter && key == 2) throw std::runtime_error("no connection");
                return key;
              },
              [=](auto& rates, int x) {
                if (!in_getter && x == 2) throw std::runtime_error("no connection");
                return rates.Get(x);
              }) |
          Inspect("see", [](int) {});
    });
    CheckError(RunMain(flow), StatusCode::kAborted,
               {"step 'rate' on worker 0", "threw: no connection"});
  }
}

TEST_CASE("a key without a value is remembered as an empty optional") {
  std::atomic<int> lookups = 0;
  std::vector<int> seen;
  const Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("words", TestingSource<std::string>({"x", "y", "x", "x"})) |
        EnrichCached<std::string>(
            "port",
            [&](std::string_view key) {
              ++lookups;
              return key == "y" ? std::optional(80) : std::nullopt;
            },
            [](auto& ports, std::string_view word) { return ports.Get(word).value_or(0); }) |
        Inspect("see", [&](int port) { seen.push_back(port); });
  });
  CheckOk(RunMain(flow));
  CHECK(seen == std::vector{0, 80, 0, 0});
  CHECK(lookups == 2);
}

TEST_CASE("a cache without room, and a time to live that is not positive, are refused") {
  for (const CacheOptions& options :
       {CacheOptions{.max_entries = 0}, CacheOptions{.time_to_live = absl::ZeroDuration()}}) {
    const Dataflow flow("flow", [=](Scope<>& scope) {
      scope.Input("numbers", TestingSource<int>({1})) |
          EnrichCached<int>(
              "rate", [](int key) { return key; }, [](auto& rates, int x) { return rates.Get(x); },
              options) |
          Inspect("see", [](int) {});
    });
    CheckError(RunMain(flow), StatusCode::kInvalidArgument, {"step 'rate'", "its cache must"});
  }
}

}  // namespace
}  // namespace headway
