#include "engine/graph/partition_in_two.h"

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include "comm/codec/stable_hash.h"
#include "doctest/doctest.h"
#include "tests/comm/test_seed.h"
#include "tests/engine/run_helpers.h"

namespace headway::internal {
namespace {

template <class D>
using Records = std::array<D, kDividedTogether>;

template <class D, class Key>
void CheckDivision(DivideInTwoFn<D, Key> divide, const Records<Key>& keys,
                   const Records<D>& records) {
  std::array<std::vector<D>, 2> expected;
  for (size_t i = 0; i < records.size(); ++i) {
    expected[static_cast<size_t>(RouteHash(StableHash(keys[i]), 2))].push_back(records[i]);
  }
  std::array<Records<D>, 2> parts;
  D* to0 = parts[0].data();
  D* to1 = parts[1].data();
  divide(keys.data(), records.data(), &to0, &to1);
  CHECK(std::vector<D>(parts[0].data(), to0) == expected[0]);
  CHECK(std::vector<D>(parts[1].data(), to1) == expected[1]);
}

// In every form that this processor has.
template <class Key, class D>
void CheckAllForms(const Records<Key>& keys, const Records<D>& records) {
  if (const auto selected = SelectDivideInTwo<D, Key>()) CheckDivision(selected, keys, records);
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) CheckDivision(&DivideInTwoAvx2<D, Key>, keys, records);
#endif
}

template <class Number>
void CheckNumbers() {
  std::mt19937_64 random(TestSeed("partition_in_two_test"));
  for (int round = 0; round < 1000; ++round) {
    Records<Number> numbers;
    for (Number& number : numbers) number = static_cast<Number>(random() >> random() % 64);
    CheckAllForms(numbers, numbers);
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
    Records<uint64_t> first;
    Records<int32_t> second;
    for (size_t i = 0; i < pairs.size(); ++i) {
      first[i] = random();
      second[i] = static_cast<int32_t>(random());
      pairs[i] = {first[i], second[i]};
    }
    CheckAllForms(first, pairs);
    CheckAllForms(second, pairs);
  }
  SUBCASE("all to one worker") {
    for (uint64_t key : {0, 1, 2, 3, 4, 5, 6, 7}) {
      Records<uint64_t> same;
      same.fill(key);
      CheckAllForms(same, same);
    }
  }
}

// A multiplication and an addition that are rounded once give -1 for the first 0.3, and 0 if each
// is rounded. The key must not depend on the number of records in a batch, or on the processor.
TEST_CASE("a key that a function computes is the same for one record and for many") {
  const auto key = [](double x) { return static_cast<int64_t>(std::floor(x * 10.0 - 3.0)); };
  for (const size_t count : {size_t{1}, 3 * kDividedTogether}) {
    CAPTURE(count);
    Collected<int64_t> workers;
    std::vector<double> records(count, 0.3);
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", TestingSource(records)) | Exchange("spread", key) |
          Inspect("see",
                  [&, worker = int64_t{scope.worker_index()}](double) { workers.Add(worker); });
    });
    CheckOk(RunMain(flow, {.worker_count = 2}));
    // Read at run time: clang folds the expression of a constant with one rounding.
    volatile double record = 0.3;
    const int64_t expected = RouteHash(StableHash(key(record)), 2);
    CHECK(workers.Sorted() == std::vector<int64_t>(count, expected));
  }
}

}  // namespace
}  // namespace headway::internal
