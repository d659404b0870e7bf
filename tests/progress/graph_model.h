#ifndef HEADWAY_TESTS_PROGRESS_GRAPH_MODEL_H_
#define HEADWAY_TESTS_PROGRESS_GRAPH_MODEL_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "progress/tracker.h"
#include "tests/progress/random.h"
#include "tests/progress/version.h"

// A slow, obvious model of a dataflow graph with nested scopes, and a Tracker of the same graph. In
// the model every time is a list of numbers.

namespace headway::progress_test {

using Time = std::vector<uint64_t>;  // the numbers of a time, outermost first
using Point = std::pair<LocationId, Time>;
using PointCounts = std::map<Point, int64_t>;   // no zeros
using Frontiers = std::vector<std::set<Time>>;  // for each location, the minimal times

inline bool LessEqual(const Time& a, const Time& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] > b[i]) return false;
  }
  return true;
}

inline bool AnyLessEqual(const std::set<Time>& elements, const Time& time) {
  return std::any_of(elements.begin(), elements.end(),
                     [&](const Time& element) { return LessEqual(element, time); });
}

inline void Add(PointCounts& counts, const Point& point, int64_t delta) {
  if ((counts[point] += delta) == 0) counts.erase(point);
}

inline void Add(PointCounts& counts, const PointCounts& other) {
  for (const auto& [point, delta] : other) Add(counts, point, delta);
}

// The timestamp of a scope, by its kind.
enum class Kind { kEpoch, kRound, kInnerRound, kVersion, kVersionRound };
using Round = Product<Epoch, uint64_t>;
using InnerRound = Product<Round, uint64_t>;
using VersionRound = Product<Version, uint64_t>;

inline size_t Numbers(Kind kind) {
  switch (kind) {
    case Kind::kEpoch:
      return 1;
    case Kind::kRound:
    case Kind::kVersion:
      return 2;
    default:
      return 3;
  }
}

struct GraphModel {
  struct Scope {
    Kind kind;
    int parent;  // -1 for a root scope
  };
  struct Edge {
    LocationId from;
    LocationId to;
    Time summary;  // of an edge within a scope; empty for an edge between scopes
  };
  std::vector<Scope> scopes;
  std::vector<int> locations;  // the scope of each
  std::vector<Edge> edges;

  size_t numbers(LocationId location) const {
    return Numbers(scopes[static_cast<size_t>(locations[location])].kind);
  }

  // `time` at the end of `edge`.
  Time Follow(const Edge& edge, Time time) const {
    if (edge.summary.empty()) {
      time.resize(numbers(edge.to),
                  0);  // enter: the minimum of the new coordinate; leave: drops it
    } else {
      for (size_t i = 0; i < time.size(); ++i) time[i] += edge.summary[i];
    }
    return time;
  }

  // O1: the minimal times that result from the positive counts, over all paths.
  Frontiers Implied(const PointCounts& counts) const {
    Frontiers frontiers(locations.size());
    std::vector<Point> work;
    for (const auto& [point, count] : counts) {
      if (count > 0) work.push_back(point);
    }
    while (!work.empty()) {
      const auto [location, time] = work.back();
      work.pop_back();
      std::set<Time>& frontier = frontiers[location];
      if (AnyLessEqual(frontier, time)) continue;
      std::erase_if(frontier, [&](const Time& element) { return LessEqual(time, element); });
      frontier.insert(time);
      for (const Edge& edge : edges) {
        if (edge.from == location) work.push_back({edge.to, Follow(edge, time)});
      }
    }
    return frontiers;
  }

  // G2, by a walk over all simple cycles: true iff each advances the time of its outermost scope.
  bool CyclesAdvance() const {
    for (LocationId start = 0; start < locations.size(); ++start) {
      std::vector<bool> visited(locations.size());
      if (!CyclesAdvance(start, start, visited, Time(3), numbers(start))) return false;
    }
    return true;
  }

 private:
  bool CyclesAdvance(LocationId start, LocationId at, std::vector<bool>& visited,
                     const Time& advanced, size_t outermost) const {
    visited[at] = true;
    outermost = std::min(outermost, numbers(at));
    for (const Edge& edge : edges) {
      if (edge.from != at || edge.to < start) continue;
      Time sum = advanced;
      for (size_t i = 0; i < edge.summary.size(); ++i) sum[i] += edge.summary[i];
      if (edge.to == start) {
        bool advances = false;
        for (size_t i = 0; i < outermost; ++i) advances |= sum[i] > 0;
        if (!advances) return false;
      } else if (!visited[edge.to] && !CyclesAdvance(start, edge.to, visited, sum, outermost)) {
        return false;
      }
    }
    visited[at] = false;
    return true;
  }
};

