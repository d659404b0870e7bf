// Frontiers of many incomparable times.
#include <doctest/doctest.h>

#include <compare>
#include <cstdint>
#include <optional>
#include <string>

#include "progress/tracker.h"

namespace headway {
namespace {

// A time whose comparisons are counted.
struct CountedTime {
  uint32_t outer = 0;
  uint32_t inner = 0;

  struct Summary {
    uint32_t inner = 0;
  };
  static constexpr bool kTotallyOrdered = false;
  static CountedTime Minimum() { return {}; }
  bool LessEqual(const CountedTime& other) const {
    ++comparisons;
    return outer <= other.outer && inner <= other.inner;
  }
  bool TotalLess(const CountedTime& other) const {
    ++comparisons;
    return outer < other.outer || (outer == other.outer && inner < other.inner);
  }
  static Summary Identity() { return {}; }
  std::optional<CountedTime> ResultsIn(const Summary& summary) const {
    return CountedTime{outer, inner + summary.inner};
  }
  static std::optional<Summary> FollowedBy(const Summary& first, const Summary& second) {
    return Summary{first.inner + second.inner};
  }
  static std::optional<int> StrictDepth(const Summary& summary) {
    return summary.inner > 0 ? std::optional(0) : std::nullopt;
  }
  std::string Format() const { return std::to_string(outer) + "," + std::to_string(inner); }
  bool operator==(const CountedTime& other) const {
    ++comparisons;
    return outer == other.outer && inner == other.inner;
  }

  static uint64_t comparisons;
};
uint64_t CountedTime::comparisons = 0;

// The comparisons by which n times join and leave the frontiers of a source and of two locations
// behind it, one in each round.
uint64_t ComparisonsOf(uint32_t n) {
  Tracker tracker;
  ScopeTracker<CountedTime>& scope = tracker.AddScope<CountedTime>();
  const LocationId source = scope.AddLocation();
  const LocationId middle = scope.AddLocation();
  const LocationId sink = scope.AddLocation();
  scope.AddEdge(source, middle);
  scope.AddEdge(middle, sink);
  scope.AddInitial(source, {}, 1);
  scope.Watch(sink);
  CHECK(tracker.Finish({}).ok());
  CountedTime::comparisons = 0;
  const auto step = [&] {
    CHECK(tracker.Publish(nullptr));
    CHECK(tracker.Propagate().ok());
  };
  for (uint32_t i = 0; i < n; ++i) {
    scope.Record(source, {i, n - i}, +1);
    step();
  }
  scope.Record(source, {}, -1);
  step();
  CHECK(scope.frontier(sink).elements().size() == n);
  for (uint32_t i = 0; i < n; ++i) {
    scope.Record(source, {i, n - i}, -1);
    step();
    CHECK(scope.frontier(sink).elements().size() == n - 1 - i);
  }
  return CountedTime::comparisons;
}

TEST_CASE("n changes of a frontier of n times cost about n^2 comparisons") {
  constexpr uint64_t kTimes = 400;
  CHECK(ComparisonsOf(kTimes) < 50 * kTimes * kTimes);
}

}  // namespace
}  // namespace headway
