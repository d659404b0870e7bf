#ifndef HEADWAY_TESTS_SIM_GHOST_H_
#define HEADWAY_TESTS_SIM_GHOST_H_

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "tests/sim/model.h"
#include "tests/sim/plan.h"

namespace headway::sim {

// The first violation in a simulation.
class Verdict {
 public:
  void Fail(std::string what) {
    if (what_.empty()) what_ = std::move(what);
  }
  bool failed() const { return !what_.empty(); }
  const std::string& what() const { return what_; }

 private:
  std::string what_;
};

// The true state of one dataflow over all workers, which no worker of the engine knows: every
// record in flight and every held capability. The operators and the inputs of the simulation report
// them. It is independent of the engine's own accounts.
class Ghost {
 public:
  // Every worker's initial capabilities exist from the start, also on workers that have not built
  // the dataflow yet.
  Ghost(const Plan& plan, Verdict& verdict);

  void AddCapability(int worker, int location, const SimTime& time);
  void RemoveCapability(int worker, int location, const SimTime& time);
  // A worker sends a record into a stream. The record is in flight to every operator that will
  // receive it.
  void Give(int worker, int stream, const SimTime& time, const Record& record);
  void Receive(int worker, int op, int input, const SimTime& time, const Record& record);

  // The worker has cancelled the dataflow. Its capabilities, and the records in flight to it, stay
  // outstanding for the others for ever.
  void Cancel(int worker) { cancelled_[worker] = true; }

  // The minimal times that may still appear at each location. By brute force: from all outstanding
  // times, along all paths.
  const std::vector<SimFrontier>& Possible();
  // The number of changes of the set of outstanding times.
  uint64_t version() const { return version_; }

  bool empty() const { return capability_count_ == 0 && in_flight_.empty(); }
  std::string DescribeOutstanding() const;
  const AllReceipts& receipts() const { return receipts_; }

 private:
  struct InFlight {
    int op;
    int input;
    int worker;
    SimTime time;
    Record record;

    bool operator==(const InFlight&) const = default;
    template <class H>
    friend H AbslHashValue(H h, const InFlight& x) {
      return H::combine(std::move(h), x.op, x.input, x.worker, x.time.at, x.record.id);
    }
  };

  void Count(int location, const SimTime& time, int delta);

  const Plan& plan_;
  Verdict& verdict_;
  std::vector<bool> cancelled_;                      // by worker
  std::vector<std::map<SimTime, int>> outstanding_;  // by location
  absl::flat_hash_map<InFlight, int> in_flight_;
  int capability_count_ = 0;
  AllReceipts receipts_;
  std::vector<SimFrontier> possible_;
  uint64_t version_ = 1;
  uint64_t possible_version_ = 0;
};

}  // namespace headway::sim

#endif  // HEADWAY_TESTS_SIM_GHOST_H_