inline std::vector<uint64_t> ToNumbers(Epoch t) { return {t}; }
inline std::vector<uint64_t> ToNumbers(const Version& t) { return {t.major, t.minor}; }
template <class Outer>
std::vector<uint64_t> ToNumbers(const Product<Outer, uint64_t>& t) {
  std::vector<uint64_t> numbers = ToNumbers(t.outer);
  numbers.push_back(t.inner);
  return numbers;
}

// Makes a time or a summary. Both have the same shape.
inline void FromNumbers(std::span<const uint64_t> n, uint64_t& t) { t = n[0]; }
template <class V>
  requires requires(V v) { v.major; }
void FromNumbers(std::span<const uint64_t> n, V& v) {
  v.major = static_cast<uint16_t>(n[0]);
  v.minor = static_cast<uint16_t>(n[1]);
}
template <class P>
  requires requires(P p) { p.outer; }
void FromNumbers(std::span<const uint64_t> n, P& p) {
  FromNumbers(n.first(n.size() - 1), p.outer);
  p.inner = n.back();
}

// A scope of a Tracker, independent of its timestamp type.
class AnyScope {
 public:
  virtual ~AnyScope() = default;
  virtual LocationId AddLocation() = 0;
  virtual void AddEdge(LocationId from, LocationId to, const Time& summary) = 0;
  virtual void AddInitial(LocationId location, const Time& time, int64_t count) = 0;
  virtual void Record(LocationId location, const Time& time, int64_t delta) = 0;
  virtual void RecordMove(LocationId location, const Time& from, const Time& to) = 0;
  virtual void Watch(LocationId location) = 0;
  virtual std::set<Time> Frontier(LocationId location) const = 0;
  virtual std::pair<Time, size_t> Decode(const std::byte* bytes) const = 0;  // and the size
};

template <class T>
class ScopeOf final : public AnyScope {
 public:
  explicit ScopeOf(Tracker& tracker) : scope(tracker.AddScope<T>()) {}
  LocationId AddLocation() override { return scope.AddLocation(); }
  void AddEdge(LocationId from, LocationId to, const Time& summary) override {
    typename TimestampTraits<T>::Summary s;
    FromNumbers(summary, s);
    scope.AddEdge(from, to, s);
  }
  void AddInitial(LocationId location, const Time& time, int64_t count) override {
    scope.AddInitial(location, Make(time), count);
  }
  void Record(LocationId location, const Time& time, int64_t delta) override {
    scope.Record(location, Make(time), delta);
  }
  void RecordMove(LocationId location, const Time& from, const Time& to) override {
    scope.RecordMove(location, Make(from), Make(to));
  }
  void Watch(LocationId location) override { scope.Watch(location); }
  std::set<Time> Frontier(LocationId location) const override {
    std::set<Time> frontier;
    for (const T& time : scope.frontier(location).elements()) frontier.insert(ToNumbers(time));
    return frontier;
  }
  std::pair<Time, size_t> Decode(const std::byte* bytes) const override {
    T time;
    std::memcpy(static_cast<void*>(&time), bytes, sizeof(T));
    return {ToNumbers(time), (sizeof(T) + 7) / 8 * 8};
  }
  static T Make(const Time& numbers) {
    T time;
    FromNumbers(numbers, time);
    return time;
  }

  ScopeTracker<T>& scope;
};

// A Tracker of the graph of a model.
class ModelTracker {
 public:
  explicit ModelTracker(const GraphModel& model) : model_(model) {
    for (const GraphModel::Scope& scope : model.scopes) scopes_.push_back(MakeScope(scope.kind));
    for (const int scope : model.locations) scopes_[static_cast<size_t>(scope)]->AddLocation();
    for (const GraphModel::Edge& edge : model.edges) {
      if (!edge.summary.empty()) {
        at(edge.from).AddEdge(edge.from, edge.to, edge.summary);
      } else if (model.numbers(edge.from) < model.numbers(edge.to)) {
        Connect(edge.from, edge.to, true);
      } else {
        Connect(edge.to, edge.from, false);
      }
    }
  }

  AnyScope& at(LocationId location) const {
    return *scopes_[static_cast<size_t>(model_.locations[location])];
  }
  void Record(const Point& point, int64_t delta) {
    at(point.first).Record(point.first, point.second, delta);
  }
  void RecordMove(const Point& from, const Point& to) {
    at(from.first).RecordMove(from.first, from.second, to.second);
  }
  Frontiers frontiers() const {
    Frontiers frontiers;
    for (LocationId l = 0; l < model_.locations.size(); ++l) {
      frontiers.push_back(at(l).Frontier(l));
    }
    return frontiers;
  }
  // The changes of an encoded round, read independently of Apply.
  PointCounts Decode(const std::vector<std::byte>& encoded) const {
    PointCounts counts;
    for (size_t i = 0; i < encoded.size();) {
      uint32_t location;
      int32_t delta;
      std::memcpy(&location, &encoded[i], 4);
      std::memcpy(&delta, &encoded[i + 4], 4);
      const auto [time, bytes] = at(location).Decode(&encoded[i + 8]);
      Add(counts, {location, time}, delta);
      i += 8 + bytes;
    }
    return counts;
  }

