#include "progress/point_counts.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <map>

#include "tests/progress/random.h"

namespace headway::internal {
namespace {

using progress_test::Random;

TEST_CASE("counts of points are those of a map, whatever comes and goes") {
  for (const uint64_t words : {3, 40, 2000}) {
    Random random(words);
    PointCounts counts;
    std::map<PointCounts::Point, int64_t> model;
    for (int i = 0; i < 20'000; ++i) {
      const PointCounts::Point point = {random.Below(3), random.Below(words), random.Below(2)};
      const int64_t delta = static_cast<int64_t>(random.Below(5)) - 2;
      const int64_t expected = model[point] += delta;
      if (expected == 0) model.erase(point);
      REQUIRE(counts.Add(point, delta) == expected);
      REQUIRE(counts.Contains(point) == (expected != 0));
      REQUIRE(counts.size() == model.size());
    }
    for (const auto& [point, count] : model) CHECK(counts.Add(point, 0) == count);
    for (const auto& [point, count] : model) CHECK(counts.Add(point, -count) == 0);
    CHECK(counts.size() == 0);
  }
}

TEST_CASE("no points are in an empty table") { CHECK_FALSE(PointCounts().Contains({1, 2})); }

}  // namespace
}  // namespace headway::internal
