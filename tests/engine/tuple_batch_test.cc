// Pairs and tuples with strings in columns: what goes in comes out, as views, on any number of
// workers and processes.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "headway/tests/comm/test_seed.h"
#include "headway/tests/engine/batch_helpers.h"
#include "headway/tests/engine/run_helpers.h"
#include "thread_cluster.h"

namespace headway {
namespace {

struct Place {
  int32_t row;
  double column;
  friend bool operator==(const Place&, const Place&) = default;
};

using Count = std::pair<std::string, int64_t>;
using Line = std::tuple<uint32_t, std::string, bool, std::string, Place>;

static_assert(std::is_same_v<Batch<Count>, TupleBatch<Count>>);
static_assert(std::is_same_v<Batch<Line>, TupleBatch<Line>>);
static_assert(std::is_same_v<ReadType<Count>, std::pair<BatchString, int64_t>>);
// Nothing to keep in columns, and what cannot be read where it arrives.
static_assert(std::is_same_v<Batch<std::pair<int, int>>, VectorBatch<std::pair<int, int>>>);
using Nested = std::pair<std::string, std::vector<int>>;
static_assert(std::is_same_v<Batch<Nested>, VectorBatch<Nested>>);
static_assert(std::is_same_v<RecordOfT<std::pair<std::string_view, std::tuple<BatchString, int>>>,
                             std::pair<std::string, std::tuple<std::string, int>>>);

std::string RandomText(std::mt19937_64& random, size_t longest) {
  std::string text(random() % (longest + 1), 'a');
  for (char& c : text) c = static_cast<char>('a' + random() % 26);
  return text;
}
Line RandomLine(std::mt19937_64& random, size_t longest) {
  return {static_cast<uint32_t>(random()), RandomText(random, longest), random() % 2 == 0,
          RandomText(random, longest),
          Place{static_cast<int32_t>(random()), static_cast<double>(random())}};
}

void CheckContent(const Batch<Line>& batch, const std::vector<Line>& expected) {
  REQUIRE(batch.size() == expected.size());
  size_t i = 0;
  for (const auto& record : batch) {
    REQUIRE(Line(record) == expected[i]);
    REQUIRE(StableHash(record) == StableHash(expected[i]));
    for (const BatchString string : {std::get<1>(record), std::get<3>(record)}) {
      // To the sanitizers it matters that all of it is read.
      const std::string with_beyond(string.data(), string.size() + BatchString::kReadableBeyond);
      REQUIRE(with_beyond.starts_with(string));
    }
    ++i;
  }
}

TEST_CASE("tuples go in until the block is full, and come out of copies of copies") {
  const uint64_t seed = internal::TestSeed("tuple batch");
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  Pool pool;
  for (const size_t longest : {0, 1, 15, 16, 17, 40, 5'000, 100'000}) {
    CAPTURE(longest);
    std::vector<Line> expected;
    Batch<Line> batch;
    while (true) {
      Line line = RandomLine(random, longest);
      if (expected.empty()) batch.Allocate(*pool.endpoint, line);
      if (!batch.TryAppend(line)) break;
      expected.push_back(std::move(line));
    }
    REQUIRE(!expected.empty());
    CheckContent(batch, expected);

    Batch<Line> copy;
    copy.CopyFrom(*pool.endpoint, batch);
    CheckContent(copy, expected);

    // What is seen in a batch goes into another one.
    Batch<Line> appended;
    std::vector<Line> taken;
    for (size_t i = 0; i < batch.size(); ++i) {
      if (!appended.TryAppend(batch.Take(i))) {
        CheckContent(appended, taken);
        taken.clear();
        appended = Batch<Line>();
        appended.Allocate(*pool.endpoint, batch[i]);
        REQUIRE(appended.TryAppend(batch.Take(i)));
      }
      taken.push_back(expected[i]);
    }
    Batch<Line> adopted(pool.endpoint, appended.Release());
    CheckContent(adopted, taken);
    for (const size_t divisor : {2, 8}) {
      taken.resize(taken.size() / divisor);
      adopted.Truncate(taken.size());
      adopted.Shrink(*pool.endpoint);
      CheckContent(adopted, taken);
    }
  }
}

TEST_CASE("a block from another process is taken as it is, unless it holds no such tuples") {
  const uint64_t seed = internal::TestSeed("received tuple batch");
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  Pool pool;
  internal::SlabPool* slabs = internal::SlabPool::Create();
  for (int round = 0; round < 100; ++round) {
    std::vector<Line> expected;
    Batch<Line> batch;
    for (size_t n = 1 + random() % 20; n > 0; --n) {
      Line line = RandomLine(random, 30);
      if (expected.empty()) batch.Allocate(*pool.endpoint, line);
      REQUIRE(batch.TryAppend(line));
      expected.push_back(std::move(line));
    }
    internal::Block* received = SendAndReceive<Batch<Line>>(*pool.endpoint, batch.Release(), slabs);
    REQUIRE(Batch<Line>::CheckParts(*received));

    auto* row =
        reinterpret_cast<internal::TupleRow<Line>*>(received->payload() + received->capacity) - 1 -
        random() % expected.size();
    const internal::TupleRow<Line> good = *row;
    internal::PlainElementAt<2>(row->plain) = 2;  // no bool
    CHECK(!Batch<Line>::CheckParts(*received));
    *row = good;
    row->ends[random() % 2] = UINT32_MAX;
    CHECK(!Batch<Line>::CheckParts(*received));
    *row = good;
    if (row->ends[0] > 0) {
      row->ends[1] = row->ends[0] - 1;  // ends before it begins
      CHECK(!Batch<Line>::CheckParts(*received));
      *row = good;
    }
    const uint32_t count = std::exchange(received->record_count, UINT32_MAX);
    CHECK(!Batch<Line>::CheckParts(*received));
    received->record_count = count;
    CheckContent(Batch<Line>(pool.endpoint, received), expected);
  }
  slabs->Release();
}

std::string Word(int64_t n) { return "word number " + std::to_string(n % 37); }

// Each worker's numbers as words with counts, summed by word and told as text.
TEST_CASE("steps take and give pairs with strings, on any number of workers and processes") {
  constexpr int64_t kNumbers = 1'000;  // of each worker
  for (const Shape shape : kShapes) {
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    Collected<std::tuple<std::string, int64_t, std::string>> seen;
    const Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", NumbersOfEachWorker(kNumbers)) | Map("words", [](int64_t n) {
        return Count(Word(n), n);
      }) | Filter("some", [](const std::pair<std::string_view, int64_t>& count) {
        return count.second % 2 == 0;
      }) | Exchange("spread", [](const auto& count) {
        return count.first;
      }) | Map("swap", [](std::pair<std::string_view, int64_t> count) {
        return std::pair(count.second, count.first);  // a view, which becomes a string
      }) | KeyOn("key", [](const auto& swapped) {
        return swapped.second;
      }) | Map("flat", [](const auto& keyed) {
        return std::pair(std::string(keyed.first), keyed.second.first);
      }) | StatefulMap<int64_t>("sum", [](std::optional<int64_t>& sum, int64_t n) {
        sum = sum.value_or(0) + n;
        return *sum;
      }) | Map("text", [](std::pair<std::string_view, int64_t> sum) {
        return std::tuple(sum.first, sum.second, std::to_string(sum.second));
      }) | Inspect("see", [&](const std::tuple<BatchString, int64_t, BatchString>& line) {
        seen.Add(
            {std::string(std::get<0>(line)), std::get<1>(line), std::string(std::get<2>(line))});
      });
    });
    CheckOk(RunInShape(flow, shape));
    // The last sum of each word is its largest.
    std::map<std::string, int64_t> last;
    for (const auto& [word, sum, text] : seen.InOrder()) {
      CHECK(text == std::to_string(sum));
      last[word] = std::max(last[word], sum);
    }
    std::map<std::string, int64_t> expected;
    for (int64_t n = 0; n < kNumbers * shape.total(); n += 2) expected[Word(n)] += n;
    CHECK(last == expected);
    CHECK(seen.size() == static_cast<size_t>(kNumbers / 2 * shape.total()));
  }
}

TEST_CASE("a pair with a string is counted as a key") {
  for (const Shape shape : {Shape{1, 2}, Shape{2, 2}}) {
    CAPTURE(shape.processes);
    Collected<std::pair<Count, int64_t>> counts;
    const Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", NumbersOfEachWorker(100)) |
          Map("words", [](int64_t n) { return Count(Word(n % 5), n % 2); }) | CountFinal("count") |
          CollectInto("see", counts);
    });
    CheckOk(RunInShape(flow, shape));
    std::vector<std::pair<Count, int64_t>> expected;
    for (int64_t word = 0; word < 5; ++word) {
      for (int64_t odd : {0, 1}) expected.push_back({{Word(word), odd}, 10 * shape.total()});
    }
    CHECK(counts.Sorted() == expected);
  }
}

}  // namespace
}  // namespace headway
