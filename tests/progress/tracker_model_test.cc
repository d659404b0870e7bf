#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "progress/tracker.h"
#include "tests/progress/graph_model.h"
#include "tests/progress/random.h"

namespace headway {
namespace {

using namespace progress_test;  // NOLINT: the vocabulary of the model

TEST_CASE("a graph is accepted exactly if every cycle advances the time of its outermost scope") {
  int accepted = 0;
  int rejected = 0;
  for (const uint64_t seed : Seeds(3000)) {
    CAPTURE(seed);
    Random random(seed);
    const GraphModel model = RandomGraph(random, 7);
    ModelTracker tracked(model);
    const absl::Status status = tracked.tracker.Finish({});
    REQUIRE(status.ok() == model.CyclesAdvance());
    if (!status.ok()) REQUIRE(status.code() == absl::StatusCode::kInvalidArgument);
    ++(status.ok() ? accepted : rejected);
  }
  CHECK(accepted + rejected > 0);
  if (accepted + rejected > 1) CHECK(std::min(accepted, rejected) > (accepted + rejected) / 30);
}

TEST_CASE("frontiers are the minimal times over all paths, after every round of changes (O1)") {
  for (const uint64_t seed : Seeds(1500)) {
    CAPTURE(seed);
    Random random(seed);
    const GraphModel model = RandomGraph(random, 10);
    ModelTracker tracked(model);
    Tracker& tracker = tracked.tracker;
    const auto count = static_cast<LocationId>(model.locations.size());

    PointCounts counts;
    for (uint64_t i = 1 + random.Below(4); i > 0; --i) {
      const auto location = static_cast<LocationId>(random.Below(count));
      Time time(model.numbers(location));
      for (uint64_t& number : time) number = random.Below(3);
      Add(counts, {location, time}, 1);
      tracked.at(location).AddInitial(location, time, 1);
    }
    std::set<LocationId> watched;
    for (LocationId l = 0; l < count; ++l) {
      if (random.OneIn(2)) continue;
      watched.insert(l);
      tracked.at(l).Watch(l);
    }
    if (!tracker.Finish({}).ok()) continue;
    REQUIRE(tracked.frontiers() == model.Implied(counts));
    REQUIRE(std::set<LocationId>(tracker.changed().begin(), tracker.changed().end()) == watched);

    for (int round = 0; round < 25; ++round) {
      const Frontiers before = tracked.frontiers();
      for (uint64_t change = random.Below(8); change > 0 && !counts.empty(); --change) {
        auto held = counts.begin();
        std::advance(held, random.Below(counts.size()));
        const Point point = held->first;
        if (random.OneIn(2)) {  // a capability advances, perhaps past the times of a cycle
          Point moved = point;
          moved.second[0] += 1 + random.Below(5);
          if (random.OneIn(2)) {
            tracked.RecordMove(point, moved);
          } else {
            tracked.Record(moved, 1);
            tracked.Record(point, -1);
          }
          Add(counts, moved, 1);
          Add(counts, point, -1);
          continue;
        }
        if (!random.OneIn(3)) {
          const Point later = Later(model, random, point);
          tracked.Record(later, 1);
          Add(counts, later, 1);
        }
        if (!random.OneIn(3)) {
          tracked.Record(point, -1);
          Add(counts, point, -1);
        }
      }
      tracker.Publish(nullptr);
      REQUIRE(!tracker.HasPending());
      const absl::Status status = tracker.Propagate();
      REQUIRE_MESSAGE(status.ok(), std::string(status.message()));
      const Frontiers after = tracked.frontiers();
      REQUIRE(after == model.Implied(counts));
      REQUIRE(tracker.Complete() == counts.empty());
      std::set<LocationId> changed;
      for (const LocationId l : watched) {
        if (before[l] != after[l]) changed.insert(l);
      }
      REQUIRE(tracker.changed().size() == changed.size());
      REQUIRE(std::set<LocationId>(tracker.changed().begin(), tracker.changed().end()) == changed);
    }
  }
}

// All graphs of three locations with edges that advance an epoch by 0 or 1. In each of them, all
// orders in which capabilities at 0 move to 1 and are dropped. Under a sanitizer only some of the
// graphs.
TEST_CASE("frontiers are right in all graphs of three locations") {
  int64_t graphs = 0;
  constexpr int kStride = Repeated(1, 23);
  for (int code = 0; code < 3 * 3 * 3 * 3 * 3 * 3 * 2 * 2 * 2; code += kStride) {
    CAPTURE(code);
    GraphModel model;
    model.scopes = {{Kind::kEpoch, -1}};
    model.locations = {0, 0, 0};
    int rest = code;
    for (LocationId from = 0; from < 3; ++from) {
      for (LocationId to = 0; to < 3; ++to) {
        const int choices = from == to ? 2 : 3;
        const int choice = rest % choices;
        rest /= choices;
        if (choice == 0) continue;
        const uint64_t advance = from == to || choice == 2 ? 1 : 0;
        model.edges.push_back({from, to, {advance}});
      }
    }
    if (!model.CyclesAdvance()) continue;
    ++graphs;
    std::array<LocationId, 6> order = {0, 0, 1, 1, 2, 2};
    do {
      ModelTracker tracked(model);
      PointCounts counts;
      for (LocationId l = 0; l < 3; ++l) {
        tracked.at(l).AddInitial(l, {0}, 1);
        Add(counts, {l, {0}}, 1);
      }
      REQUIRE(tracked.tracker.Finish({}).ok());
      std::array<uint64_t, 3> held = {0, 0, 0};
      for (const LocationId l : order) {
        tracked.Record({l, {held[l]}}, -1);
        Add(counts, {l, {held[l]}}, -1);
        if (held[l]++ == 0) {
          tracked.Record({l, {1}}, 1);
          Add(counts, {l, {1}}, 1);
        }
        REQUIRE(tracked.tracker.Publish(nullptr));
        REQUIRE(tracked.tracker.Propagate().ok());
        REQUIRE(tracked.frontiers() == model.Implied(counts));
      }
      REQUIRE(tracked.tracker.Complete());
    } while (std::next_permutation(order.begin(), order.end()));
  }
  CHECK(graphs > 1000 / kStride);
}

}  // namespace
}  // namespace headway
