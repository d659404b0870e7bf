#include "progress/process_sum.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "progress/compact_rounds.h"
#include "progress/tracker.h"
#include "tests/progress/graph_model.h"
#include "tests/progress/random.h"

namespace headway {
namespace {

using namespace progress_test;  // NOLINT: the vocabulary of the model

using Bytes = std::vector<std::byte>;
using Link = std::deque<Bytes>;

// Processes of several workers each, in one thread. Workers hold capabilities and send each other
// messages. Workers of a process exchange rounds; processes exchange the sums of a ProcessSum.
class Cluster {
 public:
  Cluster(const GraphModel& model, Random& random)
      : model_(model),
        random_(random),
        per_process_(2 + random.Below(3)),
        workers_(per_process_ * (2 + random.Below(2))) {
    for (size_t l = 0; l < model.locations.size(); ++l) {
      only_capabilities_.push_back(random.OneIn(2));
    }
    for (Worker& worker : workers_) {
      worker.tracked = std::make_unique<ModelTracker>(model);
      worker.from_fellows.resize(per_process_);
      worker.from_processes.resize(process_count());
    }
    for (uint64_t i = 1 + random.Below(3); i > 0; --i) {
      const auto location = static_cast<LocationId>(random.Below(model.locations.size()));
      const Point point{location, Time(model.numbers(location))};
      for (Worker& worker : workers_) {
        const auto all = static_cast<int64_t>(workers_.size());
        worker.tracked->at(location).AddInitial(location, point.second, all);
        Add(worker.held, point, 1);
        Add(records_, point, 1);
      }
    }
  }

  bool Finish() {
    for (Worker& worker : workers_) {
      if (!worker.tracked->tracker.Finish({}).ok()) return false;
    }
    const Tracker& tracker = workers_[0].tracked->tracker;
    for (size_t l = 0; l < only_capabilities_.size(); ++l) {
      if (!tracker.TimesAreBytes(static_cast<LocationId>(l))) only_capabilities_[l] = false;
    }
    for (size_t p = 0; p < process_count(); ++p) {
      processes_.emplace_back(
          ProcessSum({.change_bytes = tracker.ChangeSizes(),
                      .only_capabilities = only_capabilities_,
                      .initial = tracker.EncodeCounts()},
                     static_cast<int>(per_process_), static_cast<int>(workers_.size())),
          std::vector<Link>(per_process_));
    }
    return true;
  }

  void Step() {
    const size_t w = random_.Below(workers_.size());
    switch (random_.Below(9)) {
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
      case 6:
        Pump(random_.Below(process_count()));
        break;
      default:
        Deliver(w, random_.Below(per_process_ + process_count()));
    }
    CheckSafe();
  }

  // Delivers everything that is due. The sums that still wait must make no difference: each
  // worker's frontiers are exact.
  void ComeToRest() {
    for (size_t w = 0; w < workers_.size(); ++w) Publish(w);
    for (size_t p = 0; p < process_count(); ++p) Pump(p);
    for (size_t w = 0; w < workers_.size(); ++w) {
      for (size_t from = 0; from < per_process_ + process_count(); ++from) {
        while (Deliver(w, from)) {
        }
      }
      Propagate(w);
      REQUIRE(workers_[w].tracked->frontiers() == model_.Implied(records_));
    }
    CheckSafe();
    for (Process& process : processes_) kept_back += !process.sum.empty();
  }

  // Every worker drops every capability. Then every worker must know that the dataflow is complete.
  void Drain() {
    while (!in_flight_.empty()) Receive();
    for (size_t w = 0; w < workers_.size(); ++w) {
      while (!workers_[w].held.empty()) Drop(w);
    }
    ComeToRest();
    REQUIRE(records_.empty());
    for (const Worker& worker : workers_) REQUIRE(worker.tracked->tracker.Complete());
    for (const Process& process : processes_) REQUIRE(process.sum.empty());
  }

  int kept_back = 0;  // sums that still waited when all workers were at rest

 private:
  struct Worker {
    std::unique_ptr<ModelTracker> tracked;
    PointCounts held;
    std::vector<Link> from_fellows;
    std::vector<Link> from_processes;
  };
  struct Process {
    Process(ProcessSum sum, std::vector<Link> from_workers)
        : sum(std::move(sum)), from_workers(std::move(from_workers)) {}
    ProcessSum sum;
    std::vector<Link> from_workers;
  };

