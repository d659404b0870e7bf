#ifndef HEADWAY_TESTS_OPERATORS_RESUMED_RUNS_H_
#define HEADWAY_TESTS_OPERATORS_RESUMED_RUNS_H_

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "tests/engine/run_helpers.h"
#include "tests/engine/snapshot_store.h"

namespace headway {

// Runs of a source, each of which resumes from the one before: the records of each, by the epochs
// in which they were emitted.
template <class Source, class D = typename Source::Record>
class ResumedRuns {
 public:
  explicit ResumedRuns(Source source) : source_(std::move(source)) {}

  // Runs to the end of the input, in epochs of `records_per_epoch` records. Returns the records,
  // sorted. The run dies after the commit of its first `committed` epochs, so only their records
  // count.
  absl::Status Run(int workers, std::vector<D>* records, Epoch committed = 1'000'000,
                   int64_t records_per_epoch = 100) {
    Collected<std::pair<Epoch, D>> seen;
    Dataflow flow("records", [&](Scope<>& scope) {
      scope.Input("records", source_) | CollectWithTime<D, Epoch>("collect", seen);
      store_.RestoreInto(scope);
      store_.Listen(scope);
    });
    absl::Status status = RunMain(
        flow, {.worker_count = workers,
               .epoch_config = RecordCountEpochConfig{.records_per_epoch = records_per_epoch},
               .first_epoch = first_,
               .apply_in_epoch_order = true});
    first_ += committed;
    store_.Cut(first_ - 1);
    records->clear();
    for (auto& [epoch, record] : seen.InOrder()) {
      if (epoch < first_) records->push_back(record);
    }
    std::sort(records->begin(), records->end());
    return status;
  }

 private:
  Source source_;
  SnapshotStore store_;
  Epoch first_ = 0;
};

}  // namespace headway

#endif  // HEADWAY_TESTS_OPERATORS_RESUMED_RUNS_H_
