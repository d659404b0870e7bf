#ifndef HEADWAY_TESTS_SIM_SIMULATION_H_
#define HEADWAY_TESTS_SIM_SIMULATION_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "comm/system/clock.h"
#include "engine/runtime/attempt.h"
#include "engine/worker.h"
#include "tests/sim/ghost.h"
#include "tests/sim/graph_builder.h"
#include "tests/sim/model.h"
#include "tests/sim/plan.h"
#include "tests/sim/random.h"

namespace headway::sim {

// One simulated run: one thread steps the real workers of one process, in an order that the seed
// decides. It compares them with the ghost state after every action. See README.md.
class Simulation {
 public:
  explicit Simulation(uint64_t seed);

  // Returns the violation, or an empty string. Call it once.
  std::string Run();

  // The parameters and dataflows of the seed.
  std::string Describe() const;

  // Statistics, which show that the simulation covers enough.
  struct Counts {
    uint64_t actions = 0;
    uint64_t rests = 0;             // checks that frontiers are exact
    uint64_t records = 0;           // received by operators
    uint64_t frontier_changes = 0;  // as checked after steps
    uint64_t cycles = 0;            // runs with a cycle
    uint64_t waits_for_credit = 0;  // steps after which a node waits for credit
    uint64_t exhausted = 0;  // runs that ended because a cycle exceeded a small limit: allowed

    void Add(const Counts& other) {
      actions += other.actions;
      rests += other.rests;
      records += other.records;
      frontier_changes += other.frontier_changes;
      cycles += other.cycles;
      waits_for_credit += other.waits_for_credit;
      exhausted += other.exhausted;
    }
  };
  const Counts& counts() const { return counts_; }

 private:
  // A dataflow on one worker.
  struct Local {
    Installed installed;
    bool cancelled = false;
    bool checked_gone = false;
    std::vector<size_t> next_step;  // by input
    std::vector<int> sent_count;    // by input
  };
  struct Dataflow {
    Plan plan;
    AllReceipts expected;
    std::unique_ptr<Ghost> ghost;
    uint64_t checked_version = 0;
    bool to_be_cancelled = false;
    std::vector<Local> locals;  // by worker
  };

  void MakeDataflows(bool allow_cycles);
  bool failed() const { return verdict_.failed() || counts_.exhausted > 0; }

  // Actions on a worker. Each returns false if there was no work.
  bool BuildNext(int worker);
  bool CancelOne(int worker);
  bool FeedInput(int worker);
  void Step(int worker);

  void RandomPhase();
  void FairPhase();
  // Steps all workers until no work is left, and checks that the frontiers are exact.
  void ComeToRest();
  bool ScriptsDone() const;
  bool AllGone() const;

  // Compares every worker's frontiers with the truth.
  void Check(int stepped_worker);
  void CheckWorker(Dataflow& dataflow, size_t number, int worker, bool stepped);
  void CheckGone(Dataflow& dataflow, size_t number, int worker);
  void CheckExact();
  void CheckResults();
  void HandleStatus(const absl::Status& status);

  Random random_;
  Verdict verdict_;
  int workers_count_ = 1;
  uint32_t first_epoch_ = 0;
  bool limited_ = false;
  bool has_cycle_ = false;
  bool respects_credit_ = false;
  int64_t max_bytes_in_flight_ = int64_t{256} << 20;
  internal::Fabric::Options rings_;
  ManualClock clock_;
  std::vector<Dataflow> dataflows_;
  std::unique_ptr<internal::RunContext> run_;
  std::unique_ptr<internal::Attempt> attempt_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<size_t> next_build_;  // by worker
  Counts counts_;
  SimFrontier scratch_;
};

}  // namespace headway::sim

#endif  // HEADWAY_TESTS_SIM_SIMULATION_H_
