// The hash table against a model, with keys of each kind.
#include "engine/state/flat_table.h"

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "tests/comm/test_seed.h"
#include "tests/sanitizers.h"

namespace headway {
namespace {

// A value that the sanitizers see leak, or be used after its end.
using Value = std::unique_ptr<uint64_t>;

uint64_t& Number(Value& value) {
  if (value == nullptr) value = std::make_unique<uint64_t>(0);
  return *value;
}

template <class K>
std::map<K, uint64_t> Content(const FlatTable<K, Value>& table) {
  std::map<K, uint64_t> content;
  table.ForEach([&](typename FlatTable<K, Value>::View key, const Value& value) {
    CHECK(content.emplace(K(key), *value).second);
  });
  CHECK(content.size() == table.size());
  return content;
}

// Random operations, on the table and on a model. `key(n)` is one of few keys, so that they meet.
template <class K, class KeyOf>
void CompareWithModel(const char* test, KeyOf key) {
  const uint64_t seed = internal::TestSeed(test);
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (const uint64_t keys : {3, 50, 2000}) {
    CAPTURE(keys);
    FlatTable<K, Value> table;
    std::map<K, uint64_t> model;
    auto some_key = [&] { return key(random() % keys); };
    for (int step = 0; step < Repeated(20'000, 3'000); ++step) {
      const K k = some_key();
      switch (random() % 16) {
        case 0: {
          Value* found = table.Find(k);
          REQUIRE((found != nullptr) == model.contains(k));
          if (found != nullptr) REQUIRE(**found == model[k]);
          break;
        }
        case 1:
        case 2:
        case 3:
        case 4:
        case 5:
          REQUIRE(table.Erase(k) == (model.erase(k) == 1));
          break;
        case 6: {
          std::vector<K> batch(random() % 50);
          for (K& element : batch) element = some_key();
          size_t next = 0;
          table.AtEach(
              batch.size(), [&](size_t i) -> const K& { return batch[i]; },
              [&](size_t i, Value& value) {
                REQUIRE(i == next++);
                REQUIRE(++Number(value) == ++model[batch[i]]);
              });
          REQUIRE(next == batch.size());
          break;
        }
        case 7: {  // as StatefulMap: erases keys that are present, adds absent ones
          std::vector<K> batch(random() % 50);
          for (K& element : batch) element = some_key();
          table.FindEach(
              batch.size(), [&](size_t i) -> const K& { return batch[i]; },
              [&](size_t i, Value* value) {
                REQUIRE((value != nullptr) == model.contains(batch[i]));
                if (value != nullptr) {
                  table.Erase(batch[i]);
                  model.erase(batch[i]);
                } else {
                  Number(table.At(batch[i])) = model[batch[i]] = random();
                }
              });
          break;
        }
        case 8:
          if (random() % 500 == 0) {
            table.Clear();
            model.clear();
          }
          break;
        case 9: {
          FlatTable<K, Value> moved = std::move(table);
          REQUIRE(table.size() == 0);
          REQUIRE(table.Find(k) == nullptr);
          table = std::move(moved);
          break;
        }
        case 10:
          table.Shrink();
          break;
        case 11:
          table.Reserve(random() % (2 * keys));
          break;
        default:
          Number(table.At(k)) = model[k] = random();
      }
      REQUIRE(table.size() == model.size());
      if (step % 500 == 0) REQUIRE(Content(table) == model);
    }
    CHECK(Content(table) == model);
  }
}

TEST_CASE("a table with integers as keys does what a map does, and 0 is a key like others") {
  CompareWithModel<uint64_t>("flat table, uint64_t", [](uint64_t n) { return n; });
  CompareWithModel<int8_t>("flat table, int8_t", [](uint64_t n) { return static_cast<int8_t>(n); });
}

TEST_CASE("a table with strings of any length as keys does what a map does") {
  CompareWithModel<std::string>("flat table, std::string", [](uint64_t n) {
    std::string text(n % 40, static_cast<char>(n));
    if (!text.empty()) text.back() = static_cast<char>(n / 40);
    return text;
  });
}

TEST_CASE("a table with any other type as key does what a map does") {
  using Key = std::tuple<std::string, uint32_t>;
  CompareWithModel<Key>("flat table, tuple", [](uint64_t n) {
    return Key("a string that is too long to lie in its object", static_cast<uint32_t>(n));
  });
}

// A value that counts how many there are, and whose move throws when `moves_left` is used up.
struct Fragile {
  Fragile() { ++alive; }
  Fragile(Fragile&&) {
    if (moves_left-- == 0) throw std::bad_alloc();
    ++alive;
  }
  ~Fragile() { --alive; }

