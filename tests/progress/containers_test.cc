#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "progress/antichain.h"
#include "progress/change_batch.h"
#include "progress/inline_vector.h"
#include "progress/mutable_antichain.h"
#include "progress/product.h"
#include "progress/sorted_counts.h"
#include "progress/work_list.h"
#include "tests/progress/random.h"

namespace headway {
namespace {

using progress_test::Random;
using progress_test::Seeds;
using Round = Product<Epoch, uint64_t>;

template <class T>
struct TotalLess {
  bool operator()(const T& a, const T& b) const { return TimestampTraits<T>::TotalLess(a, b); }
};
template <class T>
using Counts = std::map<T, int64_t, TotalLess<T>>;

template <class T>
T Time(uint64_t a, uint64_t b);
template <>
Epoch Time<Epoch>(uint64_t a, uint64_t b) {
  return a * 4 + b;
}
template <>
Round Time<Round>(uint64_t a, uint64_t b) {
  return {a, b};
}

template <class T>
T AnyTime(Random& random, uint64_t bound) {
  return Time<T>(random.Below(bound), random.Below(bound));
}

template <class T>
std::vector<T> Sorted(std::span<const T> times) {
  std::vector<T> sorted(times.begin(), times.end());
  std::sort(sorted.begin(), sorted.end(), TotalLess<T>());
  return sorted;
}

// The minimal elements, by brute force.
template <class T>
std::vector<T> Minimal(const std::vector<T>& times) {
  std::vector<T> minimal;
  for (const T& t : times) {
    const bool dominated = std::any_of(times.begin(), times.end(), [&](const T& u) {
      return u != t && TimestampTraits<T>::LessEqual(u, t);
    });
    if (!dominated && std::find(minimal.begin(), minimal.end(), t) == minimal.end()) {
      minimal.push_back(t);
    }
  }
  return Sorted<T>(minimal);
}

template <class T>
void Add(Counts<T>& counts, const T& time, int64_t delta) {
  if ((counts[time] += delta) == 0) counts.erase(time);
}

TEST_CASE("an inline vector behaves like a vector") {
  for (const uint64_t seed : Seeds(50)) {
    CAPTURE(seed);
    Random random(seed);
    internal::InlineVector<uint64_t, 2> vector;
    std::vector<uint32_t> model;
    for (int step = 0; step < 200; ++step) {
      const auto value = static_cast<uint32_t>(step);
      const size_t at = random.Below(model.size() + 1);
      switch (random.Below(6)) {
        case 0:
        case 1:
          vector.push_back(value);
          model.push_back(value);
          break;
        case 2:
          vector.Insert(at, value);
          model.insert(model.begin() + static_cast<ptrdiff_t>(at), value);
          break;
        case 3:
          if (at < model.size()) {
            vector.Erase(at);
            model.erase(model.begin() + static_cast<ptrdiff_t>(at));
          }
          break;
        case 4: {
          auto copy = vector;
          vector = std::move(copy);
          auto moved = std::move(vector);
          CHECK(vector.empty());
          vector = moved;
          break;
        }
        default:
          if (random.OneIn(10)) {
            vector.Truncate(at);
            model.resize(at);
          }
      }
      REQUIRE(std::equal(vector.begin(), vector.end(), model.begin(), model.end()));
    }
  }
}

TEST_CASE_TEMPLATE("an antichain holds the minimal times among the inserted ones", T, Epoch,
                   Round) {
  for (const uint64_t seed : Seeds(200)) {
    CAPTURE(seed);
    Random random(seed);
    Antichain<T> antichain;
    std::vector<T> inserted;
    for (int step = 0; step < 12; ++step) {
      const T time = AnyTime<T>(random, 6);
      const std::vector<T> before = Minimal(inserted);
      inserted.push_back(time);
      const std::vector<T> after = Minimal(inserted);
      REQUIRE(antichain.Insert(time) == (before != after));
      REQUIRE(Sorted(antichain.elements()) == after);
      const T probe = AnyTime<T>(random, 6);
      bool less_equal = false;
      bool less = false;
      for (const T& element : after) {
        const bool le = TimestampTraits<T>::LessEqual(element, probe);
        less_equal |= le;
        less |= le && element != probe;
      }
      REQUIRE(antichain.LessEqual(probe) == less_equal);
      REQUIRE(antichain.LessThan(probe) == less);
    }
    Antichain<T> reversed;
    for (auto t = inserted.rbegin(); t != inserted.rend(); ++t) reversed.Insert(*t);
    CHECK(reversed == antichain);
    antichain.Clear();
    CHECK(antichain.empty());
    CHECK(!(reversed == antichain));
  }
}

TEST_CASE_TEMPLATE("a mutable antichain follows a map of counts, negative ones included", T, Epoch,
                   Round) {
  for (const uint64_t seed : Seeds(200)) {
    CAPTURE(seed);
    Random random(seed);
    MutableAntichain<T> antichain;
    internal::SortedCounts<T> sorted;
    Counts<T> model;
    const uint64_t bound = 1 + random.Below(8);
    for (int step = 0; step < 200; ++step) {
      const T time = AnyTime<T>(random, bound);
      const int64_t delta = random.OneIn(2) ? 1 : random.OneIn(2) ? -1 : -model[time];
      if (delta != 0) {
        const int64_t count = model[time] + delta;
        REQUIRE(antichain.Update(time, delta) == count);
        REQUIRE(sorted.Add(time, delta) == count);
      }
      Add(model, time, delta);

      std::vector<T> positive;
      size_t index = 0;
      REQUIRE(antichain.entries().size() == model.size());
      REQUIRE(sorted.size() == model.size());
      for (const auto& [t, count] : model) {
        REQUIRE(antichain.entries()[index].time == t);
        REQUIRE(antichain.entries()[index].count == count);
        REQUIRE(sorted.entries()[index].time == t);
        REQUIRE(sorted.Count(t) == count);
        ++index;
        if (count > 0) positive.push_back(t);
      }
      const std::vector<T> frontier = Minimal(positive);
      REQUIRE(Sorted(antichain.frontier()) == frontier);
      REQUIRE(antichain.empty() == model.empty());
      const T probe = AnyTime<T>(random, bound);
      REQUIRE(antichain.Count(probe) == (model.contains(probe) ? model.at(probe) : 0));
      REQUIRE(antichain.LessEqual(probe) ==
              std::any_of(frontier.begin(), frontier.end(),
                          [&](const T& t) { return TimestampTraits<T>::LessEqual(t, probe); }));
    }
  }
}

TEST_CASE("sorted counts keep their order when times arrive in order and leave from the front") {
  internal::SortedCounts<Epoch> counts;
  for (Epoch t = 0; t < 1000; ++t) {
    counts.Add(t, 1);
    if (t >= 3) counts.Add(t - 3, -1);
    REQUIRE(counts.size() == std::min<size_t>(t + 1, 3));
    REQUIRE(counts.entries().back().time == t);
  }
}

TEST_CASE("a mutable antichain replaces a time only if it is the only one, with count 1") {
  int moved = 0;
  for (const uint64_t seed : Seeds(200)) {
    CAPTURE(seed);
    Random random(seed);
    MutableAntichain<Epoch> antichain;
    Counts<Epoch> model;
    for (int step = 0; step < 200; ++step) {
      const Epoch time = random.Below(2);
      if (random.OneIn(2)) {
        const int64_t delta = random.OneIn(2) ? 1 : -1;
        antichain.Update(time, delta);
        Add(model, time, delta);
      } else {
        const Epoch to = random.Below(2);
        const bool alone =
            model.size() == 1 && model.begin()->first == time && model.begin()->second == 1;
        REQUIRE(antichain.MoveOnly(time, to) == alone);
        if (alone) model = {{to, 1}};
        moved += alone;
      }
      REQUIRE(antichain.entries().size() == model.size());
      size_t index = 0;
      for (const auto& [t, count] : model) {
        REQUIRE(antichain.entries()[index].time == t);
        REQUIRE(antichain.entries()[index++].count == count);
      }
    }
  }
  CHECK(moved > 0);
}

TEST_CASE("a work list keeps its elements when it gets more room") {
  internal::WorkList<std::vector<int>> list;
  for (int i = 0; i < 100; ++i) {
    list.Reserve(static_cast<size_t>(i) + 1);
    list.push_back({i});
  }
  REQUIRE(list.size() == 100);
  for (int i = 0; i < 100; ++i) CHECK(list[static_cast<size_t>(i)] == std::vector<int>{i});
  CHECK(list.span().size() == 100);
  list.clear();
  CHECK(list.empty());
  CHECK(list.begin() == list.end());
}

TEST_CASE_TEMPLATE("a change batch sums up the recorded changes", T, Epoch, Round) {
  for (const uint64_t seed : Seeds(200)) {
    CAPTURE(seed);
    Random random(seed);
    ChangeBatch<T> batch;
    for (int round = 0; round < 5; ++round) {
      Counts<T> model;
      const uint64_t bound = 1 + random.Below(7);
      const uint64_t steps = random.Below(100);
      for (uint64_t step = 0; step < steps; ++step) {
        const T time = AnyTime<T>(random, bound);
        const int64_t delta = random.OneIn(2) ? 1 : -1;
        const T other = AnyTime<T>(random, bound);
        if (random.OneIn(3) && other != time) {
          batch.Move(other, time);
          Add(model, other, -1);
          Add(model, time, 1);
        } else {
          batch.Update(time, delta);
          Add(model, time, delta);
        }
        if (random.OneIn(20)) batch.Net();
      }
      Counts<T> net;
      for (const auto& change : batch.Net()) {
        REQUIRE(change.delta != 0);
        REQUIRE(net.emplace(change.time, change.delta).second);
      }
      REQUIRE(net == model);
      batch.Clear();
      REQUIRE(batch.empty());
    }
  }
}

}  // namespace
}  // namespace headway
