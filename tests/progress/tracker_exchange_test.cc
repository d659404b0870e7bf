#include <doctest/doctest.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "progress/tracker.h"
#include "tests/progress/graph_model.h"
#include "tests/progress/random.h"

namespace headway {
namespace {

using namespace progress_test;  // NOLINT: the vocabulary of the model

// Several workers in one thread. They hold capabilities, send each other messages, and exchange
// rounds of changes over links with delays. The invariants have the names of the verified protocol.
class Cluster {
 public:
  Cluster(const GraphModel& model, Random& random, size_t worker_count)
      : model_(model), random_(random), links_(worker_count * worker_count) {
    std::vector<Point> initial;
    for (uint64_t i = 1 + random.Below(3); i > 0; --i) {
      const auto location = static_cast<LocationId>(random.Below(model.locations.size()));
      initial.push_back({location, Time(model.numbers(location))});
    }
    for (size_t w = 0; w < worker_count; ++w) {
      workers_.emplace_back(model);
      for (const Point& point : initial) {
        const auto all = static_cast<int64_t>(worker_count);
        workers_[w].tracked.at(point.first).AddInitial(point.first, point.second, all);
        Add(workers_[w].counted, point, all);
        Add(workers_[w].held, point, 1);
        Add(records_, point, 1);
      }
    }
  }

  bool Finish() {
    for (Worker& worker : workers_) {
      if (!worker.tracked.tracker.Finish({}).ok()) return false;
      worker.frontiers = worker.tracked.frontiers();
    }
    return true;
  }

  void Step() {
    const size_t w = random_.Below(workers_.size());
    switch (random_.Below(8)) {
      case 0:
        Drop(w);
        break;
      case 1:
      case 2:
        Mint(w);
        break;
      case 3:
        Send(w);
        break;
      case 4:
        Receive();
        break;
      case 5:
        Publish(w);
        break;
      default:
        Deliver(w, random_.Below(workers_.size()));
    }
    CheckAll();
  }

  // O2: every worker drops every capability, and everything is delivered. Then every worker must
  // know that the dataflow is complete.
  void Drain() {
    while (!in_flight_.empty()) Receive();
    for (size_t w = 0; w < workers_.size(); ++w) {
      while (!workers_[w].held.empty()) Drop(w);
      Publish(w);
    }
    for (size_t from = 0; from < workers_.size(); ++from) {
      for (size_t to = 0; to < workers_.size(); ++to) {
        while (!link(from, to).empty()) Deliver(from, to);
      }
    }
    for (size_t w = 0; w < workers_.size(); ++w) Propagate(w);
    CheckAll();
    REQUIRE(records_.empty());
    for (const Worker& worker : workers_) {
      REQUIRE(worker.tracked.tracker.Complete());
      for (const auto& frontier : worker.frontiers) REQUIRE(frontier.empty());
    }
  }

 private:
  struct Worker {
    explicit Worker(const GraphModel& model) : owned(new ModelTracker(model)), tracked(*owned) {}
    std::unique_ptr<ModelTracker> owned;
    ModelTracker& tracked;
    PointCounts held;     // caps
    PointCounts pending;  // temp
    PointCounts counted;  // glob
    Frontiers frontiers;  // as of the last propagation
  };

  std::deque<std::vector<std::byte>>& link(size_t from, size_t to) {
    return links_[from * workers_.size() + to];
  }

  void Record(size_t w, const Point& point, int64_t delta) {
    workers_[w].tracked.Record(point, delta);
    Add(workers_[w].pending, point, delta);
    Add(records_, point, delta);
  }

  const Point* AnyHeld(size_t w) {
    const PointCounts& held = workers_[w].held;
    if (held.empty()) return nullptr;
    auto any = held.begin();
    std::advance(any, random_.Below(held.size()));
    return &any->first;
  }

  void Drop(size_t w) {  // T1
    const Point* const held = AnyHeld(w);
    if (held == nullptr) return;
    const Point point = *held;
    Add(workers_[w].held, point, -1);
    Record(w, point, -1);
  }

  void Mint(size_t w) {  // T2
    const Point* const held = AnyHeld(w);
    if (held == nullptr) return;
    const Point point = Later(model_, random_, *held);
    Add(workers_[w].held, point, 1);
    Record(w, point, 1);
    if (random_.OneIn(2)) Drop(w);
  }