  static inline int alive = 0;
  static inline int moves_left = 0;
};

TEST_CASE("when the move of a value throws, no value is destroyed twice, and none is left over") {
  for (const bool by_growing : {true, false}) {
    for (int moves = 0; moves < 12; ++moves) {
      CAPTURE(by_growing);
      CAPTURE(moves);
      {
        FlatTable<std::string, Fragile> table;
        Fragile::moves_left = 1'000'000;
        // Full, so that keys are not all in their first slot.
        std::vector<std::string> keys;
        while (table.LongestProbe() < 6 || table.size() < 13) {
          keys.push_back("a key too long for its slot, number " + std::to_string(keys.size()));
          table.At(keys.back());
        }
        Fragile::moves_left = moves;
        bool thrown = false;
        try {
          if (by_growing) {
            for (int n = 0; n < 2'000; ++n)
              table.At("another key too long for its slot, number " + std::to_string(n));
          } else {
            for (const std::string& key : keys) table.Erase(key);
          }
        } catch (const std::bad_alloc&) {
          thrown = true;
        }
        CHECK(thrown);
        CHECK(Fragile::alive == static_cast<int>(table.size()));
        size_t seen = 0;
        table.ForEach([&](std::string_view, Fragile&) { ++seen; });
        CHECK(seen == table.size());
      }
      CHECK(Fragile::alive == 0);
    }
  }
}

TEST_CASE("a string in a batch and a plain one are the same key, whatever their length") {
  for (size_t size = 0; size <= 40; ++size) {
    CAPTURE(size);
    for (const char filler : {'\0', 'a', '\xff'}) {
      std::string text;
      for (size_t i = 0; i < size; ++i) text.push_back(static_cast<char>(7 * i + 1));
      const std::string in_batch = text + std::string(BatchString::kReadableBeyond, filler);
      const BatchString view(std::string_view(in_batch).substr(0, size));
      FlatTable<std::string, int> table;
      table.At(view) = 1;
      REQUIRE(table.Find(text) != nullptr);
      CHECK(*table.Find(text) == 1);
      CHECK(table.Find(view) == table.Find(text));
      CHECK(table.Find(text + '\0') == nullptr);
      CHECK(table.Find(text + "x") == nullptr);
      table.ForEach([&](std::string_view key, int) { CHECK(key == text); });
    }
  }
}

TEST_CASE("keys that differ in one place only are different keys") {
  FlatTable<std::string, size_t> table;
  std::vector<std::string> keys;
  for (size_t size : {1, 4, 7, 8, 9, 15, 16, 17, 40}) {
    for (size_t at = 0; at < size; ++at) {
      keys.push_back(std::string(size, 'a'));
      keys.back()[at] = 'b';
    }
  }
  for (size_t i = 0; i < keys.size(); ++i) table.At(keys[i]) = i;
  CHECK(table.size() == keys.size());
  for (size_t i = 0; i < keys.size(); ++i) CHECK(*table.Find(keys[i]) == i);
}

TEST_CASE("the key that makes a table grow may lie in it") {
  FlatTable<std::string, int> table;
  const std::string text = "fifteen letters";
  table.At(text);
  for (size_t size = 0; size < text.size(); ++size) {
    std::string_view inside;
    table.ForEach([&](std::string_view key, int) {
      if (key == text) inside = key;
    });
    table.At(inside.substr(0, size));  // 16 keys: the table grows on the way
  }
  CHECK(table.size() == 16);
  for (size_t size = 0; size < text.size(); ++size) CHECK(table.Find(text.substr(0, size)));
}

TEST_CASE("keys with a pattern do not crowd together") {
  for (const uint64_t stride : {uint64_t{1}, uint64_t{64}, uint64_t{1} << 20, uint64_t{1} << 40}) {
    CAPTURE(stride);
    FlatTable<uint64_t, uint32_t> numbers;
    FlatTable<std::string, uint32_t> words;
    for (uint64_t n = 0; n < Repeated(100'000, 20'000); ++n) {
      numbers.At(n * stride);
      words.At(std::to_string(n * stride).substr(0, 15));
    }
    CHECK(numbers.LongestProbe() < 200);
    CHECK(words.LongestProbe() < 200);
  }
}

TEST_CASE("a table that is filled in the order of another one does not crowd") {
  FlatTable<uint64_t, uint32_t> from;
  FlatTable<uint64_t, uint32_t> to;
  for (uint64_t n = 0; n < Repeated(200'000, 50'000); ++n) from.At(n);
  size_t longest = 0;
  from.ForEach([&](uint64_t key, uint32_t) {
    to.At(key);
    if (to.size() % 5000 == 0) longest = std::max(longest, to.LongestProbe());
  });
  CHECK(longest < 1000);
}

TEST_CASE("a large table is zeroed memory too, and gives it back when it is cleared") {
  FlatTable<uint64_t, uint64_t> table;
  for (int round = 0; round < 2; ++round) {
    uint64_t sum = 0;
    for (uint64_t n = 0; n < 300'000; ++n) sum += ++table.At(n);
    CHECK(sum == 300'000);
    CHECK(table.size() == 300'000);
    table.Clear();
    CHECK(table.size() == 0);
  }
}

}  // namespace
}  // namespace headway
