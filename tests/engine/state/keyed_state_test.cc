// State under keys: the contents of snapshots, and of the state that is restored from them.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/comm/test_seed.h"
#include "tests/engine/run_helpers.h"

namespace headway {
namespace {

using Bytes = std::vector<std::byte>;
using State = KeyedState<std::string, std::vector<int64_t>>;
using Model = std::map<std::string, std::vector<int64_t>>;

struct Less {
  static std::string_view View(const Bytes& bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  bool operator()(const Bytes& a, const Bytes& b) const { return View(a) < View(b); }
};

// The contents of a store: the latest entry of each key.
struct Store {
  std::map<Bytes, Bytes, Less> entries;
  size_t written = 0;
  size_t tombstones = 0;

  void Take(StateBase& state) {
    written = tombstones = 0;
    state.Snapshot([&](const StateEntry& entry) {
      ++written;
      const Bytes key(entry.key.begin(), entry.key.end());
      if (entry.state.has_value()) {
        entries[key] = Bytes(entry.state->begin(), entry.state->end());
      } else {
        ++tombstones;
        entries.erase(key);
      }
    });
  }
  void RestoreTo(StateBase& state) const {
    for (const auto& [key, value] : entries) CheckOk(state.Restore({key, value}));
  }
};

Model Content(const State& state) {
  Model model;
  state.ForEach(
      [&](std::string_view key, const std::vector<int64_t>& s) { model[std::string(key)] = s; });
  return model;
}

TEST_CASE("snapshots contain what changed since the last one, and tombstones of what is gone") {
  State state;
  Store store;
  state.At("before") = {1};
  store.Take(state);
  CHECK(store.written == 0);  // not tracked yet
  state.TrackChanges();
  state.At("a") = {1, 2};
  state.At("b") = {3};
  state.At("short-lived") = {4};
  state.Erase("short-lived");
  state.Erase("never there");
  store.Take(state);
  CHECK(store.written == 2);
  CHECK(store.tombstones == 0);  // no snapshot has the short-lived key
  store.Take(state);
  CHECK(store.written == 0);
  state.Find("a")->push_back(9);
  state.Erase("b");
  CHECK(state.Find("b") == nullptr);
  store.Take(state);
  CHECK(store.written == 2);
  CHECK(store.tombstones == 1);
  State restored;
  store.RestoreTo(restored);
  CHECK(Content(restored) == Model{{"a", {1, 2, 9}}});
  state.Clear();
  store.Take(state);
  CHECK(store.tombstones == 2);  // "a" and "before"
  CHECK(store.entries.empty());
}

TEST_CASE("keys that live between two snapshots leave nothing in them") {
  KeyedState<int64_t, int64_t> state;
  state.TrackChanges();
  Store store;
  for (int64_t key = 0; key < 10'000; ++key) {
    state.At(key) = key;
    state.Erase(key);
    state.At(key) = key;
    state.Erase(key);
    if (key % 100 == 0) {
      store.Take(state);
      REQUIRE(store.written == 0);
    }
  }
}

TEST_CASE("a restored key counts as stored, whether changes are tracked by then or not") {
  const Bytes value = EncodeToBytes(std::vector<int64_t>{1});
  for (bool tracked_before : {true, false}) {
    State state;
    Store store;
    if (tracked_before) state.TrackChanges();
    for (const char* key : {"left", "changed", "erased"}) {
      CheckOk(state.Restore({EncodeToBytes(std::string(key)), value}));
    }
    if (!tracked_before) state.TrackChanges();
    store.Take(state);
    CHECK(store.written == 0);
    state.Erase("erased");
    state.Find("changed")->push_back(2);
    store.Take(state);
    CHECK(store.written == 2);
    CHECK(store.tombstones == 1);
  }
}

TEST_CASE("a stored key that is erased and added again is written once, as it is") {
  State state;
  Store store;
  state.TrackChanges();
  state.At("key") = {1};
  store.Take(state);
  state.Erase("key");
  state.At("key") = {2};
  store.Take(state);
  CHECK(store.written == 1);
  CHECK(store.tombstones == 0);
  state.Erase("key");
  state.At("key") = {3};
  state.Erase("key");
  store.Take(state);
  CHECK(store.written == 1);
  CHECK(store.tombstones == 1);
}

TEST_CASE("a tombstone removes a key that was restored before") {
  State state;
  const Bytes key = EncodeToBytes(std::string("key"));
  const Bytes value = EncodeToBytes(std::vector<int64_t>{1});
  CheckOk(state.Restore({key, value}));
  CHECK(state.size() == 1);
  CheckOk(state.Restore({key, std::nullopt}));
  CHECK(state.size() == 0);
  CheckOk(state.Restore({key, std::nullopt}));
}

TEST_CASE("entries that are restored together are the state that they are one by one") {
  const uint64_t seed = internal::TestSeed("restored together");
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  State together;
  State one_by_one;
  Store store;
  for (int round = 0; round < 20; ++round) {
    // Fewer than are announced, or more.
    together.ExpectEntries(random() % 500);
    std::vector<std::pair<Bytes, std::optional<Bytes>>> bytes(random() % 300);
    for (auto& [key, state] : bytes) {
      key = EncodeToBytes(absl::StrCat("key", std::string(random() % 20, 'x'), random() % 1000));
      if (round % 4 == 3 && random() % 4 == 0) continue;  // a tombstone
      state = EncodeToBytes(std::vector<int64_t>(random() % 3, round));
    }
    std::vector<StateEntry> entries;
    for (const auto& [key, state] : bytes) entries.push_back({key, state});
    CheckOk(together.RestoreEach(entries));
    for (const StateEntry& entry : entries) CheckOk(one_by_one.Restore(entry));
    REQUIRE(Content(together) == Content(one_by_one));
  }
  together.TrackChanges();
  store.Take(together);
  CHECK(store.written == 0);
  const Bytes key = EncodeToBytes(std::string("key"));
  const Bytes state = EncodeToBytes(std::vector<int64_t>{1});
  const std::vector<StateEntry> damaged = {{key, state}, {key, std::span(state).first(1)}};
  CheckError(together.RestoreEach(damaged), absl::StatusCode::kDataLoss, {"cannot be decoded"});
}

TEST_CASE("all NaN are one key, and both zeros are, in the state and in its snapshots") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  KeyedState<std::pair<int, double>, int64_t> state;
  Store store;
  state.TrackChanges();
  for (int i = 0; i < 1000; ++i) ++state.At(std::pair(1, i % 2 == 0 ? nan : -std::nan("7")));
  state.At(std::pair(1, 0.0)) = 5;
  CHECK(state.size() == 2);
  CHECK(*state.Find(std::pair(1, -nan)) == 1000);
  store.Take(state);
  CHECK(store.entries.size() == 2);
  state.At(std::pair(1, -0.0)) = 6;
  state.Erase(std::pair(1, -nan));
  store.Take(state);
  CHECK(store.entries.size() == 1);

