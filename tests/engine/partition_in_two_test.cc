#include "headway/engine/partition_in_two.h"

#include <array>
#include <cstdint>
#include <functional>
#include <random>
#include <utility>
#include <vector>

#include "doctest/doctest.h"
#include "headway/comm/stable_hash.h"
#include "headway/tests/comm/test_seed.h"

namespace headway::internal {
namespace {

template <class D>
using Records = std::array<D, kDividedTogether>;

template <class D, class KeyFn>
void CheckDivision(DivideInTwoFn<D, KeyFn> divide, KeyFn key, const Records<D>& records) {
  std::array<std::vector<D>, 2> expected;
  for (const D& record : records) {
    expected[static_cast<size_t>(RouteHash(StableHash(key(record)), 2))].push_back(record);
  }
  std::array<Records<D>, 2> parts;
  D* to0 = parts[0].data();
  D* to1 = parts[1].data();
  divide(key, records.data(), &to0, &to1);
  CHECK(std::vector<D>(parts[0].data(), to0) == expected[0]);
  CHECK(std::vector<D>(parts[1].data(), to1) == expected[1]);
}

// In every form that this processor has.
template <class D, class KeyFn>
void CheckAllForms(KeyFn key, const Records<D>& records) {
  if (const auto selected = SelectDivideInTwo<D, KeyFn>()) CheckDivision(selected, key, records);
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) CheckDivision(&DivideInTwoAvx2<D, KeyFn>, key, records);
#endif
}

template <class Number>
void CheckNumbers() {
  std::mt19937_64 random(TestSeed("partition_in_two_test"));
  for (int round = 0; round < 1000; ++round) {
    Records<Number> numbers;
    for (Number& number : numbers) number = static_cast<Number>(random() >> random() % 64);
    CheckAllForms(std::identity(), numbers);
  }
}

TEST_CASE("records that are divided together go where each would go alone, in order") {
  SUBCASE("bytes") { CheckNumbers<int8_t>(); }
  SUBCASE("integers of 32 bits with a sign") { CheckNumbers<int32_t>(); }
  SUBCASE("integers of 32 bits without a sign") { CheckNumbers<uint32_t>(); }
  SUBCASE("integers of 64 bits with a sign") { CheckNumbers<int64_t>(); }
  SUBCASE("integers of 64 bits without a sign") { CheckNumbers<uint64_t>(); }
  SUBCASE("pairs, by a part of theirs") {
    std::mt19937_64 random(TestSeed("partition_in_two_test"));
    Records<std::pair<uint64_t, int32_t>> pairs;
    for (auto& pair : pairs) pair = {random(), static_cast<int32_t>(random())};
    CheckAllForms([](const auto& pair) { return pair.first; }, pairs);
    CheckAllForms([](const auto& pair) { return pair.second; }, pairs);
  }
  SUBCASE("all to one worker") {
    for (uint64_t key : {0, 1, 2, 3, 4, 5, 6, 7}) {
      Records<uint64_t> same;
      same.fill(key);
      CheckAllForms(std::identity(), same);
    }
  }
}

TEST_CASE("only records with integers for keys are divided together") {
  const bool together = SelectDivideInTwo<double, std::identity>() != nullptr;
  CHECK(!together);
}

}  // namespace
}  // namespace headway::internal
