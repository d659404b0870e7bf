// Breadth-first search over a random directed graph from node 0, one level after the other, until
// no node is new.

#include <algorithm>
#include <array>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "headway/bench/headway_bench/benchmarks.h"
#include "headway/bench/headway_bench/steps.h"

namespace headway::bench {

namespace {

constexpr uint32_t kUnreached = std::numeric_limits<uint32_t>::max();

// The nodes of one worker: node n is with worker n % workers, at place n / workers.
class Part {
 public:
  Part(const Worker& worker, uint64_t nodes)
      : index_(static_cast<uint32_t>(worker.index())),
        workers_(static_cast<uint32_t>(worker.count())) {
    const size_t count = nodes <= index_ ? 0 : (nodes - index_ + workers_ - 1) / workers_;
    levels_of_.assign(count, kUnreached);
    offsets_.assign(count + 1, 0);
  }

  void AddEdges(const Batch<Edge>& batch) {
    edges_.insert(edges_.end(), batch.begin(), batch.end());
  }

  // Sorts the edges by their source. The loops keep what they need in variables: stores to an array
  // of numbers could change a member, so the compiler would load it again and again.
  void IndexEdges() {
    const uint32_t workers = workers_;
    uint32_t* const counts = offsets_.data() + 1;
    for (const Edge& edge : edges_) ++counts[edge.from / workers];
    for (size_t place = 1; place < offsets_.size(); ++place) offsets_[place] += offsets_[place - 1];
    std::vector<uint32_t> next = offsets_;
    targets_.resize(edges_.size());
    uint32_t* const targets = targets_.data();
    for (const Edge& edge : edges_) targets[next[edge.from / workers]++] = edge.to;
    edges_ = std::vector<Edge>();
  }

  // Notes that nodes can be reached in `level` steps.
  void Reach(std::span<const uint32_t> nodes, uint64_t level) {
    const uint32_t workers = workers_;
    uint32_t* const levels_of = levels_of_.data();
    std::vector<uint32_t>& reached = reached_[level % 2];
    for (uint32_t node : nodes) {
      const uint32_t place = node / workers;
      if (levels_of[place] != kUnreached) continue;
      levels_of[place] = static_cast<uint32_t>(level);
      reached.push_back(place);
    }
  }

  // Sends the newly reached nodes of a level along their edges.
  template <class Session>
  void VisitNeighbours(uint64_t level, Session session) {
    std::vector<uint32_t>& reached = reached_[level % 2];
    if (!reached.empty()) levels_ = level + 1;
    for (uint32_t place : reached) {
      const uint32_t* const end = targets_.data() + offsets_[place + 1];
      for (const uint32_t* to = targets_.data() + offsets_[place]; to != end; ++to) {
        session.Give(*to);
      }
    }
    reached.clear();
  }

  uint64_t levels() const { return levels_; }

  uint64_t Checksum() const {
    uint64_t sum = 0;
    for (size_t place = 0; place < levels_of_.size(); ++place) {
      if (levels_of_[place] == kUnreached) continue;
      sum += (place * workers_ + index_ + 1) * (uint64_t{levels_of_[place]} + 1);
    }
    return sum;
  }

 private:
  const uint32_t index_;
  const uint32_t workers_;
  std::vector<uint32_t> levels_of_;  // by place
  std::vector<Edge> edges_;          // as they come, until all are there
  // Then, the destinations of place p are targets_[offsets_[p]] to targets_[offsets_[p + 1] - 1].
  std::vector<uint32_t> offsets_;
  std::vector<uint32_t> targets_;
  // Newly reached places at even and at odd levels: a level's nodes are known when those of the
  // next begin to arrive.
  std::array<std::vector<uint32_t>, 2> reached_;
  uint64_t levels_ = 0;
};

// Takes edges and proposals to visit nodes, and makes proposals for the next level. Every worker
// begins level 0 when it has its edges.
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
