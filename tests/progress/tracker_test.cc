#include "progress/tracker.h"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace headway {
namespace {

using Round = Product<Epoch, uint64_t>;
using InnerRound = Product<Round, uint64_t>;

template <class T>
std::vector<T> Elements(const FrontierView<T>& view) {
  return {view.elements().begin(), view.elements().end()};
}

std::vector<LocationId> Changed(const Tracker& tracker) {
  return {tracker.changed().begin(), tracker.changed().end()};
}

std::string Name(LocationId location) { return "port " + std::to_string(location); }

bool Contains(const absl::Status& status, const std::string& text) {
  return std::string(status.message()).find(text) != std::string::npos;
}

// A chain of locations in a root scope, with one capability for epoch 0 at its head.
struct Chain {
  explicit Chain(size_t length) : scope(tracker.AddScope<Epoch>()) {
    for (size_t i = 0; i < length; ++i) {
      locations.push_back(scope.AddLocation());
      if (i > 0) scope.AddEdge(locations[i - 1], locations[i]);
    }
    scope.AddInitial(locations.front(), 0, 1);
    scope.Watch(locations.back());
    CHECK(tracker.Finish(Name).ok());
  }
  void Move(LocationId location, Epoch from, Epoch to) {
    scope.Record(location, from, -1);
    scope.Record(location, to, +1);
  }
  absl::Status Run() {
    tracker.Publish(nullptr);
    return tracker.Propagate();
  }

