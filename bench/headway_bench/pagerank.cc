// Integer PageRank that is kept up to date while single edges are replaced. All workers iterate in
// lockstep, so the result does not depend on their number.

#include <algorithm>
#include <array>
#include <bit>
#include <span>
#include <utility>
#include <vector>

#include "bench/headway_bench/benchmarks.h"
#include "bench/headway_bench/steps.h"
#include "check.h"

namespace headway::bench {

namespace {

// A timestamp is a totally ordered number: the change times this factor, plus the iteration.
constexpr Epoch kStride = Epoch{1} << 32;

// The initial rank of every node.
constexpr int64_t kBaseRank = 1'000;

struct EdgeChange {
  Edge edge;
  bool insert;
};

struct RankChange {
  uint32_t node;
  int64_t change;
};

// The nodes of one worker, by place. The messages of one time are sent in slices. So they are in
// the cache when they are received, and not all in flight at once.
class Part {
 public:
  Part(const Worker& worker, uint64_t nodes) : placement_(worker) {
    const size_t count = placement_.Count(nodes);
    edge_changes_.resize((count + kBucketPlaces - 1) / kBucketPlaces);
    targets_.resize(count);
    ranks_.assign(count, kBaseRank);
    shares_.assign(count, 0);
    for (Arrived& arrived : arrived_) {
      arrived.changes.assign(count, 0);
      arrived.touched.assign((count + 63) / 64, 0);
      arrived.groups.assign((count + kGroupPlaces - 1) / kGroupPlaces, 0);
    }
  }

  void AddEdgeChanges(const Batch<EdgeChange>& batch) {
    const Placement placement = placement_;
    for (EdgeChange change : batch) {
      change.edge.from = placement.PlaceOf(change.edge.from);
      edge_changes_[change.edge.from / kBucketPlaces].Add(change);
    }
  }

  void Receive(std::span<const RankChange> messages, uint64_t iteration) {
    const Placement placement = placement_;
    int64_t* const changes = arrived_[iteration % 2].changes.data();
    uint64_t* const touched = arrived_[iteration % 2].touched.data();
    uint8_t* const groups = arrived_[iteration % 2].groups.data();
    for (const RankChange& message : messages) {
      const uint32_t place = placement.PlaceOf(message.node);
      changes[place] += message.change;
      touched[place / 64] |= uint64_t{1} << place % 64;
      groups[place / kGroupPlaces] = 1;
    }
  }

  // Applies edge changes that have arrived, and sends the resulting changes to destinations.
  // Returns false if work remains.
  template <class Session>
  bool ChangeEdges(Session session) {
    for (size_t sent = 0; next_ < edge_changes_.size(); ++next_) {
      if (edge_changes_[next_].size() == 0) continue;
      if (sent > kSlice) return false;
      sent += ChangeBucket(std::exchange(edge_changes_[next_], {}), next_ * kBucketPlaces, session);
    }
    next_ = 0;
    return true;
  }

  // Applies the rank changes of an iteration and sends the resulting changes, except in the last
  // iteration: rounding can keep a change in a cycle for ever. Returns false if work remains.
  template <class Session>
  bool Iterate(uint64_t iteration, bool last, Session session) {
    Arrived& arrived = arrived_[iteration % 2];
    for (size_t sent = 0; next_ < arrived.groups.size(); ++next_) {
      if (arrived.groups[next_] == 0) continue;
      if (sent > kSlice) return false;
      arrived.groups[next_] = 0;
      const size_t end = std::min((next_ + 1) * kGroupPlaces / 64, arrived.touched.size());
      for (size_t word = next_ * kGroupPlaces / 64; word < end; ++word) {
        uint64_t touched = std::exchange(arrived.touched[word], 0);
        for (; touched != 0; touched &= touched - 1) {
          const size_t place = word * 64 + static_cast<size_t>(std::countr_zero(touched));
          const int64_t change = std::exchange(arrived.changes[place], 0);
          if (change == 0) continue;
          ranks_[place] += change;
          if (!last) sent += UpdateShare(place, session);
        }
      }
    }
    next_ = 0;
    return true;
  }

