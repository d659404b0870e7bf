#include "progress/timestamp.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "progress/product.h"
#include "tests/progress/version.h"

namespace headway {
namespace {

using progress_test::Version;
using Round = Product<Epoch, uint64_t>;
using InnerRound = Product<Round, uint64_t>;

constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();

static_assert(Timestamp<Round> && Timestamp<InnerRound> && Timestamp<Product<InnerRound, Epoch>>);
static_assert(!Timestamp<Product<Product<InnerRound, Epoch>, Epoch>>);  // 40 bytes
static_assert(!Timestamp<int> && !Timestamp<std::string>);
static_assert(TimestampTraits<InnerRound>::kDepth == 3 && TimestampTraits<Version>::kDepth == 1);

// Checks the laws of timestamp.h for all combinations.
template <class T>
void CheckLaws(const std::vector<T>& times,
               const std::vector<typename TimestampTraits<T>::Summary>& summaries) {
  using Traits = TimestampTraits<T>;
  for (const T& t : times) {
    CHECK(Traits::LessEqual(Traits::Minimum(), t));
    CHECK(Traits::LessEqual(t, t));
    CHECK(!Traits::TotalLess(t, t));
    CHECK(Traits::ResultsIn(t, Traits::Identity()) == t);
    for (const T& u : times) {
      if (t == u) continue;
      CHECK(Traits::TotalLess(t, u) != Traits::TotalLess(u, t));
      CHECK(!(Traits::LessEqual(t, u) && Traits::LessEqual(u, t)));
      if (Traits::kTotallyOrdered) CHECK((Traits::LessEqual(t, u) || Traits::LessEqual(u, t)));
      if (!Traits::LessEqual(t, u)) continue;
      CHECK(Traits::TotalLess(t, u));
      for (const auto& s : summaries) {
        const std::optional<T> later = Traits::ResultsIn(u, s);
        if (!later.has_value()) continue;
        REQUIRE(Traits::ResultsIn(t, s).has_value());
        CHECK(Traits::LessEqual(*Traits::ResultsIn(t, s), *later));
      }
    }
    for (const auto& a : summaries) {
      const std::optional<T> after = Traits::ResultsIn(t, a);
      if (after.has_value()) {
        CHECK(Traits::LessEqual(t, *after));
        if (Traits::StrictDepth(a).has_value()) CHECK(*after != t);
      }
      for (const auto& b : summaries) {
        const auto both = Traits::FollowedBy(a, b);
        const std::optional<T> stepwise =
            after.has_value() ? Traits::ResultsIn(*after, b) : std::nullopt;
        CHECK(stepwise == (both.has_value() ? Traits::ResultsIn(t, *both) : std::nullopt));
      }
    }
  }
}

TEST_CASE("epochs obey the laws of timestamps") {
  CheckLaws<Epoch>({0, 1, 2, 7, kMax - 1, kMax}, {0, 1, 3, kMax});
}

TEST_CASE("products obey the laws of timestamps") {
  std::vector<Round> rounds;
  std::vector<TimestampTraits<Round>::Summary> summaries;
  for (const uint64_t outer : {uint64_t{0}, uint64_t{1}, kMax}) {
    for (const uint64_t inner : {uint64_t{0}, uint64_t{2}, kMax}) {
      rounds.push_back({outer, inner});
      summaries.push_back({outer, inner});
    }
  }
  CheckLaws<Round>(rounds, summaries);

  std::vector<InnerRound> inner_rounds;
  std::vector<TimestampTraits<InnerRound>::Summary> inner_summaries;
  for (const Round& round : rounds) {
    for (const uint64_t inner : {uint64_t{0}, uint64_t{1}}) {
      inner_rounds.push_back({round, inner});
      inner_summaries.push_back({{round.outer, round.inner}, inner});
    }
  }
  CheckLaws<InnerRound>(inner_rounds, inner_summaries);
}

TEST_CASE("a user's own timestamp obeys the laws, alone and in a product") {
  std::vector<Version> versions;
  std::vector<Version::Summary> summaries;
  std::vector<Product<Version, uint64_t>> products;
  std::vector<TimestampTraits<Product<Version, uint64_t>>::Summary> product_summaries;
  for (const uint16_t major : {0, 1, 65535}) {
    for (const uint16_t minor : {0, 2, 65535}) {
      versions.push_back({major, minor});
      summaries.push_back({major, minor});
      for (const uint64_t inner : {0, 1}) {
        products.push_back({{major, minor}, inner});
        product_summaries.push_back({{major, minor}, inner});
      }
    }
  }
  CheckLaws<Version>(versions, summaries);
  CheckLaws<Product<Version, uint64_t>>(products, product_summaries);
}

TEST_CASE("the strict depth is the shallowest coordinate that advances") {
  using Traits = TimestampTraits<InnerRound>;
  CHECK(Traits::StrictDepth({{0, 0}, 0}) == std::nullopt);
  CHECK(Traits::StrictDepth({{0, 0}, 1}) == 2);
  CHECK(Traits::StrictDepth({{0, 2}, 1}) == 1);
  CHECK(Traits::StrictDepth({{1, 0}, 1}) == 0);
}

TEST_CASE("times are formatted for messages") {
  CHECK(TimestampTraits<Epoch>::Format(7) == "7");
  CHECK(TimestampTraits<Round>::Format({3, 1}) == "(3, 1)");
  CHECK(TimestampTraits<InnerRound>::Format({{3, 1}, 2}) == "((3, 1), 2)");
}

}  // namespace
}  // namespace headway
