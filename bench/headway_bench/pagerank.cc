// Integer PageRank that is kept up to date while single edges are replaced. All workers iterate in
// step, so that the result does not depend on how many there are.

#include <algorithm>
#include <array>
#include <span>
#include <utility>
#include <vector>

#include "headway/bench/headway_bench/benchmarks.h"
#include "headway/bench/headway_bench/steps.h"
#include "headway/check.h"

namespace headway::bench {

namespace {

// A timestamp is the number of the change times this, plus the iteration: one totally ordered
// number.
constexpr Epoch kStride = Epoch{1} << 32;

// What every node has before anything flows to it.
constexpr int64_t kBaseRank = 1'000;

struct EdgeChange {
  Edge edge;
  bool insert;
};

struct RankChange {
  uint32_t node;
  int64_t change;
};

// The nodes of one worker: node n is with worker n % workers, at place n / workers.
class Part {
 public:
  Part(const Worker& worker, uint64_t nodes)
      : index_(static_cast<uint32_t>(worker.index())),
        workers_(static_cast<uint32_t>(worker.count())) {
    const size_t count = nodes <= index_ ? 0 : (nodes - index_ + workers_ - 1) / workers_;
    targets_.resize(count);
    ranks_.assign(count, kBaseRank);
    shares_.assign(count, 0);
    for (std::vector<int64_t>& arrived : arrived_) arrived.assign(count, 0);
  }

  void AddEdgeChanges(const Batch<EdgeChange>& batch) {
    edge_changes_.insert(edge_changes_.end(), batch.begin(), batch.end());
  }

  // The loop keeps what it needs in variables: its stores could change a member, so the compiler
  // would load it again and again.
  void Receive(std::span<const RankChange> changes, uint64_t iteration) {
    const uint32_t workers = workers_;
    int64_t* const arrived = arrived_[iteration % 2].data();
    std::vector<uint32_t>& touched = touched_[iteration % 2];
    for (const RankChange& change : changes) {
      const uint32_t place = change.node / workers;
      // A sum that passes through zero lists its place again, which is harmless.
      if (arrived[place] == 0) touched.push_back(place);
      arrived[place] += change.change;
    }
  }

  // Applies the edge changes that have arrived, and tells destinations what changes for them.
  template <class Session>
  void ChangeEdges(Session session) {
    std::vector<uint32_t> changed;
    for (const EdgeChange& change : edge_changes_) {
      const uint32_t place = change.edge.from / workers_;
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
      }
      changed.push_back(place);
    }
    edge_changes_ = std::vector<EdgeChange>();
    std::ranges::sort(changed);
    const auto repeated = std::ranges::unique(changed);
    changed.erase(repeated.begin(), repeated.end());
    for (uint32_t place : changed) UpdateShare(place, session);
  }

  // Applies what arrived for an iteration, and passes on what follows from it, unless it is the
  // last: rounding can keep a change going around a cycle for ever.
  template <class Session>
  void Iterate(uint64_t iteration, bool last, Session session) {
    std::vector<uint32_t>& touched = touched_[iteration % 2];
    for (uint32_t place : touched) {
      const int64_t change = std::exchange(arrived_[iteration % 2][place], 0);
      if (change == 0) continue;
      ranks_[place] += change;
      if (!last) UpdateShare(place, session);
    }
    touched.clear();
  }

  uint64_t Checksum() const {
    uint64_t sum = 0;
    for (size_t place = 0; place < ranks_.size(); ++place) {
      sum += (place * workers_ + index_ + 1) * static_cast<uint64_t>(ranks_[place]);
    }
    return sum;
  }

 private:
  // Computes anew what a place gives to each destination, and sends the difference.
  template <class Session>
  void UpdateShare(uint32_t place, Session& session) {
    const auto degree = static_cast<int64_t>(targets_[place].size());
    const int64_t share = degree == 0 ? 0 : 5 * ranks_[place] / (6 * degree);
    const int64_t change = share - std::exchange(shares_[place], share);
    if (change == 0) return;
    for (uint32_t target : targets_[place]) session.Give(RankChange{target, change});
  }

  const uint32_t index_;
  const uint32_t workers_;
  std::vector<std::vector<uint32_t>> targets_;  // of the edges of a place, in any order
  std::vector<int64_t> ranks_;
  std::vector<int64_t> shares_;  // what a place told each of its destinations last
  // Changes of ranks that came for even and for odd iterations, and the places that have one.
  std::array<std::vector<int64_t>, 2> arrived_;
  std::array<std::vector<uint32_t>, 2> touched_;
  std::vector<EdgeChange> edge_changes_;
};

auto Pagerank(Stream<RankChange> rank_changes, ModuloKey key, Part& part, uint64_t iterations) {
  return BinaryFrontier<RankChange>(
      "pagerank", rank_changes,
      pact::Exchange{[key](const EdgeChange& c) { return key(c.edge.from); }},
      pact::Exchange{[key](const RankChange& c) { return key(c.node); }},
      [&part, iterations](Capability<>) {
        return [&part, iterations, open = std::vector<Capability<>>()](
                   NodeInput<EdgeChange>& edges, NodeInput<RankChange>& ranks,
                   NodeOutput<RankChange>& out) mutable {
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
            const uint64_t iteration = time.time() % kStride;
            part.Receive({batch.begin(), batch.end()}, iteration);
          });
          std::ranges::sort(open, {}, &Capability<>::time);
          auto next = open.begin();
          for (; next != open.end(); ++next) {
            const Epoch time = next->time();
            if (edges.frontier().LessEqual(time) || ranks.frontier().LessEqual(time)) break;
            const uint64_t iteration = time % kStride;
            if (iteration == 0) {
              part.ChangeEdges(out.SessionAt(*next));
            } else {
              part.Iterate(iteration, iteration == iterations, out.SessionAt(*next));
            }
          }
          open.erase(open.begin(), next);
        };
      });
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