  Tracker tracker;
  ScopeTracker<Epoch>& scope;
  std::vector<LocationId> locations;
};

TEST_CASE("a frontier follows the capability upstream") {
  Chain chain(3);
  const FrontierView<Epoch> end = chain.scope.frontier(chain.locations.back());
  CHECK(Elements(end) == std::vector<Epoch>{0});
  CHECK(Changed(chain.tracker) == std::vector{chain.locations.back()});

  chain.Move(chain.locations.front(), 0, 5);
  CHECK(chain.tracker.HasPending());
  CHECK(Elements(end) == std::vector<Epoch>{0});  // not before it is published
  REQUIRE(chain.Run().ok());
  CHECK(Elements(end) == std::vector<Epoch>{5});
  CHECK(end.LessEqual(5));
  CHECK(!end.LessThan(5));
  CHECK(end.LessThan(6));
  CHECK(!end.LessEqual(4));
  CHECK(Changed(chain.tracker) == std::vector{chain.locations.back()});

  REQUIRE(chain.Run().ok());
  CHECK(Changed(chain.tracker).empty());

  chain.scope.Record(chain.locations.front(), 5, -1);
  CHECK(!chain.tracker.Complete());
  REQUIRE(chain.Run().ok());
  CHECK(end.empty());
  CHECK(chain.tracker.Complete());
}

TEST_CASE("a batch holds the frontier downstream of it, and only there") {
  Chain chain(3);
  chain.scope.Record(chain.locations[1], 0, +1);  // a batch at 0 is in flight
  chain.Move(chain.locations[0], 0, 1);
  REQUIRE(chain.Run().ok());
  CHECK(Elements(chain.scope.frontier(chain.locations[0])) == std::vector<Epoch>{1});
  CHECK(Elements(chain.scope.frontier(chain.locations[2])) == std::vector<Epoch>{0});
  CHECK(Changed(chain.tracker).empty());
}

TEST_CASE("changes that cancel before they are published have no effect") {
  Chain chain(2);
  for (const Epoch time : {3, 4, 5, 6}) {
    chain.scope.Record(chain.locations[0], time, +1);
    chain.scope.Record(chain.locations[0], time, -1);
  }
  std::vector<std::byte> encoded;
  CHECK(!chain.tracker.Publish(&encoded));
  CHECK(encoded.empty());
  CHECK(!chain.tracker.HasPending());
}

TEST_CASE("a round is encoded as documented") {
  Chain chain(2);
  chain.Move(chain.locations[0], 0, 0x1122);
  std::vector<std::byte> encoded;
  REQUIRE(chain.tracker.Publish(&encoded));
  const std::vector<uint8_t> expected = {
      0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0,    0,    0, 0, 0, 0, 0, 0,  // location 0, -1, epoch 0
      0, 0, 0, 0, 1,    0,    0,    0,    0x22, 0x11, 0, 0, 0, 0, 0, 0,  // location 0, +1
  };
  REQUIRE(encoded.size() == expected.size());
  CHECK(std::memcmp(encoded.data(), expected.data(), expected.size()) == 0);
}

TEST_CASE("a malformed round is refused, and none of its changes counts") {
  Chain sender(2);
  sender.Move(sender.locations[0], 0, 1);
  std::vector<std::byte> encoded;
  REQUIRE(sender.tracker.Publish(&encoded));

  Chain receiver(2);
  for (size_t size = 1; size < encoded.size(); ++size) {
    if (size == encoded.size() / 2) continue;  // one whole change
    const absl::Status status = receiver.tracker.Apply(std::span(encoded).first(size));
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  }
  std::vector<std::byte> unknown = encoded;
  unknown[encoded.size() / 2] = std::byte{2};
  const absl::Status status = receiver.tracker.Apply(unknown);
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK(Contains(status, "location 2"));
  REQUIRE(receiver.tracker.Propagate().ok());
  CHECK(Elements(receiver.scope.frontier(1)) == std::vector<Epoch>{0});

  REQUIRE(receiver.tracker.Apply(encoded).ok());
  REQUIRE(receiver.tracker.Propagate().ok());
  CHECK(Elements(receiver.scope.frontier(1)) == std::vector<Epoch>{1});
}

TEST_CASE("a batch's consumption may be applied before its production") {
  Chain chain(3);
  std::vector<std::byte> produced(16);
  std::vector<std::byte> consumed(16);
  const LocationId location = chain.locations[1];
  const int32_t plus = 1;
  const int32_t minus = -1;
  std::memcpy(produced.data(), &location, 4);
  std::memcpy(produced.data() + 4, &plus, 4);
  std::memcpy(consumed.data(), &location, 4);
  std::memcpy(consumed.data() + 4, &minus, 4);
  REQUIRE(chain.tracker.Apply(consumed).ok());
  REQUIRE(chain.tracker.Propagate().ok());
  CHECK(Elements(chain.scope.frontier(chain.locations[2])) == std::vector<Epoch>{0});
  REQUIRE(chain.tracker.Apply(produced).ok());
  REQUIRE(chain.tracker.Propagate().ok());
  chain.scope.Record(chain.locations[0], 0, -1);
  REQUIRE(chain.Run().ok());
  CHECK(chain.tracker.Complete());
}

TEST_CASE("an unmatched consumption keeps the dataflow from being complete") {
  Chain chain(2);
  chain.scope.Record(chain.locations[1], 0, -1);
  chain.scope.Record(chain.locations[0], 0, -1);
  REQUIRE(chain.Run().ok());
  CHECK(chain.scope.frontier(chain.locations[1]).empty());
  CHECK(!chain.tracker.Complete());
}

TEST_CASE("a time before the frontier is an error that names location, time and frontier (T6)") {
  Chain chain(3);
  chain.Move(chain.locations[0], 0, 5);
  REQUIRE(chain.Run().ok());
  chain.scope.Record(chain.locations[2], 3, +1);
  const absl::Status status = chain.Run();
  CHECK(status.code() == absl::StatusCode::kInternal);
  CHECK(Contains(status, "port 2"));
  CHECK(Contains(status, "time 3"));
  CHECK(Contains(status, "{5}"));
  CHECK(Elements(chain.scope.frontier(chain.locations[2])) == std::vector<Epoch>{5});
  CHECK(chain.tracker.Propagate() == status);  // again
}

TEST_CASE(
    "a capability made from an input frontier, not from a held capability, is an error (T6)") {
  // The operator read frontier {0} at its input. It made a capability at its output after the
  // upstream capability was dropped.
  Chain chain(2);
  chain.scope.Record(chain.locations[0], 0, -1);
  REQUIRE(chain.Run().ok());
  chain.scope.Record(chain.locations[1], 0, +1);
  const absl::Status status = chain.Run();
  CHECK(status.code() == absl::StatusCode::kInternal);
  CHECK(Contains(status, "{}"));
}

// A root scope with source -> (body -> body) -> sink, where the body is an iteration in a nested
// scope.
struct Iteration {
  Iteration() : outer(tracker.AddScope<Epoch>()), inner(tracker.AddScope<Round>()) {
    source = outer.AddLocation();
    body = inner.AddLocation();
    sink = outer.AddLocation();
    tracker.AddEnter(outer, source, inner, body);
    inner.AddEdge(body, body, {0, 1});
    tracker.AddLeave(inner, body, outer, sink);
    inner.Watch(body);
    outer.Watch(sink);
  }
  absl::Status Run() {
    tracker.Publish(nullptr);
    return tracker.Propagate();
  }