  uint64_t Checksum() const {
    uint64_t sum = 0;
    for (size_t place = 0; place < ranks_.size(); ++place) {
      sum += (placement_.NodeAt(place) + 1) * static_cast<uint64_t>(ranks_[place]);
    }
    return sum;
  }

 private:
  static constexpr size_t kBucketPlaces = 4096;
  static constexpr size_t kGroupPlaces = 512;
  static constexpr size_t kSlice = 16'384;  // messages

  // Changes of ranks. A bit for each place that may have one, and for each kGroupPlaces places a
  // bit that says whether any of them does. So few places are found fast, and many are found in the
  // order of memory.
  struct Arrived {
    std::vector<int64_t> changes;
    std::vector<uint64_t> touched;
    std::vector<uint8_t> groups;
  };

  // Changes edges of the kBucketPlaces places from `first` on. Returns the number of messages sent.
  template <class Session>
  size_t ChangeBucket(const Pieces<EdgeChange>& changes, size_t first, Session& session) {
    size_t sent = 0;
    std::array<uint32_t, kBucketPlaces> count_of = {};
    changes.ForEach([&](const EdgeChange& c) { ++count_of[c.edge.from % kBucketPlaces]; });
    // Targets are read in the order of places, so they are stored in that order.
    for (size_t i = 0; i < kBucketPlaces; ++i) {
      if (count_of[i] != 0 && targets_[first + i].empty()) targets_[first + i].reserve(count_of[i]);
    }
    changes.ForEach([&](const EdgeChange& change) {
      const size_t place = change.edge.from;
      std::vector<uint32_t>& targets = targets_[place];
      if (change.insert) {
        targets.push_back(change.edge.to);
      } else {
        auto removed = std::ranges::find(targets, change.edge.to);
        HEADWAY_CHECK(removed != targets.end());
        *removed = targets.back();
        targets.pop_back();
      }
      if (const int64_t share = shares_[place]; share != 0) {
        session.Give(RankChange{change.edge.to, change.insert ? share : -share});
        ++sent;
      }
    });
    for (size_t i = 0; i < kBucketPlaces; ++i) {
      if (count_of[i] != 0) sent += UpdateShare(first + i, session);
    }
    return sent;
  }

  // Recomputes the share of a place and sends the difference to each destination. Returns the
  // number of messages sent.
  template <class Session>
  size_t UpdateShare(size_t place, Session& session) {
    const std::vector<uint32_t>& targets = targets_[place];
    const auto degree = static_cast<int64_t>(targets.size());
    const int64_t share = degree == 0 ? 0 : 5 * ranks_[place] / (6 * degree);
    const int64_t change = share - std::exchange(shares_[place], share);
    if (change == 0) return 0;
    for (uint32_t target : targets) session.Give(RankChange{target, change});
    return targets.size();
  }

