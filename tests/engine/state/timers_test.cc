// Timers against a slow, obvious model.
#include "engine/state/timers.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/comm/test_seed.h"
#include "tests/engine/run_helpers.h"

namespace headway {
namespace {

using Bytes = std::vector<std::byte>;
using Entries = std::map<std::pair<Bytes, Bytes>, bool>;  // (key, part): whether it is set

constexpr std::byte kTag{7};

template <class K>
K KeyOf(int number);
template <>
int64_t KeyOf<int64_t>(int number) {
  return number;
}
template <>
std::string KeyOf<std::string>(int number) {
  return std::string(static_cast<size_t>(number % 40), 'x') + std::to_string(number);
}

// Applies the changes of a snapshot.
template <class K>
void TakeSnapshot(Timers<K, int64_t>& timers, Entries& entries) {
  timers.Snapshot([&](const StateEntry& entry) {
    const std::pair id(Bytes(entry.key.begin(), entry.key.end()),
                       Bytes(entry.part.begin(), entry.part.end()));
    if (entry.state.has_value()) {
      entries[id] = true;
    } else {
      entries.erase(id);
    }
  });
}

template <class K>
std::set<std::pair<int64_t, K>> Contents(const Timers<K, int64_t>& timers) {
  std::set<std::pair<int64_t, K>> contents;
  timers.ForEach([&](const K& key, int64_t time) { contents.insert({time, key}); });
  return contents;
}

template <class K>
void RunAgainstModel(uint64_t seed) {
  std::mt19937_64 random(seed);
  auto below = [&](uint64_t end) { return static_cast<int>(random() % end); };
  Timers<K, int64_t> timers(kTag);
  timers.TrackChanges();
  std::set<std::pair<int64_t, K>> model;
  Entries entries;
  int64_t now = -50;
  // Phases with few and many timers, so that the containers grow and shrink.
  for (int phase = 0; phase < 8; ++phase) {
    const int keys = phase % 2 == 0 ? 200 : 5;
    for (int i = 0; i < 3000; ++i) {
      const K key = KeyOf<K>(below(static_cast<uint64_t>(keys)));
      const int64_t time = now + below(30);
      switch (below(4)) {
        case 0:
        case 1:
          REQUIRE(timers.Set(key, time) == model.insert({time, key}).second);
          break;
        case 2:
          REQUIRE(timers.Cancel(key, time) == (model.erase({time, key}) > 0));
          break;
        default: {
          now += below(2);
          std::optional<std::pair<K, int64_t>> due = timers.TakeDue(now);
          REQUIRE(due.has_value() == (!model.empty() && model.begin()->first <= now));
          if (due.has_value()) {
            CHECK(due->second == model.begin()->first);
            REQUIRE(model.erase({due->second, due->first}) == 1);
          }
        }
      }
      REQUIRE(timers.size() == model.size());
      REQUIRE(timers.First() ==
              (model.empty() ? std::nullopt : std::optional(model.begin()->first)));
      CHECK(timers.heap_size() <= 2 * timers.size() + 64);
    }
    CHECK(Contents(timers) == model);
    TakeSnapshot(timers, entries);
    Timers<K, int64_t> restored(kTag);
    for (const auto& [id, is_set] : entries) {
      CheckOk(restored.Restore({id.first, std::span<const std::byte>(), id.second}));
    }
    CHECK(Contents(restored) == model);
  }
}

TEST_CASE("timers are those of a model, whatever is set, cancelled and taken") {
  const uint64_t seed = internal::TestSeed("timers");
  CAPTURE(seed);
  RunAgainstModel<int64_t>(seed);
  RunAgainstModel<std::string>(seed + 1);
}

TEST_CASE("a timer of a NaN is set once, and found again") {
  const double nan = std::nan("");
  Timers<double, int64_t> timers(kTag);
  CHECK(timers.Set(nan, 5));
  CHECK_FALSE(timers.Set(-std::nan("7"), 5));
  CHECK(timers.Set(0.0, 6));
  CHECK(timers.Cancel(-0.0, 6));
  CHECK(timers.TakeDue(5).has_value());
  CHECK(timers.empty());
}

TEST_CASE("timers of one time come in an order that does not depend on their history") {
  Timers<int64_t, int64_t> forwards(kTag);
  Timers<int64_t, int64_t> backwards(kTag);
  for (int64_t key = 0; key < 100; ++key) {
    forwards.Set(key, 5);
    backwards.Set(99 - key, 5);
  }
  for (int i = 0; i < 100; ++i) CHECK(forwards.TakeDue(5) == backwards.TakeDue(5));
  CHECK(forwards.empty());
}

TEST_CASE("a timer that moves with each record of its key costs the memory of one") {
  Timers<std::string, Epoch> timers(kTag);
  for (int key = 0; key < 10; ++key) timers.Set(std::to_string(key), 0);
  for (Epoch time = 0; time < 100'000; ++time) {
    const std::string key = std::to_string(time % 10);
    const Epoch set = time < 10 ? 0 : time - 9;
    REQUIRE(timers.Cancel(key, set));
    REQUIRE(timers.Set(key, time + 1));
    REQUIRE(timers.size() == 10);
    REQUIRE(timers.heap_size() <= 84);
  }
}

TEST_CASE("a timer that is set again after a cancellation fires once") {
  Timers<int64_t, int64_t> timers(kTag);
  for (int i = 0; i < 10; ++i) {
    CHECK(timers.Set(1, 5));
    CHECK_FALSE(timers.Set(1, 5));
    CHECK(timers.Cancel(1, 5));
    CHECK_FALSE(timers.Cancel(1, 5));
  }
  CHECK(timers.Set(1, 5));
  CHECK_FALSE(timers.TakeDue(4).has_value());
  CHECK(timers.TakeDue(5) == std::pair<int64_t, int64_t>(1, 5));
  CHECK_FALSE(timers.TakeDue(5).has_value());
  CHECK_FALSE(timers.First().has_value());
}

// The number of entries of a snapshot, and of the tombstones among them.
template <class K>
std::pair<int, int> EntriesOf(Timers<K, int64_t>& timers) {
  std::pair<int, int> counts;
  timers.Snapshot([&](const StateEntry& entry) {
    ++counts.first;
    counts.second += entry.state.has_value() ? 0 : 1;
  });
  return counts;
}

TEST_CASE("a timer that is set and gone between two snapshots leaves nothing in them") {
  Timers<std::string, int64_t> timers(kTag);
  timers.TrackChanges();
  timers.Set("stays", 1'000'000);
  CHECK(EntriesOf(timers) == std::pair(1, 0));
  for (int64_t time = 0; time < 10'000; ++time) {
    timers.Set(std::to_string(time), time);
    if (time % 2 == 0) {
      timers.Cancel(std::to_string(time), time);
    } else {
      REQUIRE(timers.TakeDue(time).has_value());
    }
    if (time % 100 == 0) REQUIRE(EntriesOf(timers) == std::pair(0, 0));
  }
}

TEST_CASE("the changes of timers survive when the memory shrinks") {
  Timers<int64_t, int64_t> timers(kTag);
  timers.TrackChanges();
  for (int64_t key = 0; key < 5000; ++key) timers.Set(key, key);
  CHECK(EntriesOf(timers) == std::pair(5000, 0));
  timers.Set(-1, 10'000);
  for (int64_t key = 0; key < 4999; ++key) REQUIRE(timers.TakeDue(key).has_value());
  CHECK(EntriesOf(timers) == std::pair(5000, 4999));
  timers.Cancel(4999, 4999);
  timers.Cancel(-1, 10'000);
  CHECK(EntriesOf(timers) == std::pair(2, 2));
}

TEST_CASE("a restored timer counts as stored") {
  Timers<int64_t, int64_t> timers(kTag);
  timers.TrackChanges();
  timers.Set(1, 5);
  Entries entries;
  TakeSnapshot(timers, entries);
  for (bool tracked_before : {true, false}) {
    Timers<int64_t, int64_t> restored(kTag);
    if (tracked_before) restored.TrackChanges();
    for (const auto& [id, is_set] : entries) {
      CheckOk(restored.Restore({id.first, std::span<const std::byte>(), id.second}));
    }
    if (!tracked_before) restored.TrackChanges();
    CHECK(EntriesOf(restored) == std::pair(0, 0));
    restored.TakeDue(5);
    CHECK(EntriesOf(restored) == std::pair(1, 1));
  }
}

TEST_CASE("a stored timer that cannot be decoded is refused") {
  Timers<std::string, int64_t> timers(kTag);
  timers.TrackChanges();
  timers.Set("key", 77);
  Entries entries;
  TakeSnapshot(timers, entries);
  REQUIRE(entries.size() == 1);
  const auto& [key, part] = entries.begin()->first;
  auto check = [&](std::span<const std::byte> stored_key, std::span<const std::byte> stored_part) {
    Timers<std::string, int64_t> restored(kTag);
    CheckError(restored.Restore({stored_key, std::span<const std::byte>(), stored_part}),
               absl::StatusCode::kDataLoss, {"stored timer"});
    CHECK(restored.empty());
  };
  for (size_t size = 0; size < key.size(); ++size) check(std::span(key).first(size), part);
  for (size_t size = 0; size < part.size(); ++size) check(key, std::span(part).first(size));
  Bytes other_tag = part;
  other_tag[0] = std::byte{8};
  check(key, other_tag);
}

}  // namespace
}  // namespace headway
