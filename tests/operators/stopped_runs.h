#ifndef HEADWAY_TESTS_OPERATORS_STOPPED_RUNS_H_
#define HEADWAY_TESTS_OPERATORS_STOPPED_RUNS_H_

#include <atomic>
#include <initializer_list>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "headway.h"
#include "tests/engine/run_helpers.h"
#include "tests/engine/store/memory_store.h"
#include "tests/engine/thread_cluster.h"

namespace headway {

// Several runs of one dataflow over one recovery store. Each run but the last is stopped in the
// middle, and the next one resumes, in another shape.
class StoppedRuns {
 public:
  // A step near a source, which requests a graceful stop when enough records have passed such steps
  // in the present run.
  auto StopHere(std::string step_id) {
    return Inspect(std::move(step_id), [this](const auto&) {
      if (++passed_ == stop_at_) stop_.RequestStop();
    });
  }

  // Runs `flow`, whose epochs have five records of a source. Each run but the last is stopped when
  // `records` have passed. Returns the number of records that passed in each run.
  std::vector<int> Run(const Dataflow& flow, int records, std::initializer_list<Shape> shapes) {
    auto store = std::make_shared<internal::MemoryStore>();
    std::vector<int> passed;
    for (const Shape shape : shapes) {
      RunOptions options{.epoch_config = RecordCountEpochConfig{5},
                         .recovery_config = RecoveryConfig{.store = store}};
      stop_ = options.stop;
      passed_ = 0;
      const bool is_last = passed.size() + 1 == shapes.size();
      stop_at_ = is_last ? std::numeric_limits<int>::max() : records;
      CheckOk(RunInShape(flow, shape, options));
      passed.push_back(passed_);
    }
    return passed;
  }

 private:
  StopHandle stop_;
  std::atomic<int> passed_{0};
  std::atomic<int> stop_at_{0};
};

}  // namespace headway

#endif  // HEADWAY_TESTS_OPERATORS_STOPPED_RUNS_H_