  const Placement placement_;
  // Edge changes by source: one list for each kBucketPlaces places.
  std::vector<Pieces<EdgeChange>> edge_changes_;
  std::vector<std::vector<uint32_t>> targets_;  // of the edges of a place, in any order
  std::vector<int64_t> ranks_;
  std::vector<int64_t> shares_;     // the last share that a place sent to its destinations
  std::array<Arrived, 2> arrived_;  // for even and for odd iterations
  size_t next_ = 0;                 // the bucket or group of the next slice
};

// Takes edge changes and rank changes, and emits the rank changes of the next iteration.
auto Pagerank(Stream<RankChange> rank_changes, ModuloKey key, Part& part, uint64_t iterations) {
  return [=, &part](const Stream<EdgeChange>& edge_changes) {
    OperatorBuilder<Epoch> builder(edge_changes.scope(), "pagerank");
    NodeInput<EdgeChange>& edges = builder.AddInput(
        edge_changes, pact::Exchange{[key](const EdgeChange& c) { return key(c.edge.from); }});
    NodeInput<RankChange>& ranks = builder.AddInput(
        rank_changes, pact::Exchange{[key](const RankChange& c) { return key(c.node); }});
    NodeOutput<RankChange>& out = builder.AddOutput<RankChange>();
    builder.Build([&](std::vector<Capability<>>) {
      return [&edges, &ranks, &out, &part, iterations, activator = builder.activator(),
              open = std::vector<Capability<>>()]() mutable {
        auto hold = [&](const CapabilityRef<Epoch>& time) {
          if (std::ranges::find(open, time.time(), &Capability<>::time) == open.end()) {
            open.push_back(time.Retain());
          }
        };
        edges.ForEach([&](const CapabilityRef<Epoch>& time, Batch<EdgeChange>& batch) {
          hold(time);
          part.AddEdgeChanges(batch);
        });
        ranks.ForEach([&](const CapabilityRef<Epoch>& time, Batch<RankChange>& batch) {
          hold(time);
          part.Receive({batch.begin(), batch.end()}, time.time() % kStride);
        });
        std::ranges::sort(open, {}, &Capability<>::time);
        auto next = open.begin();
        for (; next != open.end(); ++next) {
          const Epoch time = next->time();
          if (edges.frontier().LessEqual(time) || ranks.frontier().LessEqual(time)) break;
          const uint64_t iteration = time % kStride;
          const bool done = iteration == 0 ? part.ChangeEdges(out.SessionAt(*next))
                                           : part.Iterate(iteration, iteration == iterations,
                                                          out.SessionAt(*next));
          if (!done) {
            activator.Activate();
            break;
          }
        }
        open.erase(open.begin(), next);
      };
    });
    return builder.StreamOf(out);
  };
}

absl::StatusOr<Outcome> Run(Worker& worker, Harness& harness, const Options& options) {
  constexpr uint64_t kEdgesPerStep = 512;
  const uint64_t nodes = options.number("nodes");
  const uint64_t edges = options.number("edges");
  const uint64_t changes = std::min(options.number("changes"), edges);
  const auto workers = static_cast<uint64_t>(worker.count());
  const auto index = static_cast<uint64_t>(worker.index());
  const Range own = Share(edges, worker.index(), worker.count());
  std::vector<Edge> initial;
  initial.reserve(own.size());
  for (uint64_t i = own.first; i < own.last; ++i) initial.push_back(RandomEdge(i, nodes));
  Part part(worker, nodes);

  InputHandle<EdgeChange> input;
  ProbeHandle<> probe;
  HEADWAY_RETURN_IF_ERROR(worker.Build("pagerank", [&](Scope<>& scope) {
    auto [loop, rank_changes] = scope.Feedback<RankChange>("loop", 1);
    scope.Input(input) |
        Pagerank(rank_changes, ModuloKey(worker.count()), part, options.number("iterations")) |
        Probe(probe) | ConnectLoop(loop);
  }));

  HEADWAY_RETURN_IF_ERROR(harness.Start(changes));
  for (size_t i = 0; i < initial.size();) {
    const size_t end = std::min(initial.size(), i + kEdgesPerStep);
    for (; i < end; ++i) input.Send(EdgeChange{initial[i], true});
    HEADWAY_RETURN_IF_ERROR(worker.Step());
  }
  input.AdvanceTo(kStride);
  HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return probe.LessThan(kStride); }));

  Outcome outcome = {.rounds = changes, .records = own.size()};
  const Stopwatch change_clock;
  for (uint64_t change = 0; change < changes; ++change) {
    const Stopwatch latency;
    if (change % workers == index) {
      input.Send(EdgeChange{RandomEdge(edges + change, nodes), true});
      input.Send(EdgeChange{RandomEdge(change, nodes), false});
    }
    const Epoch next = (change + 2) * kStride;
    input.AdvanceTo(next);
    HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return probe.LessThan(next); }));
    if (index == 0) outcome.latencies.Add(latency.Nanos());
    harness.SetDone(change);
  }
  outcome.ns_per_round = static_cast<double>(change_clock.Nanos()) / static_cast<double>(changes);
  outcome.seconds = harness.clock().Seconds();
  outcome.checksum = part.Checksum();
  return outcome;
}

}  // namespace

Benchmark PagerankBenchmark() {
  return {.name = "pagerank",
          .summary = "PageRank of a random graph, kept up to date while edges are replaced",
          .arguments = {Number("nodes", 1'000'000, "nodes of the graph"),
                        Number("edges", 5'000'000, "edges of the graph"),
                        Number("changes", 1'000, "replaced edges, one at a time"),
                        Number("iterations", 100, "iterations for each change, at most")},
          .run = Run};
}

}  // namespace headway::bench