  void Send(size_t w) {  // T3
    const Point* const held = AnyHeld(w);
    if (held == nullptr) return;
    const Point point = Later(model_, random_, *held);
    if (point == *held) return;
    Record(w, point, 1);
    in_flight_.push_back({random_.Below(workers_.size()), point});
  }

  void Receive() {
    if (in_flight_.empty()) return;
    const size_t index = random_.Below(in_flight_.size());
    const auto [to, point] = in_flight_[index];
    in_flight_.erase(in_flight_.begin() + static_cast<ptrdiff_t>(index));
    Add(workers_[to].held, point, 1);  // counted by its sender
    if (random_.OneIn(2)) {
      Add(workers_[to].held, point, -1);
      Record(to, point, -1);
    }
  }

  void Publish(size_t w) {
    Worker& worker = workers_[w];
    std::vector<std::byte> bytes;
    REQUIRE(worker.tracked.tracker.Publish(&bytes) == !worker.pending.empty());
    REQUIRE(worker.tracked.Decode(bytes) == worker.pending);
    if (!worker.pending.empty()) {
      Add(worker.counted, worker.pending);
      worker.pending.clear();
      for (size_t to = 0; to < workers_.size(); ++to) {
        if (to != w) link(w, to).push_back(bytes);
      }
    }
    MayPropagate(w);
  }

  void Deliver(size_t from, size_t to) {
    if (link(from, to).empty()) return;
    Worker& worker = workers_[to];
    const std::vector<std::byte> bytes = std::move(link(from, to).front());
    link(from, to).pop_front();
    REQUIRE(worker.tracked.tracker.Apply(bytes).ok());
    Add(worker.counted, worker.tracked.Decode(bytes));
    MayPropagate(to);
  }

  void MayPropagate(size_t w) {
    if (random_.OneIn(3)) return;  // several rounds in one propagation
    Propagate(w);
  }

  void Propagate(size_t w) {
    Worker& worker = workers_[w];
    const absl::Status status = worker.tracked.tracker.Propagate();
    REQUIRE_MESSAGE(status.ok(), std::string(status.message()));  // T6 does not misfire
    const Frontiers after = worker.tracked.frontiers();
    REQUIRE(after == model_.Implied(worker.counted));  // O1
    for (size_t l = 0; l < after.size(); ++l) {        // S2
      for (const Time& time : after[l]) REQUIRE(AnyLessEqual(worker.frontiers[l], time));
    }
    worker.frontiers = after;
  }

  void CheckAll() {
    // S1 and S4, which contain I6: every outstanding time is ahead of every worker's frontiers.
    const Frontiers truth = model_.Implied(records_);
    for (size_t w = 0; w < workers_.size(); ++w) {
      for (size_t l = 0; l < truth.size(); ++l) {
        for (const Time& time : truth[l]) REQUIRE(AnyLessEqual(workers_[w].frontiers[l], time));
      }
    }
    // I1 and I2.
    for (const auto& [point, count] : records_) REQUIRE(count > 0);
    for (size_t w = 0; w < workers_.size(); ++w) {
      PointCounts sum = workers_[w].counted;
      for (size_t from = 0; from < workers_.size(); ++from) {
        Add(sum, workers_[from].pending);
        for (const auto& bytes : link(from, w)) Add(sum, workers_[w].tracked.Decode(bytes));
      }
      REQUIRE(sum == records_);
    }
  }

  const GraphModel& model_;
  Random& random_;
  std::vector<Worker> workers_;
  std::vector<std::deque<std::vector<std::byte>>> links_;
  std::vector<std::pair<size_t, Point>> in_flight_;
  PointCounts records_;
};

TEST_CASE("workers that exchange rounds late stay safe, and all see the end") {
  const std::vector<uint64_t> seeds = Seeds(400);
  size_t runs = 0;
  for (const uint64_t seed : seeds) {
    CAPTURE(seed);
    Random random(seed);
    const GraphModel model = RandomGraph(random, 7);
    Cluster cluster(model, random, 2 + random.Below(2));
    if (!cluster.Finish()) continue;
    ++runs;
    for (int step = 0; step < 60; ++step) cluster.Step();
    cluster.Drain();
  }
  if (seeds.size() > 1) CHECK(runs > seeds.size() / 4);
}

}  // namespace
}  // namespace headway
