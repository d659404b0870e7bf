// Steps that a user writes, outside of the namespace of the library and with its public names only.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "headway.h"
#include "tests/engine/run_helpers.h"

namespace own_steps {
namespace {

using headway::Batch;
using headway::DefineStep;
using headway::Stream;

// Keeps the records for which predicate(record) is true.
template <class Predicate>
auto Keep(std::string step_id, Predicate predicate) {
  return DefineStep(
      std::move(step_id), std::move(predicate),
      []<class D, class T>(const Stream<D, T>& stream, std::string_view id, Predicate keeps) {
        static_assert(std::is_invocable_r_v<bool, Predicate&, headway::ReadType<D>>,
                      "Keep: the predicate must take one record of the stream and return a bool");
        return headway::Transform<D>(
            stream, id,
            [keeps = std::move(keeps)](Batch<D>& batch,
                                       headway::TransformOutput<D, T>& out) mutable {
              for (size_t i = 0; i < batch.size(); ++i) {
                if (keeps(std::as_const(batch)[i])) out.Give(batch.Take(i));
              }
            });
      });
}

// Emits each record `times` times. Counts how often it had to stop.
auto Repeat(std::string step_id, int times, std::atomic<int>& stops) {
  return DefineStep(
      std::move(step_id), times, &stops,
      []<class D, class T>(const Stream<D, T>& stream, std::string_view id, int count,
                           std::atomic<int>* counter) {
        struct Position {
          size_t record = 0;
          int emitted = 0;
        };
        return headway::TransformResumable<D, Position>(
            stream, id,
            [count, counter](Batch<D>& batch, Position& at, headway::ResumableOutput<D, T>& out) {
              for (; at.record < batch.size(); ++at.record) {
                for (; at.emitted < count; ++at.emitted) {
                  if (!out.WantsMore()) {
                    ++*counter;
                    return false;
                  }
                  out.Give(std::as_const(batch)[at.record]);
                }
                at.emitted = 0;
              }
              return true;
            });
      });
}

// The records of all streams.
template <class D, class T>
auto AllOf(std::string step_id, std::vector<Stream<D, T>> others) {
  return DefineStep(
      std::move(step_id), std::move(others),
      [](const Stream<D, T>& first, std::string_view id, const std::vector<Stream<D, T>>& more) {
        return headway::MergeStreams(first, id, more);
      });
}

TEST_CASE("a filter, a multiplier that stops for lack of credit, and a junction of a user's own") {
  constexpr int kTimes = 20'000;
  for (const int workers : headway::kWorkerCounts) {
    CAPTURE(workers);
    std::atomic<int> stops{0};
    std::atomic<int64_t> count{0};
    std::atomic<int64_t> sum{0};
    headway::Dataflow flow("flow", [&](headway::Scope<>& scope) {
      const auto numbers = scope.Input("numbers", headway::TestingSource(std::vector{1, 2, 3, 4}));
      const auto odd = numbers | Keep("odd", [](int x) { return x % 2 == 1; });
      const auto large = numbers | Keep("large", [](int x) { return x > 2; });
      odd | AllOf("all", std::vector{large, odd}) | Repeat("repeat", kTimes, stops) |
          headway::Exchange("spread") | headway::Inspect("sum", [&](int x) {
            ++count;
            sum += x;
          });
    });
    headway::CheckOk(headway::RunMain(flow, {.worker_count = workers, .max_bytes_in_flight = 1}));
    // 1 and 3, twice, and 3 and 4.
    CHECK(count == 6 * kTimes);
    CHECK(sum == (2 * (1 + 3) + 3 + 4) * kTimes);
    CHECK(stops > 0);
  }
}

TEST_CASE("a step in a variable copies its function and can be applied to several streams") {
  headway::Collected<int> seen;
  headway::Dataflow flow("flow", [&](headway::Scope<>& scope) {
    const std::vector<int> kept{2, 3};  // a moved vector would be empty
    const auto step = Keep(
        "keep", [kept](int x) { return std::find(kept.begin(), kept.end(), x) != kept.end(); });
    const auto numbers = scope.Input("numbers", headway::TestingSource(std::vector{1, 2, 3}));
    for (const char* part : {"first", "second"}) {
      headway::Scope<>::Substeps substeps(scope, part);
      numbers | step | headway::CollectInto("collect", seen);
    }
  });
  headway::CheckOk(headway::RunMain(flow, {.worker_count = 1}));
  CHECK(seen.Sorted() == std::vector{2, 2, 3, 3});
}

TEST_CASE("a step with a function that can only be moved is a temporary or a variable, used once") {
  headway::Collected<int> seen;
  headway::Dataflow flow("flow", [&](headway::Scope<>& scope) {
    auto above = [](int limit) {
      return [limit = std::make_unique<int>(limit)](int x) { return x > *limit; };
    };
    auto step = Keep("above_2", above(2));
    static_assert(!std::is_copy_constructible_v<decltype(step)>);
    static_assert(!std::is_invocable_v<const decltype(step)&, Stream<int>>);
    scope.Input("numbers", headway::TestingSource(std::vector{1, 2, 3, 4})) |
        Keep("above_1", above(1)) | step | headway::CollectInto("collect", seen);
  });
  headway::CheckOk(headway::RunMain(flow, {.worker_count = 1}));
  CHECK(seen.Sorted() == std::vector{3, 4});
}

TEST_CASE("a stream that the function of a step does not take is not a use of the step") {
  using Junction = decltype(AllOf("all", std::vector<Stream<int>>()));
  CHECK(std::is_invocable_v<Junction, Stream<int>>);
  CHECK_FALSE(std::is_invocable_v<Junction, Stream<std::string>>);
}

}  // namespace
}  // namespace own_steps
