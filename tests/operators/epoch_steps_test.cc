// Steps whose results are those of an epoch.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/operators/epoch_records.h"
#include "tests/operators/run_everywhere.h"

namespace headway {
namespace {

using Visit = std::pair<std::string, int64_t>;
template <class R>
using InEpoch = std::pair<Epoch, R>;

// In epochs that are not contiguous. Values repeat.
std::vector<InEpoch<Visit>> Visits() {
  std::vector<InEpoch<Visit>> visits;
  for (int i = 0; i < 200; ++i) {
    visits.push_back({static_cast<Epoch>(i / 23 * 3 + 1),
                      {"page" + std::string(static_cast<size_t>(i * i % 13), 'x'), i * 31 % 17}});
  }
  return visits;
}

std::map<InEpoch<std::string>, std::vector<int64_t>> ByEpochAndPage() {
  std::map<InEpoch<std::string>, std::vector<int64_t>> by_page;
  for (const auto& [epoch, visit] : Visits()) by_page[{epoch, visit.first}].push_back(visit.second);
  return by_page;
}

// Calls check with the sorted results of the step, each with its epoch, in every shape.
template <class R, class Step, class Check>
void RunInEpochs(Step step, Check check) {
  for (const Shape shape : kShapes) {
    for (const bool in_order : {false, true}) {
      CAPTURE(shape.processes);
      CAPTURE(shape.workers);
      CAPTURE(in_order);
      Collected<InEpoch<R>> results;
      const Dataflow flow("flow", [&](Scope<>& scope) {
        step(scope.Input("visits", RecordsInEpochs(Visits()))) |
            CollectWithTime("collect", results);
      });
      CheckOk(RunInShape(flow, shape,
                         {.epoch_config = SourceEpochConfig{}, .apply_in_epoch_order = in_order}));
      check(results.Sorted());
    }
  }
}

// The results of a model: f(values of a page in an epoch).
template <class F>
auto Model(F f) {
  using R = std::invoke_result_t<F, std::vector<int64_t>>;
  std::vector<InEpoch<std::pair<std::string, R>>> results;
  for (const auto& [key, values] : ByEpochAndPage()) {
    results.push_back({key.first, {key.second, f(values)}});
  }
  return results;
}

TEST_CASE("counts, reductions and folds of an epoch come in that epoch, once for each key") {
  RunInEpochs<Visit>(
      [](const Stream<Visit>& visits) {
        return visits | CountPerEpoch("count", [](const auto& visit) { return visit.first; });
      },
      [](const auto& results) {
        CHECK(results == Model([](const auto& values) { return int64_t(values.size()); }));
      });
  RunInEpochs<Visit>(
      [](const Stream<Visit>& visits) {
        return visits | ReducePerEpoch("sum", [](int64_t a, int64_t b) { return a + b; });
      },
      [](const auto& results) {
        CHECK(results == Model([](const auto& values) {
                int64_t sum = 0;
                for (int64_t value : values) sum += value;
                return sum;
              }));
      });
  RunInEpochs<std::pair<std::string, std::vector<int64_t>>>(
      [](const Stream<Visit>& visits) {
        return visits |
               FoldPerEpoch("all", std::vector<int64_t>{100},
                            [](std::vector<int64_t>& all, int64_t value) {
                              all.insert(std::upper_bound(all.begin(), all.end(), value), value);
                            });
      },
      [](const auto& results) {
        CHECK(results == Model([](std::vector<int64_t> values) {
                values.push_back(100);
                std::sort(values.begin(), values.end());
                return values;
              }));
      });
}

TEST_CASE("the top values of an epoch are those of a key, or with one key those of the stream") {
  RunInEpochs<std::pair<std::string, std::vector<int64_t>>>(
      [](const Stream<Visit>& visits) { return visits | TopKPerEpoch("top", 2); },
      [](const auto& results) {
        CHECK(results == Model([](std::vector<int64_t> values) {
                std::sort(values.begin(), values.end(), std::greater<>());
                values.resize(std::min<size_t>(values.size(), 2));
                return values;
              }));
      });
  // The three most visited pages, by count and then by name.
  using Count = std::pair<int64_t, std::string>;
  RunInEpochs<std::pair<int, std::vector<Count>>>(
      [](const Stream<Visit>& visits) {
        return visits | CountPerEpoch("count", [](const auto& visit) { return visit.first; }) |
               Map("swap",
                   [](const auto& count) {
                     return std::pair(0, Count(count.second, std::string(count.first)));
                   }) |
               TopKPerEpoch("top", 3);
      },
      [](const auto& results) {
        std::map<Epoch, std::vector<Count>> counts;
        for (const auto& [key, values] : ByEpochAndPage()) {
          counts[key.first].push_back({static_cast<int64_t>(values.size()), key.second});
        }
        std::vector<InEpoch<std::pair<int, std::vector<Count>>>> expected;
        for (auto& [epoch, pages] : counts) {
          std::sort(pages.begin(), pages.end(), std::greater<>());
          pages.resize(std::min<size_t>(pages.size(), 3));
          expected.push_back({epoch, {0, pages}});
        }
        CHECK(results == expected);
      });
}

TEST_CASE("distinct records of an epoch are emitted once in each epoch that has them") {
  RunInEpochs<Visit>(
      [](const Stream<Visit>& visits) {
        return visits |
               Map("clear",
                   [](const auto& visit) {
                     return Visit(std::string(visit.first), visit.second % 3);
                   }) |
               DistinctPerEpoch("distinct");
      },
      [](const auto& results) {
        std::set<InEpoch<Visit>> expected;
        for (const auto& [epoch, visit] : Visits()) {
          expected.insert({epoch, {visit.first, visit.second % 3}});
        }
        CHECK(results == std::vector<InEpoch<Visit>>(expected.begin(), expected.end()));
      });
}

TEST_CASE("in a nested scope, results are those of each round") {
  using Round = Product<Epoch, uint64_t>;
  using InRound = std::pair<uint64_t, std::pair<int, int64_t>>;
  constexpr int kEnd = 12;
  for (const Shape shape : kShapes) {
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    Collected<std::pair<Round, std::pair<int, int64_t>>> counts;
    Collected<std::pair<Round, int>> distinct;
    const Dataflow flow("flow", [&](Scope<>& scope) {
      std::vector<int> all_numbers;
      for (int number = 0; number < kEnd; ++number) all_numbers.push_back(number);
      Stream<int> numbers = scope.Input("numbers", TestingSource(all_numbers));
      scope.Iterate("count down", [&](Scope<Round>& inner) {
        auto [loop, again] = inner.Feedback<int>("again", {.outer = 0, .inner = 1});
        Stream<int, Round> all = numbers | Enter(inner) | Merge("all", again);
        all | Filter("above 0", [](int x) { return x > 0; }) |
            Map("less", [](int x) { return x - 1; }) | ConnectLoop(loop);
        Stream<int, Round> thirds = all | Map("third", [](int x) { return x % 3; });
        thirds | DistinctPerEpoch("distinct") | CollectWithTime("collect distinct", distinct);
        return thirds | CountPerEpoch("count") | CollectWithTime("collect counts", counts) |
               Leave(scope);
      });
    });
    CheckOk(RunInShape(flow, shape, {.epoch_config = RecordCountEpochConfig{1000}}));
    std::map<std::pair<uint64_t, int>, int64_t> expected;
    for (uint64_t round = 0; round < kEnd; ++round) {
      for (int x = 0; x < kEnd - static_cast<int>(round); ++x) ++expected[{round, x % 3}];
    }
    std::vector<InRound> wanted;
    for (const auto& [key, count] : expected) wanted.push_back({key.first, {key.second, count}});
    std::vector<InRound> found;
    for (const auto& [time, count] : counts.InOrder()) found.push_back({time.inner, count});
    std::sort(found.begin(), found.end());
    CHECK(found == wanted);
    CHECK(distinct.size() == expected.size());
  }
}

TEST_CASE("the results of an epoch come when it is complete, not before and not at the end") {
  CheckOk(Execute({}, [&](Worker& worker) -> absl::Status {
    InputHandle<int> input;
    Collected<std::pair<int, int64_t>> counts;
    Collected<int> distinct;
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      Stream<int> numbers = scope.Input(input);
      numbers | CountPerEpoch("count") | CollectInto("counts", counts);
      numbers | DistinctPerEpoch("distinct") | CollectInto("distincts", distinct);
    }));
    const auto settle = [&] {
      input.Flush();
      for (int i = 0; i < 50; ++i) CheckOk(worker.Step());
    };
    for (int number : {5, 5, 7}) input.Send(number);
    settle();
    CHECK(counts.size() == 0);
    CHECK(distinct.Sorted() == std::vector<int>{5, 7});  // at once
    input.AdvanceTo(1);
    settle();
    CHECK(counts.Sorted() == std::vector<std::pair<int, int64_t>>{{5, 2}, {7, 1}});
    input.Send(5);
    input.AdvanceTo(2);
    settle();
    CHECK(counts.InOrder().back() == std::pair<int, int64_t>(5, 1));  // began anew
    CHECK(distinct.size() == 3);
    input.Close();
    return worker.StepWhile([&] { return worker.HasDataflows(); });
  }));
}

TEST_CASE("counts of epochs are exact over stops and resumes") {
  std::vector<int> numbers;
  for (int i = 0; i < 200; ++i) numbers.push_back(i * i % 7);
  // An epoch has a number of records, so only the sum of the counts is the same.
  RunEverywhere<std::pair<int, int64_t>>(
      numbers, [](const Stream<int>& stream) { return stream | CountPerEpoch("count"); },
      [&](const auto& results) {
        std::map<int, int64_t> expected;
        for (int number : numbers) ++expected[number];
        std::map<int, int64_t> sums;
        for (const auto& [number, count] : results) sums[number] += count;
        CHECK(sums == expected);
      });
}

}  // namespace
}  // namespace headway