  KeyedState<std::pair<int, double>, int64_t> restored;
  store.RestoreTo(restored);
  CHECK(restored.size() == 1);
  CHECK(*restored.Find(std::pair(1, -0.0)) == 6);
}

TEST_CASE("many NaN in a table are found at once") {
  FlatTable<double, int64_t> table;
  for (int i = 0; i < 1000; ++i) {
    ++table.At(i % 2 == 0 ? std::nan("") : -std::nan("7"));
    ++table.At(static_cast<double>(i));
  }
  CHECK(table.size() == 1001);
  CHECK(*table.Find(std::nan("")) == 1000);
  CHECK(table.LongestProbe() < 100);
}

struct NeverEqual {
  int x = 0;
  uint64_t HeadwayStableHash() const { return static_cast<uint64_t>(x); }
  bool operator==(const NeverEqual&) const { return false; }
};

TEST_CASE("a key that does not equal itself is refused when it is added") {
  FlatTable<NeverEqual, int> table;
  CHECK_THROWS_WITH(table.At(NeverEqual{1}), doctest::Contains("a key does not equal itself"));
  CHECK(table.size() == 0);
}

TEST_CASE("random changes come back from the snapshots, in each generation") {
  const uint64_t seed = internal::TestSeed("keyed state");
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  Store store;
  Model model;
  for (int generation = 0; generation < 20; ++generation) {
    State state;
    store.RestoreTo(state);
    CHECK(Content(state) == model);
    state.TrackChanges();
    for (int epoch = 0; epoch < 10; ++epoch) {
      for (uint64_t change = random() % 50; change > 0; --change) {
        const std::string key = "key" + std::to_string(random() % 30);
        switch (random() % 8) {
          case 0:
            state.Erase(key);
            model.erase(key);
            break;
          case 1:
            if (random() % 20 == 0) {
              state.Clear();
              model.clear();
            }
            break;
          default:
            const auto value = static_cast<int64_t>(random());
            state.At(key).push_back(value);
            model[key].push_back(value);
        }
      }
      CHECK(Content(state) == model);
      store.Take(state);
    }
  }
}

// Tables that grow and shrink move their entries, and the marks of them.
template <class K, class KeyOf>
void CheckEntriesOfSnapshots(const char* test, KeyOf key_of) {
  const uint64_t seed = internal::TestSeed(test);
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  KeyedState<K, uint64_t> state;
  state.TrackChanges();
  std::map<K, uint64_t> model;
  std::map<K, uint64_t> stored;
  std::set<K> touched;
  for (const uint64_t keys : {10, 3000, 20, 3000}) {
    for (int epoch = 0; epoch < 10; ++epoch) {
      for (uint64_t change = random() % (2 * keys); change > 0; --change) {
        const K key = key_of(random() % keys);
        switch (random() % 4) {
          case 0:
            state.Erase(key);
            model.erase(key);
            break;
          case 1:
            if (state.Find(key) != nullptr) touched.insert(key);
            break;
          default:
            state.At(key) = model[key] = random();
            touched.insert(key);
        }
      }
      std::map<K, std::optional<uint64_t>> expected;
      for (const K& key : touched) {
        if (model.contains(key)) expected[key] = model[key];
      }
      for (const auto& [key, value] : stored) {
        if (!model.contains(key)) expected[key] = std::nullopt;
      }
      std::map<K, std::optional<uint64_t>> written;
      state.Snapshot([&](const StateEntry& entry) {
        K key{};
        uint64_t value = 0;
        REQUIRE(DecodeFromBytes(entry.key, &key));
        if (entry.state.has_value()) REQUIRE(DecodeFromBytes(*entry.state, &value));
        CHECK(entry.hash == StableHash(key));
        REQUIRE(written.emplace(key, entry.state.has_value() ? std::optional(value) : std::nullopt)
                    .second);
      });
      REQUIRE(written == expected);
      stored = model;
      touched.clear();
    }
  }
}

TEST_CASE(
    "a snapshot has each key that was looked up, and a tombstone of each stored key that is "
    "gone") {
  CheckEntriesOfSnapshots<uint64_t>("entries of snapshots, uint64_t", [](uint64_t n) { return n; });
  CheckEntriesOfSnapshots<std::string>("entries of snapshots, std::string", [](uint64_t n) {
    return std::string(n % 30, 'x') + std::to_string(n);
  });
}

TEST_CASE("entries are those of their keys and states, however long each is") {
  State state;
  Store store;
  state.TrackChanges();
  Model expected;
  for (size_t size = 1; size < 50'000; size *= 3) {
    const std::string key(size, 'k');
    state.At(key) = expected[key] = std::vector<int64_t>(50'000 / size, 7);
  }
  store.Take(state);
  State restored;
  store.RestoreTo(restored);
  CHECK(Content(restored) == expected);
}

TEST_CASE("snapshots of the same history have the same order") {
  std::vector<std::vector<Bytes>> keys(2);
  for (std::vector<Bytes>& each : keys) {
    KeyedState<uint64_t, uint64_t> state;
    state.TrackChanges();
    for (uint64_t i = 0; i < 10'000; ++i) {
      ++state.At(i * i % 1009);
      if (i % 3 == 0) state.Erase(i % 1009);
      if (i % 1000 != 0) continue;
      state.Snapshot([&](const StateEntry& entry) {
        each.push_back(Bytes(entry.key.begin(), entry.key.end()));
      });
    }
  }
  CHECK(keys[0].size() > 1000);
  CHECK(keys[0] == keys[1]);
}

TEST_CASE("damaged entries are DataLoss, and change nothing") {
  const Bytes key = EncodeToBytes(std::string("key"));
  const Bytes value = EncodeToBytes(std::vector<int64_t>{1, 2, 3});
  State state;
  CheckOk(state.Restore({key, value}));
  auto check = [&](std::span<const std::byte> k, std::optional<std::span<const std::byte>> v) {
    CheckError(state.Restore({k, v}), absl::StatusCode::kDataLoss, {"cannot be decoded"});
    CHECK(Content(state) == Model{{"key", {1, 2, 3}}});
  };
  for (size_t size = 0; size < key.size(); ++size) {
    check(std::span(key).first(size), value);
    check(std::span(key).first(size), std::nullopt);
  }
  for (size_t size = 0; size < value.size(); ++size) check(key, std::span(value).first(size));
  Bytes longer = value;
  longer.push_back(std::byte{0});
  check(key, longer);
  Bytes endless(10, std::byte{0xFF});  // a length beyond everything
  check(key, endless);
  check(endless, value);
}

// Counts per key with StatefulMap; restores its state from `store` and snapshots into it.
void RunCounts(int workers, Epoch epochs, Store& store,
               Collected<std::pair<int64_t, int64_t>>& seen) {
  std::mutex mutex;
  CheckOk(Execute({.workers = workers}, [&](Worker& worker) -> absl::Status {
    InputHandle<int64_t> input;
    ProbeHandle<> probe;
    StateBase* state = nullptr;
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      scope.Input(input) | KeyOn("key", [](int64_t x) { return x % 10; }) |
          StatefulMap<int64_t>("count",
                               [](std::optional<int64_t>& count, int64_t) {
                                 count = count.value_or(0) + 1;
                                 return *count;
                               }) |
          CollectInto("collect", seen) | Probe(probe);
      for (EpochParticipant* participant : scope.graph().parts().participants) {
        if (participant->step_id() == "count") state = participant;
      }
      std::lock_guard lock(mutex);
      for (const auto& [key_bytes, value] : store.entries) {
        int64_t key = 0;
        CHECK(DecodeFromBytes(std::span<const std::byte>(key_bytes), &key));
        if (RouteHash(StableHash(key), scope.worker_count()) == scope.worker_index()) {
          CheckOk(state->Restore({key_bytes, value}));
        }
      }
    }));
    state->TrackChanges();
    for (Epoch epoch = 0; epoch < epochs; ++epoch) {
      // 60 records of an epoch, whatever the number of workers.
      for (int64_t i = worker.index(); i < 60; i += worker.count()) input.Send(i);
      input.AdvanceTo(epoch + 1);
      HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return probe.LessThan(epoch + 1); }));
    }
    std::lock_guard lock(mutex);
    store.Take(*state);
    return absl::OkStatus();
  }));
}

TEST_CASE("the state of a step, snapshot by some workers, is restored into any other number") {
  Store store;
  int64_t rounds = 0;
  for (int workers : {2, 1, 8, 3, 2}) {
    CAPTURE(workers);
    Collected<std::pair<int64_t, int64_t>> seen;
    RunCounts(workers, 3, store, seen);
    std::vector<std::pair<int64_t, int64_t>> expected;
    for (int64_t key = 0; key < 10; ++key) {
      for (int64_t i = 1; i <= 18; ++i) expected.push_back({key, rounds * 18 + i});
    }
    CHECK(seen.Sorted() == expected);
    CHECK(store.entries.size() == 10);
    ++rounds;
  }
}

}  // namespace
}  // namespace headway