  size_t process_count() const { return workers_.size() / per_process_; }

  void Record(size_t w, const Point& point, int64_t delta) {
    workers_[w].tracked->Record(point, delta);
    Add(records_, point, delta);
  }

  const Point* AnyHeld(size_t w) {
    const PointCounts& held = workers_[w].held;
    if (held.empty()) return nullptr;
    auto any = held.begin();
    std::advance(any, random_.Below(held.size()));
    return &any->first;
  }

  void Drop(size_t w) {
    const Point* const held = AnyHeld(w);
    if (held == nullptr) return;
    const Point point = *held;
    Add(workers_[w].held, point, -1);
    Record(w, point, -1);
  }

  void Mint(size_t w) {
    const Point* const held = AnyHeld(w);
    if (held == nullptr) return;
    const Point point = Later(model_, random_, *held);
    Add(workers_[w].held, point, 1);
    Record(w, point, 1);
    if (!random_.OneIn(4)) Drop(w);
  }

  void Send(size_t w) {
    const Point* const held = AnyHeld(w);
    if (held == nullptr) return;
    const Point point = Later(model_, random_, *held);
    if (point == *held || only_capabilities_[point.first]) return;
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
    Bytes round;
    if (workers_[w].tracked->tracker.Publish(&round)) {
      const size_t process = w / per_process_;
      const size_t index = w % per_process_;
      processes_[process].from_workers[index].push_back(round);
      for (size_t fellow = 0; fellow < per_process_; ++fellow) {
        if (fellow == index) continue;
        workers_[process * per_process_ + fellow].from_fellows[index].push_back(round);
      }
    }
    MayPropagate(w);
  }

  // The counterpart of Network::TakeFromWorkers.
  void Pump(size_t p) {
    Process& process = processes_[p];
    for (Link& link : process.from_workers) {
      for (; !link.empty(); link.pop_front()) process.sum.Add(link.front());
    }
    if (!process.sum.is_due()) return;
    const std::span<const std::byte> net = process.sum.Net();
    if (!net.empty()) {
      CompactRounds rounds;
      rounds.Add(7, net, process.sum.change_bytes());
      for (size_t w = 0; w < workers_.size(); ++w) {
        if (w / per_process_ == p) continue;
        workers_[w].from_processes[p].push_back({rounds.bytes().begin(), rounds.bytes().end()});
      }
    }
    process.sum.Clear();
  }

  bool Deliver(size_t w, size_t from) {
    Worker& worker = workers_[w];
    const bool is_fellow = from < per_process_;
    Link& link = is_fellow ? worker.from_fellows[from] : worker.from_processes[from - per_process_];
    if (link.empty()) return false;
    Bytes round = std::move(link.front());
    link.pop_front();
    if (!is_fellow) {
      const Bytes compact = std::move(round);
      CompactRoundsReader reader(compact);
      uint32_t dataflow;
      REQUIRE(reader.Next(1 << 20, &dataflow, &round));
    }
    REQUIRE(worker.tracked->tracker.Apply(round).ok());
    MayPropagate(w);
    return true;
  }

  void MayPropagate(size_t w) {
    if (!random_.OneIn(3)) Propagate(w);
  }

  void Propagate(size_t w) {
    const absl::Status status = workers_[w].tracked->tracker.Propagate();
    REQUIRE_MESSAGE(status.ok(), std::string(status.message()));  // T6
  }

  void CheckSafe() {  // S1
    const Frontiers truth = model_.Implied(records_);
    for (const Worker& worker : workers_) {
      const Frontiers believed = worker.tracked->frontiers();
      for (size_t l = 0; l < truth.size(); ++l) {
        for (const Time& time : truth[l]) REQUIRE(AnyLessEqual(believed[l], time));
      }
    }
  }

