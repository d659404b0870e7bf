#ifndef HEADWAY_TESTS_OPERATORS_RUN_EVERYWHERE_H_
#define HEADWAY_TESTS_OPERATORS_RUN_EVERYWHERE_H_

#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

#include "headway.h"
#include "tests/engine/run_helpers.h"
#include "tests/engine/thread_cluster.h"
#include "tests/operators/stopped_runs.h"

namespace headway {

// Runs `records` through a step in every shape, with epochs of several lengths; and in runs that
// are stopped in the middle, and resumed in another shape. Calls check(results) for each, with the
// sorted results of type R.
//
//   Stream<R> step(const Stream<D>& records);
template <class R, class D, class Step, class Check>
void RunEverywhere(const std::vector<D>& records, Step step, Check check) {
  for (const Shape shape : kShapes) {
    for (const int64_t records_per_epoch : {1, 7, 1000}) {
      if (records_per_epoch != 7 && shape.total() != 3) continue;
      CAPTURE(shape.processes);
      CAPTURE(shape.workers);
      CAPTURE(records_per_epoch);
      Collected<R> results;
      const Dataflow flow("flow", [&](Scope<>& scope) {
        step(scope.Input("records", TestingSource(records))) | CollectInto("collect", results);
      });
      CheckOk(RunInShape(flow, shape, {.epoch_config = RecordCountEpochConfig{records_per_epoch}}));
      check(results.Sorted());
    }
  }
  INFO("in runs that were stopped and resumed");
  StoppedRuns runs;
  Collected<R> results;
  const Dataflow flow("flow", [&](Scope<>& scope) {
    step(scope.Input("records", TestingSource(records)) | runs.StopHere("stop")) |
        CollectInto("collect", results) | Output("out", CallbackSink([](const auto&) {}));
  });
  const std::vector<int> passed =
      runs.Run(flow, static_cast<int>(records.size()) / 4 + 1, {{1, 2}, {2, 1}, {1, 1}, {1, 3}});
  // The records of an epoch may all be emitted before the stop is noticed.
  if (records.size() > 20) CHECK(passed[0] < static_cast<int>(records.size()));
  check(results.Sorted());
}

}  // namespace headway

#endif  // HEADWAY_TESTS_OPERATORS_RUN_EVERYWHERE_H_
