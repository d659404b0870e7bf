#include "comm/system/clock.h"

#include <doctest/doctest.h>

namespace headway {
namespace {

TEST_CASE("a manual clock moves only when it is told to") {
  const absl::Time start = absl::FromUnixSeconds(1'000'000);
  ManualClock clock(start);
  CHECK(clock.Now() == start);
  CHECK(clock.NowNanos() == 0);
  clock.Advance(absl::Hours(24) + absl::Nanoseconds(1));
  CHECK(clock.Now() == start + absl::Hours(24) + absl::Nanoseconds(1));
  CHECK(clock.NowNanos() == 86'400'000'000'001);
}

TEST_CASE("the nanoseconds of the real clock do not go back") {
  RealClock clock;
  int64_t last = clock.NowNanos();
  for (int i = 0; i < 1000; ++i) {
    const int64_t now = clock.NowNanos();
    REQUIRE(now >= last);
    last = now;
  }
  CHECK(clock.Now() > absl::FromUnixSeconds(1'500'000'000));
}

}  // namespace
}  // namespace headway