  const GraphModel& model_;
  Random& random_;
  const size_t per_process_;
  std::vector<bool> only_capabilities_;
  std::vector<Worker> workers_;
  std::vector<Process> processes_;
  std::vector<std::pair<size_t, Point>> in_flight_;
  PointCounts records_;
};

TEST_CASE("a sum that waits is safe, and changes no frontier of another process") {
  int runs = 0;
  int kept_back = 0;
  for (const uint64_t seed : Seeds(400)) {
    CAPTURE(seed);
    Random random(seed);
    const GraphModel model = RandomGraph(random, 6);
    Cluster cluster(model, random);
    if (!cluster.Finish()) continue;
    ++runs;
    for (int rest = 0; rest < 12; ++rest) {
      for (uint64_t step = random.Below(30); step > 0; --step) cluster.Step();
      cluster.ComeToRest();
    }
    cluster.Drain();
    kept_back += cluster.kept_back;
  }
  if (Seeds(2).size() > 1) {
    CHECK(runs > 100);
    CHECK(kept_back > 500);
  }
}

// Two locations, of capabilities and of messages, and four workers that begin at epoch 0.
ProcessSum SumOf(int workers) {
  Tracker tracker;
  ScopeTracker<Epoch>& scope = tracker.AddScope<Epoch>();
  const LocationId out = scope.AddLocation();
  const LocationId in = scope.AddLocation();
  scope.AddEdge(out, in);
  scope.AddInitial(out, 0, 4);
  CHECK(tracker.Finish({}).ok());
  return ProcessSum({.change_bytes = tracker.ChangeSizes(),
                     .only_capabilities = {true, false},
                     .initial = tracker.EncodeCounts()},
                    workers, 4);
}

struct Change {
  uint32_t location;
  int32_t delta;
  uint64_t epoch;
};

Bytes Encode(const std::vector<Change>& changes) {
  const auto bytes = std::as_bytes(std::span(changes));
  return {bytes.begin(), bytes.end()};
}

TEST_CASE("times with padding are not compared as bytes") {
  Tracker tracker;
  const LocationId plain = tracker.AddScope<progress_test::Round>().AddLocation();
  const LocationId padded = tracker.AddScope<VersionRound>().AddLocation();
  CHECK(tracker.TimesAreBytes(plain));
  CHECK_FALSE(tracker.TimesAreBytes(padded));
}

TEST_CASE("an epoch that all workers of a process enter is due when the last one enters it") {
  ProcessSum sum = SumOf(2);
  for (uint64_t epoch = 0; epoch < 3; ++epoch) {
    const Bytes round = Encode({{0, -1, epoch}, {0, 1, epoch + 1}});
    sum.Add(round);
    CHECK_FALSE(sum.is_due());
    sum.Add(round);
    REQUIRE(sum.is_due());
    const auto net = sum.Net();
    CHECK(Bytes(net.begin(), net.end()) == Encode({{0, -2, epoch}, {0, 2, epoch + 1}}));
    sum.Clear();
  }
}

TEST_CASE("the sum of one worker is due at once") {
  ProcessSum sum = SumOf(1);
  CHECK_FALSE(sum.is_due());
  sum.Add(Encode({{0, 1, 1}}));
  CHECK(sum.is_due());
}

TEST_CASE("sent messages and new capabilities may wait, received messages are due") {
  ProcessSum sum = SumOf(2);
  sum.Add(Encode({{1, 3, 0}, {0, 1, 5}}));
  CHECK_FALSE(sum.is_due());
  sum.Add(Encode({{1, -3, 0}}));  // other processes may get it with the next sum
  CHECK_FALSE(sum.is_due());
  sum.Add(Encode({{1, -1, 0}}));
  CHECK(sum.is_due());
}

TEST_CASE("a worker's changes ahead of the others are due with those of the last worker") {
  ProcessSum sum = SumOf(2);
  sum.Add(Encode({{0, -1, 0}, {0, 1, 7}}));
  CHECK_FALSE(sum.is_due());  // the other worker is still in epoch 0
  sum.Add(Encode({{0, -1, 7}, {0, 1, 9}}));
  CHECK_FALSE(sum.is_due());
  sum.Add(Encode({{0, -1, 0}}));
  REQUIRE(sum.is_due());
  const auto net = sum.Net();
  CHECK(Bytes(net.begin(), net.end()) == Encode({{0, -2, 0}, {0, 1, 9}}));
}

TEST_CASE("a large sum is due") {
  ProcessSum sum = SumOf(2);
  uint64_t epoch = 1;
  while (!sum.is_due()) {
    sum.Add(Encode({{0, 1, epoch++}}));
    REQUIRE(epoch < 1000);
  }
  CHECK(sum.size() <= 4096 + 16);
}

}  // namespace
}  // namespace headway