  Tracker tracker;

 private:
  std::unique_ptr<AnyScope> MakeScope(Kind kind) {
    switch (kind) {
      case Kind::kEpoch:
        return std::make_unique<ScopeOf<Epoch>>(tracker);
      case Kind::kRound:
        return std::make_unique<ScopeOf<Round>>(tracker);
      case Kind::kInnerRound:
        return std::make_unique<ScopeOf<InnerRound>>(tracker);
      case Kind::kVersion:
        return std::make_unique<ScopeOf<Version>>(tracker);
      case Kind::kVersionRound:
        return std::make_unique<ScopeOf<VersionRound>>(tracker);
    }
    return nullptr;
  }

  template <class Outer, class Inner>
  bool TryConnect(LocationId outer, LocationId inner, bool enter) {
    auto* const outer_scope = dynamic_cast<ScopeOf<Outer>*>(&at(outer));
    auto* const inner_scope = dynamic_cast<ScopeOf<Inner>*>(&at(inner));
    if (outer_scope == nullptr || inner_scope == nullptr) return false;
    if (enter) {
      tracker.AddEnter(outer_scope->scope, outer, inner_scope->scope, inner);
    } else {
      tracker.AddLeave(inner_scope->scope, inner, outer_scope->scope, outer);
    }
    return true;
  }

  void Connect(LocationId outer, LocationId inner, bool enter) {
    const bool connected = TryConnect<Epoch, Round>(outer, inner, enter) ||
                           TryConnect<Round, InnerRound>(outer, inner, enter) ||
                           TryConnect<Version, VersionRound>(outer, inner, enter);
    HEADWAY_CHECK(connected);
  }

  const GraphModel& model_;
  std::vector<std::unique_ptr<AnyScope>> scopes_;
};

// A random graph of up to `max_locations` locations in nested scopes, two or three deep, with
// sibling scopes. Some of its cycles may not advance time.
inline GraphModel RandomGraph(Random& random, uint64_t max_locations) {
  GraphModel model;
  if (random.OneIn(3)) {
    model.scopes = {{Kind::kVersion, -1}, {Kind::kVersionRound, 0}};
  } else {
    model.scopes = {{Kind::kEpoch, -1}};
    if (!random.OneIn(4)) model.scopes.push_back({Kind::kRound, 0});
    if (model.scopes.size() > 1 && random.OneIn(2)) model.scopes.push_back({Kind::kInnerRound, 1});
    if (model.scopes.size() > 1 && random.OneIn(3)) model.scopes.push_back({Kind::kRound, 0});
  }
  const uint64_t count = 1 + random.Below(max_locations);
  for (uint64_t i = 0; i < count; ++i) {
    model.locations.push_back(static_cast<int>(random.Below(model.scopes.size())));
  }
  for (uint64_t i = random.Below(count * 3); i > 0; --i) {
    auto from = static_cast<LocationId>(random.Below(count));
    auto to = static_cast<LocationId>(random.Below(count));
    const int from_scope = model.locations[from];
    const int to_scope = model.locations[to];
    if (from_scope == to_scope) {
      Time summary(model.numbers(from));
      // As in a real dataflow, backward edges mostly advance time, and forward edges do not.
      if (from >= to ? !random.OneIn(8) : random.OneIn(8)) {
        ++summary[random.Below(summary.size())];
      }
      model.edges.push_back({from, to, summary});
    } else if (model.scopes[static_cast<size_t>(from_scope)].parent == to_scope ||
               model.scopes[static_cast<size_t>(to_scope)].parent == from_scope) {
      if (from > to && !random.OneIn(8)) std::swap(from, to);
      model.edges.push_back({from, to, {}});
    }
  }
  return model;
}

// A random point that could result from `point`: along a random path, and perhaps later.
inline Point Later(const GraphModel& model, Random& random, Point point) {
  for (uint64_t steps = random.Below(4); steps > 0; --steps) {
    std::vector<const GraphModel::Edge*> next;
    for (const GraphModel::Edge& edge : model.edges) {
      if (edge.from == point.first) next.push_back(&edge);
    }
    if (next.empty()) break;
    const GraphModel::Edge& edge = *next[random.Below(next.size())];
    point = {edge.to, model.Follow(edge, point.second)};
  }
  for (uint64_t& number : point.second) number += random.OneIn(3) ? random.Below(3) : 0;
  return point;
}

}  // namespace headway::progress_test

#endif  // HEADWAY_TESTS_PROGRESS_GRAPH_MODEL_H_