  Tracker tracker;
  ScopeTracker<Epoch>& outer;
  ScopeTracker<Round>& inner;
  LocationId source;
  LocationId body;
  LocationId sink;
};

TEST_CASE("the first frontier of a nested scope is not empty") {
  Iteration graph;
  graph.outer.AddInitial(graph.source, 3, 2);
  REQUIRE(graph.tracker.Finish(Name).ok());
  CHECK(Elements(graph.inner.frontier(graph.body)) == std::vector<Round>{{3, 0}});
  CHECK(Elements(graph.outer.frontier(graph.sink)) == std::vector<Epoch>{3});
  CHECK(Changed(graph.tracker).size() == 2);
}

TEST_CASE("an iteration holds its outer time until it ends") {
  Iteration graph;
  graph.outer.AddInitial(graph.source, 0, 1);
  REQUIRE(graph.tracker.Finish(Name).ok());
  graph.outer.Record(graph.source, 0, -1);
  graph.outer.Record(graph.source, 1, +1);
  graph.inner.Record(graph.body, {0, 0}, +1);
  REQUIRE(graph.Run().ok());
  CHECK(Elements(graph.outer.frontier(graph.sink)) == std::vector<Epoch>{0});
  CHECK(Changed(graph.tracker).empty());  // the batch replaced the capability
  for (uint64_t round = 0; round < 5; ++round) {
    graph.inner.Record(graph.body, {0, round}, -1);
    graph.inner.Record(graph.body, {0, round + 1}, +1);
    REQUIRE(graph.Run().ok());
    CHECK(Elements(graph.outer.frontier(graph.sink)) == std::vector<Epoch>{0});
    CHECK(Changed(graph.tracker) == std::vector{graph.body});
  }
  graph.inner.Record(graph.body, {0, 5}, -1);
  REQUIRE(graph.Run().ok());
  CHECK(Elements(graph.outer.frontier(graph.sink)) == std::vector<Epoch>{1});
  graph.outer.Record(graph.source, 1, -1);
  REQUIRE(graph.Run().ok());
  CHECK(graph.inner.frontier(graph.body).empty());
  CHECK(graph.outer.frontier(graph.sink).empty());
  CHECK(graph.tracker.Complete());
}

TEST_CASE("a scope wired from its input straight to its output passes times on") {
  Tracker tracker;
  auto& outer = tracker.AddScope<Epoch>();
  auto& inner = tracker.AddScope<Round>();
  const LocationId source = outer.AddLocation();
  const LocationId pass = inner.AddLocation();
  const LocationId sink = outer.AddLocation();
  tracker.AddEnter(outer, source, inner, pass);
  tracker.AddLeave(inner, pass, outer, sink);
  outer.AddInitial(source, 0, 1);
  outer.Watch(sink);
  REQUIRE(tracker.Finish(Name).ok());
  outer.Record(source, 0, -1);
  tracker.Publish(nullptr);
  REQUIRE(tracker.Propagate().ok());
  CHECK(outer.frontier(sink).empty());
  CHECK(Changed(tracker) == std::vector{sink});
}

TEST_CASE("a cycle that does not advance time is refused, with its locations") {
  Tracker tracker;
  auto& scope = tracker.AddScope<Epoch>();
  const LocationId outside = scope.AddLocation();
  const LocationId first = scope.AddLocation();
  const LocationId second = scope.AddLocation();
  scope.AddEdge(outside, first);
  scope.AddEdge(first, second);
  scope.AddEdge(second, first);
  const absl::Status status = tracker.Finish(Name);
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK(Contains(status, "port 1 -> port 2 -> port 1"));
  CHECK(!Contains(status, "port 0"));
}

TEST_CASE("a self loop that does not advance time is refused") {
  Tracker tracker;
  auto& scope = tracker.AddScope<Round>();
  const LocationId location = scope.AddLocation();
  scope.AddEdge(location, location);
  CHECK(tracker.Finish(Name).code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("a cycle around a nested scope gains nothing from the inner coordinate") {
  for (const uint64_t outer_advance : {0, 1}) {
    CAPTURE(outer_advance);
    Iteration graph;
    graph.outer.AddEdge(graph.sink, graph.source, outer_advance);
    const absl::Status status = graph.tracker.Finish(Name);
    CHECK(status.ok() == (outer_advance == 1));
    if (!status.ok()) CHECK(Contains(status, "port 0 -> port 1 -> port 2 -> port 0"));
  }
}

TEST_CASE("a cycle through three scopes must advance the time of the outermost one") {
  // body (depth 2) enters an innermost scope and returns. Its own coordinate must advance, not the
  // innermost one.
  for (const auto& advance :
       std::vector<std::pair<uint64_t, uint64_t>>{{0, 0}, {0, 1}, {1, 0}, {1, 1}}) {
    CAPTURE(advance.first);
    CAPTURE(advance.second);
    Tracker tracker;
    auto& root = tracker.AddScope<Epoch>();
    auto& middle = tracker.AddScope<Round>();
    auto& innermost = tracker.AddScope<InnerRound>();
    const LocationId source = root.AddLocation();
    const LocationId start = middle.AddLocation();
    const LocationId inside = innermost.AddLocation();
    const LocationId inside_end = innermost.AddLocation();
    const LocationId end = middle.AddLocation();
    tracker.AddEnter(root, source, middle, start);
    tracker.AddEnter(middle, start, innermost, inside);
    innermost.AddEdge(inside, inside_end, {{0, 0}, advance.second});
    tracker.AddLeave(innermost, inside_end, middle, end);
    middle.AddEdge(end, start, {0, advance.first});
    root.AddInitial(source, 7, 1);
    const absl::Status status = tracker.Finish(Name);
    CHECK(status.ok() == (advance.first == 1));
    if (status.ok()) {
      CHECK(Elements(middle.frontier(end)) == std::vector<Round>{{7, 0}});
    }
  }
}

std::vector<std::pair<LocationId, std::string>> HoldupsOf(const Tracker& tracker,
                                                          LocationId location) {
  std::vector<std::pair<LocationId, std::string>> found;
  for (const Holdup& holdup : tracker.FindHoldups({&location, 1}, 10)) {
    found.push_back({holdup.location, holdup.time});
  }
  return found;
}

TEST_CASE("the holdup of a frontier is the time upstream that leads to it, not an earlier one") {
  Tracker tracker;
  auto& scope = tracker.AddScope<Epoch>();
  const LocationId far = scope.AddLocation();  // its times arrive 100 later
  const LocationId near = scope.AddLocation();
  const LocationId join = scope.AddLocation();
  const LocationId elsewhere = scope.AddLocation();
  scope.AddEdge(far, join, 100);
  scope.AddEdge(near, join);
  for (const LocationId location : {far, near, elsewhere}) scope.AddInitial(location, 0, 1);
  REQUIRE(tracker.Finish(Name).ok());
  using Found = std::vector<std::pair<LocationId, std::string>>;
  CHECK(HoldupsOf(tracker, join) == Found{{near, "0"}});
  scope.RecordMove(near, 0, 101);
  tracker.Publish(nullptr);
  REQUIRE(tracker.Propagate().ok());
  CHECK(HoldupsOf(tracker, join) == Found{{far, "0"}});
  scope.Record(far, 0, -1);
  scope.Record(near, 101, -1);
  tracker.Publish(nullptr);
  REQUIRE(tracker.Propagate().ok());
  CHECK(HoldupsOf(tracker, join).empty());
}

TEST_CASE("a holdup is found in a nested scope, and through its cycle") {
  Tracker tracker;
  auto& outer = tracker.AddScope<Epoch>();
  auto& inner = tracker.AddScope<Round>();
  const LocationId source = outer.AddLocation();
  const LocationId enter = inner.AddLocation();
  const LocationId loop = inner.AddLocation();
  const LocationId leave = outer.AddLocation();
  tracker.AddEnter(outer, source, inner, enter);
  inner.AddEdge(enter, loop);
  inner.AddEdge(loop, enter, {.outer = 0, .inner = 1});
  tracker.AddLeave(inner, loop, outer, leave);
  outer.AddInitial(source, 4, 1);
  inner.AddInitial(loop, {3, 7}, 1);
  REQUIRE(tracker.Finish(Name).ok());
  using Found = std::vector<std::pair<LocationId, std::string>>;
  CHECK(HoldupsOf(tracker, leave) == Found{{loop, "(3, 7)"}});
  CHECK(HoldupsOf(tracker, source) == Found{{source, "4"}});
  inner.Record(loop, {3, 7}, -1);
  tracker.Publish(nullptr);
  REQUIRE(tracker.Propagate().ok());
  CHECK(HoldupsOf(tracker, leave) == Found{{source, "4"}});
}

TEST_CASE("a time that would overflow does not propagate") {
  Tracker tracker;
  auto& scope = tracker.AddScope<Epoch>();
  const LocationId from = scope.AddLocation();
  const LocationId to = scope.AddLocation();
  scope.AddEdge(from, to, 2);
  scope.AddInitial(from, UINT64_MAX - 2, 1);
  REQUIRE(tracker.Finish({}).ok());
  CHECK(Elements(scope.frontier(to)) == std::vector<Epoch>{UINT64_MAX});
  scope.Record(from, UINT64_MAX - 2, -1);
  scope.Record(from, UINT64_MAX - 1, +1);
  tracker.Publish(nullptr);
  REQUIRE(tracker.Propagate().ok());
  CHECK(scope.frontier(to).empty());
}

TEST_CASE("an empty graph and one without capabilities are complete from the start") {
  Tracker empty;
  REQUIRE(empty.Finish({}).ok());
  REQUIRE(empty.Propagate().ok());
  CHECK(empty.Complete());
  Iteration graph;
  REQUIRE(graph.tracker.Finish({}).ok());
  CHECK(graph.tracker.Complete());
  CHECK(graph.outer.frontier(graph.sink).empty());
}

TEST_CASE("an advance costs one update for each location whose frontier moves") {
  Chain chain(1000);
  for (Epoch epoch = 0; epoch < 10; ++epoch) {
    const uint64_t before = chain.tracker.update_count();
    chain.Move(chain.locations.front(), epoch, epoch + 1);
    REQUIRE(chain.Run().ok());
    CHECK(chain.tracker.update_count() - before == 1000);
  }
}

TEST_CASE("a capability that becomes a batch downstream moves no frontier behind it") {
  Chain chain(1000);
  const uint64_t before = chain.tracker.update_count();
  chain.scope.Record(chain.locations[1], 0, +1);
  chain.Move(chain.locations[0], 0, 1);
  REQUIRE(chain.Run().ok());
  CHECK(chain.tracker.update_count() - before == 1);
}

TEST_CASE("an advance of one of many inputs does not depend on their number") {
  Tracker tracker;
  auto& scope = tracker.AddScope<Epoch>();
  const LocationId merged = scope.AddLocation();
  std::vector<LocationId> inputs;
  for (int i = 0; i < 10'000; ++i) {
    inputs.push_back(scope.AddLocation());
    scope.AddEdge(inputs.back(), merged);
    scope.AddInitial(inputs.back(), i == 0 ? 0 : 1'000, 1);
  }
  REQUIRE(tracker.Finish(Name).ok());
  auto advance = [&](LocationId input, Epoch from, Epoch to) {
    scope.Record(input, from, -1);
    scope.Record(input, to, +1);
    tracker.Publish(nullptr);
    const uint64_t before = tracker.update_count();
    REQUIRE(tracker.Propagate().ok());
    return tracker.update_count() - before;
  };
  CHECK(advance(inputs[7], 1'000, 2'000) == 1);  // not the slowest, so the merge does not move
  CHECK(Elements(scope.frontier(merged)) == std::vector<Epoch>{0});
  for (Epoch epoch = 0; epoch < 999; ++epoch) {  // the slowest one
    CHECK(advance(inputs[0], epoch, epoch + 1) == 2);
    CHECK(Elements(scope.frontier(merged)) == std::vector<Epoch>{epoch + 1});
  }
}

}  // namespace
}  // namespace headway
