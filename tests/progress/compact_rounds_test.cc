#include "progress/compact_rounds.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "tests/progress/random.h"

namespace headway {
namespace {

using progress_test::Random;
using progress_test::Seeds;
using Bytes = std::vector<std::byte>;

struct Change {
  uint32_t location;
  int32_t delta;
  std::vector<uint64_t> words;
};

Bytes Round(const std::vector<Change>& changes) {
  Bytes round;
  for (const Change& change : changes) {
    const size_t at = round.size();
    round.resize(at + 8 + 8 * change.words.size());
    std::memcpy(&round[at], &change.location, 4);
    std::memcpy(&round[at + 4], &change.delta, 4);
    std::memcpy(&round[at + 8], change.words.data(), 8 * change.words.size());
  }
  return round;
}

// The output of a reader.
struct Found {
  std::vector<std::pair<uint32_t, Bytes>> rounds;
  bool malformed;
};

Found Read(std::span<const std::byte> bytes, size_t max_bytes = size_t{1} << 20) {
  Found found;
  // Memory of exactly this size, so that the address sanitizer detects a read behind it.
  const Bytes copy(bytes.begin(), bytes.end());
  CompactRoundsReader reader(copy);
  uint32_t dataflow;
  Bytes round;
  while (reader.Next(max_bytes, &dataflow, &round)) found.rounds.push_back({dataflow, round});
  found.malformed = reader.malformed();
  return found;
}

uint64_t AnyNumber(Random& random) {
  switch (random.Below(4)) {
    case 0:
      return random.Below(3);
    case 1:
      return std::numeric_limits<uint64_t>::max() - random.Below(3);
    default:
      return random.Below(std::numeric_limits<uint64_t>::max()) >> random.Below(64);
  }
}

TEST_CASE("rounds of any dataflows, locations and times survive a round trip") {
  for (const uint64_t seed : Seeds(2000)) {
    CAPTURE(seed);
    Random random(seed);
    std::vector<uint32_t> change_bytes(1 + random.Below(300));
    for (uint32_t& bytes : change_bytes) bytes = static_cast<uint32_t>(16 + 8 * random.Below(4));
    CompactRounds rounds;
    std::vector<std::pair<uint32_t, Bytes>> expected;
    for (uint64_t count = random.Below(4); count > 0; --count) {
      std::vector<Change> changes;
      for (uint64_t i = 1 + random.Below(8); i > 0; --i) {
        const auto location = static_cast<uint32_t>(random.Below(change_bytes.size()));
        std::vector<uint64_t> words((change_bytes[location] - 8) / 8);
        for (uint64_t& word : words) word = AnyNumber(random);
        changes.push_back({location, static_cast<int32_t>(AnyNumber(random)), words});
      }
      const auto dataflow = static_cast<uint32_t>(AnyNumber(random));
      expected.push_back({dataflow, Round(changes)});
      rounds.Add(dataflow, expected.back().second, change_bytes);
    }
    const Found found = Read(rounds.bytes());
    REQUIRE_FALSE(found.malformed);
    REQUIRE(found.rounds == expected);
    // A part of the bytes is not enough.
    for (size_t size = 1; size < rounds.bytes().size(); ++size) {
      const Found part = Read(rounds.bytes().first(size));
      REQUIRE((part.malformed || part.rounds.size() < expected.size()));
    }
  }
}

TEST_CASE("an epoch that a process passes takes ten bytes") {
  CompactRounds rounds;
  constexpr uint64_t kEpoch = 1'000'000;
  rounds.Add(1, Round({{3, -4, {kEpoch}}, {3, 4, {kEpoch + 1}}}), std::vector<uint32_t>(4, 16));
  CHECK(rounds.bytes().size() == 10);
}

TEST_CASE("malformed rounds are refused") {
  const auto is_malformed = [](std::initializer_list<int> numbers) {
    Bytes bytes;
    for (const int number : numbers) bytes.push_back(static_cast<std::byte>(number));
    return Read(bytes).malformed;
  };
  CHECK_FALSE(is_malformed({}));
  CHECK_FALSE(is_malformed({1, 1, 0, 2, 0}));
  CHECK(is_malformed({1, 0}));                                      // no change
  CHECK(is_malformed({1, 1, 0, 2}));                                // no time
  CHECK(is_malformed({1, 2, 0, 2, 0}));                             // one change less
  CHECK(is_malformed({1, 1, 3, 2, 0}));                             // three words less
  CHECK(is_malformed({1, 1, 4, 2, 0}));                             // location -1
  CHECK(is_malformed({0x80, 0x80, 0x80, 0x80, 0x10, 1, 0, 2, 0}));  // dataflow 2^32
  CHECK(is_malformed({1, 1, 0, 0x80, 0x80, 0x80, 0x80, 0x10, 0}));  // delta 2^31
  CHECK(Read(Bytes(64, std::byte{0xFF})).malformed);
}

TEST_CASE("a round does not expand beyond the limit") {
  CompactRounds rounds;
  const Bytes round(16 * 100);
  rounds.Add(0, round, std::vector<uint32_t>(1, 16));
  CHECK_FALSE(Read(rounds.bytes(), round.size()).malformed);
  CHECK(Read(rounds.bytes(), round.size() - 1).malformed);
}

TEST_CASE("damaged rounds are refused or read without harm") {
  for (const uint64_t seed : Seeds(5000)) {
    CAPTURE(seed);
    Random random(seed);
    CompactRounds rounds;
    rounds.Add(2, Round({{0, -1, {7}}, {0, 1, {8}}, {1, 300, {1, 2, 3, 4}}}),
               std::vector<uint32_t>{16, 40});
    Bytes bytes(rounds.bytes().begin(), rounds.bytes().end());
    for (uint64_t i = 1 + random.Below(3); i > 0; --i) {
      bytes[random.Below(bytes.size())] = static_cast<std::byte>(random.Below(256));
    }
    for (const auto& [dataflow, round] : Read(bytes, 4096).rounds) {
      CHECK(round.size() <= 4096);
      CHECK(round.size() % 8 == 0);
    }
  }
}

}  // namespace
}  // namespace headway
