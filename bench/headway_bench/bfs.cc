// Breadth-first search from node 0 over a random directed graph, one level after the other, until a
// level has no new node.

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "bench/headway_bench/benchmarks.h"
#include "bench/headway_bench/steps.h"

namespace headway::bench {

namespace {

constexpr uint32_t kUnreached = std::numeric_limits<uint32_t>::max();

// The nodes of one worker, by place.
class Part {
 public:
  Part(const Worker& worker, uint64_t nodes) : placement_(worker) {
    const size_t count = placement_.Count(nodes);
    levels_of_.assign(count, kUnreached);
    offsets_.assign(count + 1, 0);
    buckets_.resize((count + kBucketPlaces - 1) / kBucketPlaces);
    visited_.assign((count + 63) / 64, 0);
    for (std::vector<uint64_t>& proposed : proposed_) proposed.assign(visited_.size(), 0);
  }

  void AddEdges(const Batch<Edge>& batch) {
    const Placement placement = placement_;
    for (const Edge& edge : batch) {
      const uint32_t place = placement.PlaceOf(edge.from);
      buckets_[place / kBucketPlaces].Add({place, edge.to});
    }
  }

  // Sorts the edges by their source, a bucket at a time, so that the memory that it writes is in
  // the cache.
  void IndexEdges() {
    size_t total = 0;
    for (const Pieces<Edge>& bucket : buckets_) total += bucket.size();
    targets_ = std::make_unique_for_overwrite<uint32_t[]>(total);
    uint32_t* const targets = targets_.get();
    uint32_t offset = 0;
    for (size_t first = 0; first < levels_of_.size(); first += kBucketPlaces) {
      const Pieces<Edge> bucket = std::exchange(buckets_[first / kBucketPlaces], {});
      std::array<uint32_t, kBucketPlaces> next = {};  // by place: degree, then the next index
      bucket.ForEach([&](const Edge& edge) { ++next[edge.from % kBucketPlaces]; });
      const size_t last = std::min(first + kBucketPlaces, levels_of_.size());
      for (size_t place = first; place < last; ++place) {
        offsets_[place] = offset;
        offset += std::exchange(next[place % kBucketPlaces], offset);
      }
      bucket.ForEach(
          [&](const Edge& edge) { targets[next[edge.from % kBucketPlaces]++] = edge.to; });
    }
    offsets_.back() = offset;
  }

  // Marks nodes as reachable in `level` steps, without a branch on whether they were reached
  // before.
  void Reach(std::span<const uint32_t> nodes, uint64_t level) {
    const Placement placement = placement_;
    uint64_t* const proposed = proposed_[level % 2].data();
    for (uint32_t node : nodes) {
      const uint32_t place = placement.PlaceOf(node);
      proposed[place / 64] |= uint64_t{1} << place % 64;
    }
  }

  // Sends the new nodes of a level along their edges, in the order of places, which is the order of
  // the edges in memory.
  template <class Session>
  void VisitNeighbours(uint64_t level, Session session) {
    std::vector<uint64_t>& proposed = proposed_[level % 2];
    for (size_t word = 0; word < proposed.size(); ++word) {
      uint64_t reached = std::exchange(proposed[word], 0) & ~visited_[word];
      if (reached == 0) continue;
      visited_[word] |= reached;
      levels_ = level + 1;
      for (; reached != 0; reached &= reached - 1) {
        const size_t place = word * 64 + static_cast<size_t>(std::countr_zero(reached));
        levels_of_[place] = static_cast<uint32_t>(level);
        const uint32_t* const end = targets_.get() + offsets_[place + 1];
        for (const uint32_t* to = targets_.get() + offsets_[place]; to != end; ++to) {
          session.Give(*to);
        }
      }
    }
  }

  uint64_t levels() const { return levels_; }

  uint64_t Checksum() const {
    uint64_t sum = 0;
    for (size_t place = 0; place < levels_of_.size(); ++place) {
      if (levels_of_[place] == kUnreached) continue;
      sum += (placement_.NodeAt(place) + 1) * (uint64_t{levels_of_[place]} + 1);
    }
    return sum;
  }

 private:
  static constexpr size_t kBucketPlaces = 4096;

