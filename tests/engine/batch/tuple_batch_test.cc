// Pairs and tuples with strings in columns: batches return the records that were appended, as
// views, on any number of workers and processes.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <ranges>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "tests/comm/test_seed.h"
#include "tests/engine/batch/batch_helpers.h"
#include "tests/engine/run_helpers.h"
#include "tests/engine/thread_cluster.h"

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
static_assert(std::is_same_v<ReadType<Count>, const std::pair<BatchString, int64_t>>);
static_assert(std::is_same_v<TakeType<Count>, std::pair<BatchString, int64_t>>);
// Changing the element of a loop would not change the batch, and does not compile.
static_assert(std::is_same_v<decltype(*std::declval<Batch<Count>&>().begin()), ReadType<Count>>);
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
    CheckCopies<Line>(*pool.endpoint, batch, expected, CheckContent);
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

// A record is put together when it is read, so what refers to its plain elements has to be a copy
// before the record is gone.
TEST_CASE("keys that are views into a plain element of a pair") {
  using Named = std::pair<std::string, std::array<char, 8>>;
  for (const Shape shape : {Shape{1, 1}, Shape{1, 3}, Shape{2, 1}}) {
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    Collected<std::pair<std::string, int64_t>> counts;
    Collected<std::string> keys;
    const Dataflow flow("flow", [&](Scope<>& scope) {
      const auto key = [](const auto& named) { return std::string_view(named.second.data()); };
      Stream<Named> named =
          scope.Input("numbers", NumbersOfEachWorker(100)) | Map("name", [](int64_t n) {
            Named result{Word(n), {}};
            result.second = {'k', 'e', 'y', static_cast<char>('0' + n % 5)};
            return result;
          });
      named | CountFinal("count", key) | CollectInto("see", counts);
      named | KeyOn("key", key) |
          Inspect("keys", [&](const auto& keyed) { keys.Add(std::string(keyed.first)); });
    });
    CheckOk(RunInShape(flow, shape));
    std::vector<std::pair<std::string, int64_t>> expected;
    for (int64_t i = 0; i < 5; ++i) {
      expected.push_back({"key" + std::to_string(i), 20 * shape.total()});
    }
    CHECK(counts.Sorted() == expected);
    std::vector<std::string> expected_keys;
    for (const auto& [key, count] : expected) expected_keys.insert(expected_keys.end(), count, key);
    CHECK(keys.Sorted() == expected_keys);
  }
}

// Enough of them for the range to stop for credit.
TEST_CASE("the range that a record becomes may refer to it") {
  static constexpr int64_t kEach = 2'000;
  for (const int workers : kWorkerCounts) {
    CAPTURE(workers);
    Collected<Count> of_pairs;
    Collected<Count> of_strings;
    const std::vector<Count> records = {{"a word", 0}, {"another, which is longer", 0}};
    const std::vector<std::string> words = {records[0].first, records[1].first};
    const Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("pairs", TestingSource(records)) |
          FlatMap("several",
                  [](const auto& record) -> Generator<Count> {
                    for (int64_t i = 0; i < kEach; ++i)
                      co_yield Count(record.first, i + record.second);
                  }) |
          Exchange("spread_pairs") | CollectInto("see_pairs", of_pairs);
      scope.Input("strings", TestingSource(words)) |
          FlatMap("copies",
                  [](const auto& word) {
                    return std::views::iota(int64_t{0}, kEach) |
                           std::views::transform([&word](int64_t i) { return std::pair(word, i); });
                  }) |
          Exchange("spread_strings") | CollectInto("see_strings", of_strings);
    });
    CheckOk(RunMain(flow, {.worker_count = workers, .max_bytes_in_flight = 16'384}));
    std::vector<Count> expected;
    for (const std::string& word : words) {
      for (int64_t i = 0; i < kEach; ++i) expected.push_back({word, i});
    }
    CHECK(of_pairs.Sorted() == expected);
    CHECK(of_strings.Sorted() == expected);
  }
}

}  // namespace
}  // namespace headway
