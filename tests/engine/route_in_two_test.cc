#include "headway/engine/route_in_two.h"

#include <array>
#include <cstdint>
#include <functional>
#include <random>
#include <utility>

#include "doctest/doctest.h"
#include "headway/comm/stable_hash.h"
#include "headway/tests/comm/test_seed.h"

namespace headway::internal {
namespace {

template <class D, class KeyFn>
void CheckRoutes(RouteInTwoFn<D, KeyFn> route, KeyFn key,
                 const std::array<D, kRoutedTogether>& records) {
  std::array<uint64_t, kRoutedTogether> targets{};
  route(key, records.data(), targets.data());
  for (size_t i = 0; i < records.size(); ++i) {
    CAPTURE(i);
    CHECK(targets[i] == static_cast<uint64_t>(RouteHash(StableHash(key(records[i])), 2)));
  }
}

// In every form that this processor has.
template <class D, class KeyFn>
void CheckAllForms(KeyFn key, const std::array<D, kRoutedTogether>& records) {
  if (const auto selected = SelectRouteInTwo<D, KeyFn>()) CheckRoutes(selected, key, records);
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) CheckRoutes(&RouteInTwoAvx2<D, KeyFn>, key, records);
#endif
}

template <class Number>
void CheckNumbers() {
  std::mt19937_64 random(TestSeed("route_in_two_test"));
  for (int round = 0; round < 100; ++round) {
    std::array<Number, kRoutedTogether> numbers;
    for (Number& number : numbers) number = static_cast<Number>(random() >> random() % 64);
    CheckAllForms(std::identity(), numbers);
  }
}

TEST_CASE("records that are routed together go where each would go alone") {
  SUBCASE("bytes") { CheckNumbers<int8_t>(); }
  SUBCASE("integers of 32 bits with a sign") { CheckNumbers<int32_t>(); }
  SUBCASE("integers of 32 bits without a sign") { CheckNumbers<uint32_t>(); }
  SUBCASE("integers of 64 bits with a sign") { CheckNumbers<int64_t>(); }
  SUBCASE("integers of 64 bits without a sign") { CheckNumbers<uint64_t>(); }
  SUBCASE("pairs, by a part of theirs") {
    std::mt19937_64 random(TestSeed("route_in_two_test"));
    std::array<std::pair<uint64_t, int32_t>, kRoutedTogether> pairs;
    for (auto& pair : pairs) pair = {random(), static_cast<int32_t>(random())};
    CheckAllForms([](const auto& pair) { return pair.first; }, pairs);
    CheckAllForms([](const auto& pair) { return pair.second; }, pairs);
  }
}

TEST_CASE("only records with integers for keys are routed together") {
  const bool together = SelectRouteInTwo<double, std::identity>() != nullptr;
  CHECK(!together);
}

}  // namespace
}  // namespace headway::internal