  const Placement placement_;
  std::vector<uint32_t> levels_of_;
  // Edges by source, until all have arrived: one list for each kBucketPlaces places.
  std::vector<Pieces<Edge>> buckets_;
  // After sorting, the destinations of place p are targets_[offsets_[p]] to targets_[offsets_[p +
  // 1] - 1].
  std::vector<uint32_t> offsets_;
  std::unique_ptr<uint32_t[]> targets_;
  // A bit for each place: reached, proposed for an even level, proposed for an odd level. A level's
  // nodes are known when proposals for the next level begin to arrive, so two levels suffice.
  std::vector<uint64_t> visited_;
  std::array<std::vector<uint64_t>, 2> proposed_;
  uint64_t levels_ = 0;
};

// Takes edges and proposals to visit nodes, and makes proposals for the next level. A worker begins
// level 0 when it has all its edges.
auto BreadthFirst(Stream<uint32_t> proposals, ModuloKey key, Part& part, bool has_root) {
  return BinaryFrontier<uint32_t>(
      "breadth_first", proposals, pact::Exchange{[key](const Edge& e) { return key(e.from); }},
      pact::Exchange{key}, [&part, has_root](Capability<> first) {
        std::vector<Capability<>> open;  // levels to work on
        open.push_back(std::move(first));
        return [&part, has_root, open = std::move(open)](NodeInput<Edge>& edges,
                                                         NodeInput<uint32_t>& proposals_in,
                                                         NodeOutput<uint32_t>& out) mutable {
          edges.ForEach(
              [&](const CapabilityRef<Epoch>&, Batch<Edge>& batch) { part.AddEdges(batch); });
          proposals_in.ForEach([&](const CapabilityRef<Epoch>& time, Batch<uint32_t>& batch) {
            const Epoch level = time.time();
            if (std::ranges::find(open, level, &Capability<>::time) == open.end()) {
              open.push_back(time.Retain());
            }
            part.Reach({batch.begin(), batch.end()}, level);
          });
          std::ranges::sort(open, {}, &Capability<>::time);
          auto next = open.begin();
          for (; next != open.end(); ++next) {
            const Epoch level = next->time();
            if (edges.frontier().LessEqual(level) || proposals_in.frontier().LessEqual(level)) {
              break;
            }
            if (level == 0) {
              part.IndexEdges();
              if (has_root) part.Reach(std::array<uint32_t, 1>{0}, 0);
            }
            part.VisitNeighbours(level, out.SessionAt(*next));
          }
          open.erase(open.begin(), next);
        };
      });
}

absl::StatusOr<Outcome> Run(Worker& worker, Harness& harness, const Options& options) {
  constexpr uint64_t kEdgesPerStep = 1024;
  const uint64_t nodes = options.number("nodes");
  const Range own = Share(options.number("edges"), worker.index(), worker.count());
  std::vector<Edge> own_edges;
  own_edges.reserve(own.size());
  for (uint64_t i = own.first; i < own.last; ++i) own_edges.push_back(RandomEdge(i, nodes));
  Part part(worker, nodes);

  InputHandle<Edge> input;
  ProbeHandle<> probe;
  HEADWAY_RETURN_IF_ERROR(worker.Build("bfs", [&](Scope<>& scope) {
    auto [loop, proposals] = scope.Feedback<uint32_t>("loop", 1);
    scope.Input(input) |
        BreadthFirst(proposals, ModuloKey(worker.count()), part, worker.index() == 0) |
        Probe(probe) | ConnectLoop(loop);
  }));

  HEADWAY_RETURN_IF_ERROR(harness.Start());
  for (size_t i = 0; i < own_edges.size();) {
    const size_t end = std::min(own_edges.size(), i + kEdgesPerStep);
    for (; i < end; ++i) input.Send(own_edges[i]);
    HEADWAY_RETURN_IF_ERROR(worker.Step());
  }
  input.Close();
  HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return !probe.Done(); }));
  return Outcome{.seconds = harness.clock().Seconds(),
                 .rounds = part.levels(),
                 .records = own.size(),
                 .checksum = part.Checksum()};
}

}  // namespace

Benchmark BfsBenchmark() {
  return {.name = "bfs",
          .summary = "breadth-first search over a random graph",
          .arguments = {Number("nodes", 1'000'000, "nodes of the graph"),
                        Number("edges", 10'000'000, "edges of the graph")},
          .run = Run};
}

}  // namespace headway::bench
