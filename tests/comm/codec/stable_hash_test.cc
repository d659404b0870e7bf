#include "comm/codec/stable_hash.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "doctest/doctest.h"

namespace stable_hash_test {

struct Key {
  int tenant = 0;
  std::string name;
};

class Ticker {
 public:
  explicit Ticker(std::string symbol) : symbol_(std::move(symbol)) {}
  uint64_t HeadwayStableHash() const { return headway::StableHash(symbol_); }

 private:
  std::string symbol_;
};

class Id {
 public:
  explicit Id(uint64_t value) : value_(value) {}
  friend uint64_t HeadwayStableHash(const Id& id) { return id.value_; }  // weak on purpose

 private:
  uint64_t value_;
};

class Range {
 public:
  Range(int from, int to) : from_(from), to_(to) {}
  HEADWAY_CODEC_FIELDS(Range, from_, to_);

 private:
  int from_;
  int to_;
};

class Opaque {
 public:
  Opaque() = default;
  Opaque(const Opaque&) {}

 private:
  [[maybe_unused]] int value_ = 0;
};

enum class Color : int8_t { kRed = -1, kGreen = 7 };

namespace {

using headway::RouteHash;
using headway::StableHash;
using headway::StableHashable;

TEST_CASE("the hash of a value never changes, as recovery stores depend on it") {
  CHECK(StableHash(0) == 0xb70fb2cc55af013fu);
  CHECK(StableHash(1) == 0x087164d5c9e6ae5eu);
  CHECK(StableHash(-1) == 0x560d5c599c8c5172u);
  CHECK(StableHash(1.5) == 0x65bdc224790703dbu);
  CHECK(StableHash("") == 0x79057fdc07fff173u);
  CHECK(StableHash("a") == 0x741496b89097d840u);
  CHECK(StableHash("word") == 0xddb45dd67a7260f7u);
  CHECK(StableHash("headway") == 0x348024b9d5698b6du);
  CHECK(StableHash("eightby8") == 0x123f81efa42aaa13u);
  CHECK(StableHash("exactly 16 bytes") == 0x38aaf928fabe5299u);
  CHECK(StableHash("exactly 17 bytes!") == 0x8c44908a46a11df6u);
  CHECK(StableHash("this string takes up 32 bytes...") == 0xd56f915fb25e1df5u);
  CHECK(StableHash("this string takes up 33 bytes....") == 0xe8b16a72ed3712b5u);
  CHECK(StableHash(std::string(100, 'x')) == 0x3c9bfaf5d53e14e3u);
  CHECK(StableHash(std::pair<int, std::string>(1, "one")) == 0xa17e96550a9800b7u);
  CHECK(StableHash(std::vector<int>{1, 2, 3}) == 0x447cdda7d7c96f61u);
  CHECK(StableHash(std::optional<int>()) == 0xb70fb2cc55af013fu);
  CHECK(StableHash(std::optional<int>(1)) == 0x05bb49603ca12ff2u);
  CHECK(StableHash(std::variant<int, bool>(true)) == 0x05bb49603ca12ff2u);
  CHECK(StableHash(Key{1, "one"}) == 0xa17e96550a9800b7u);
  CHECK(StableHash(Id(3)) == 0x90fa784dff59df1du);
  CHECK(StableHash(std::unordered_set<int>{1, 2, 3}) == 0x6dfc56748169d7feu);
}

TEST_CASE("integers of the same value hash equal, whatever their type") {
  CHECK(StableHash(int8_t{-1}) == StableHash(int64_t{-1}));
  CHECK(StableHash(uint8_t{255}) == StableHash(int64_t{255}));
  CHECK(StableHash(int16_t{7}) == StableHash(uint64_t{7}));
  CHECK(StableHash(true) == StableHash(1));
  CHECK(StableHash(Color::kGreen) == StableHash(7));
  CHECK(StableHash(Color::kRed) == StableHash(-1));
  CHECK(StableHash('\xff') == StableHash(255));
  CHECK(StableHash(headway::internal::Uint128{7}) == StableHash(7));
  CHECK(StableHash(headway::internal::Uint128{7} << 64) != StableHash(7));
}

TEST_CASE("floating point numbers that compare equal hash equal, and all NaN do") {
  CHECK(StableHash(0.0) == StableHash(-0.0));
  CHECK(StableHash(0.0f) == StableHash(-0.0));
  CHECK(StableHash(1.5f) == StableHash(1.5));
  CHECK(StableHash(std::nan("1")) == StableHash(-std::nan("2")));
  CHECK(StableHash(1.5) != StableHash(-1.5));
}

TEST_CASE("a string, its view and a literal hash equal, at any address") {
  const std::string text =
      "the quick brown fox jumps over the lazy dog, twice: the quick brown fox";
  for (size_t length = 0; length <= text.size(); ++length) {
    const std::string copy = text.substr(0, length);
    std::string shifted = "?";
    shifted += copy;
    CHECK(StableHash(copy) == StableHash(std::string_view(shifted).substr(1)));
  }
  CHECK(StableHash("word") == StableHash(std::string("word")));
  CHECK(StableHash(std::string("a\0b", 3)) != StableHash("a"));
}

TEST_CASE("every byte and the length of a string count") {
  std::set<uint64_t> hashes;
  size_t count = 0;
  for (size_t length = 0; length <= 100; ++length) {
    hashes.insert(StableHash(std::string(length, '\0')));
    ++count;
    for (size_t i = 0; i < length; ++i) {
      for (int bit = 0; bit < 8; ++bit) {
        std::string text(length, '\0');
        text[i] = static_cast<char>(1 << bit);
        hashes.insert(StableHash(text));
        ++count;
      }
    }
  }
  CHECK(hashes.size() == count);
}

TEST_CASE("the order, the number and the nesting of elements count") {
  CHECK(StableHash(std::pair(1, 2)) != StableHash(std::pair(2, 1)));
  CHECK(StableHash(std::vector<int>{0}) != StableHash(std::vector<int>{0, 0}));
  CHECK(StableHash(std::optional<int>()) != StableHash(std::optional<int>(0)));
  CHECK(StableHash(std::variant<int, bool>(1)) != StableHash(std::variant<int, bool>(true)));
  using Nested = std::vector<std::vector<int>>;
  CHECK(StableHash(Nested{{1}, {}}) != StableHash(Nested{{}, {1}}));
  CHECK(StableHash(std::pair<std::string, std::string>("ab", "c")) !=
        StableHash(std::pair<std::string, std::string>("a", "bc")));
}

TEST_CASE("the order of an unordered container does not count") {
  std::unordered_map<int, std::string> up(1);
  std::unordered_map<int, std::string> down(1000);
  for (int i = 0; i < 100; ++i) {
    up.emplace(i, std::to_string(i));
    down.emplace(99 - i, std::to_string(99 - i));
  }
  CHECK(StableHash(up) == StableHash(down));
  down[5] = "six";
  CHECK(StableHash(up) != StableHash(down));
}

TEST_CASE("a program's own type is hashed by its fields or by its own function") {
  CHECK(StableHash(Key{1, "a"}) == StableHash(Key{1, "a"}));
  CHECK(StableHash(Key{1, "a"}) != StableHash(Key{2, "a"}));
  CHECK(StableHash(Key{1, "a"}) != StableHash(Key{1, "b"}));
  CHECK(StableHash(Ticker("A")) == StableHash(Ticker("A")));
  CHECK(StableHash(Ticker("A")) != StableHash(Ticker("B")));
  CHECK(StableHash(Range(1, 2)) != StableHash(Range(2, 1)));
  CHECK(StableHash(std::vector<Id>{Id(1)}) != StableHash(std::vector<Id>{Id(2)}));
}

TEST_CASE("what has no stable value has no stable hash") {
  static_assert(!StableHashable<int*>);
  static_assert(!StableHashable<const char*>);
  static_assert(!StableHashable<std::unique_ptr<int>>);
  static_assert(!StableHashable<std::pair<int, const char*>>);
  static_assert(!StableHashable<std::variant<int, int*>>);
  static_assert(!StableHashable<Opaque>);
  static_assert(!StableHashable<std::vector<Opaque>>);
  static_assert(StableHashable<std::map<std::string, std::array<Key, 2>>>);
}

TEST_CASE("a route is in range, and each end of the hashes belongs to one end of the targets") {
  CHECK(RouteHash(0, 1) == 0);
  CHECK(RouteHash(std::numeric_limits<uint64_t>::max(), 1) == 0);
  CHECK(RouteHash(std::numeric_limits<uint64_t>::max() / 2, 2) == 0);
  CHECK(RouteHash(std::numeric_limits<uint64_t>::max() / 2 + 1, 2) == 1);
  CHECK(RouteHash(0, 7) == 0);
  CHECK(RouteHash(std::numeric_limits<uint64_t>::max(), 7) == 6);
  constexpr int kMax = std::numeric_limits<int>::max();
  CHECK(RouteHash(std::numeric_limits<uint64_t>::max(), kMax) == kMax - 1);
}

// Chi-square of `counts` against an equal share, in standard deviations from its mean under chance.
double ExcessOfChiSquare(const std::vector<int>& counts) {
  double total = 0;
  for (int count : counts) total += count;
  const double expected = total / static_cast<double>(counts.size());
  double chi_square = 0;
  for (int count : counts) chi_square += (count - expected) * (count - expected) / expected;
  const double freedom = static_cast<double>(counts.size() - 1);
  return (chi_square - freedom) / std::sqrt(2 * freedom);
}

// Checks the routes, the low bits, and the low bits of the keys of one target, which the hash
// tables of a worker use.
void CheckDistribution(const char* keys, const std::function<uint64_t(int)>& hash_of_key) {
  INFO(keys);
  constexpr int kKeys = 200000;
  constexpr double kBound = 5;  // the keys are fixed, so the test passes or fails for good
  std::vector<uint64_t> hashes;
  for (int i = 0; i < kKeys; ++i) hashes.push_back(hash_of_key(i));
  for (int targets : {2, 3, 7, 8, 64, 1000}) {
    std::vector<int> routes(static_cast<size_t>(targets));
    for (const uint64_t hash : hashes) ++routes[static_cast<size_t>(RouteHash(hash, targets))];
    INFO("targets ", targets);
    CHECK(ExcessOfChiSquare(routes) < kBound);
  }
  std::vector<int> low(1024);
  std::vector<int> low_of_target(1024);
  for (const uint64_t hash : hashes) {
    ++low[hash % 1024];
    if (RouteHash(hash, 8) == 5) ++low_of_target[hash % 1024];
  }
  CHECK(ExcessOfChiSquare(low) < kBound);
  CHECK(ExcessOfChiSquare(low_of_target) < kBound);
}

TEST_CASE("keys spread evenly over routes and over the low bits") {
  CheckDistribution("sequential", [](int i) { return StableHash(i); });
  CheckDistribution("negative", [](int i) { return StableHash(-i); });
  CheckDistribution("multiples of 4096", [](int i) { return StableHash(int64_t{i} << 12); });
  CheckDistribution("high half", [](int i) { return StableHash(uint64_t(i) << 32); });
  CheckDistribution("whole doubles", [](int i) { return StableHash(double(i)); });
  CheckDistribution("words", [](int i) { return StableHash("word" + std::to_string(i)); });
  CheckDistribution("long words", [](int i) {
    return StableHash("a long prefix that all of these keys have/" + std::to_string(i) + "/tail");
  });
  CheckDistribution("pairs", [](int i) { return StableHash(std::pair(i % 1000, i / 1000)); });
  CheckDistribution("vectors", [](int i) { return StableHash(std::vector{i % 10, i / 10}); });
  CheckDistribution("own hash", [](int i) { return StableHash(Id(uint64_t(i))); });
}

TEST_CASE("a changed bit of an integer changes about half of the bits of its hash") {
  for (int bit = 0; bit < 64; ++bit) {
    int changed = 0;
    constexpr int kKeys = 1000;
    for (int i = 0; i < kKeys; ++i) {
      const uint64_t key = static_cast<uint64_t>(i);
      changed += std::popcount(StableHash(key) ^ StableHash(key ^ (uint64_t{1} << bit)));
    }
    INFO("bit ", bit);
    CHECK(std::abs(changed - 32 * kKeys) < 2 * kKeys);
  }
}

}  // namespace
}  // namespace stable_hash_test
