#ifndef HEADWAY_ENGINE_RUN_H_
#define HEADWAY_ENGINE_RUN_H_

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "engine/dataflow.h"
#include "engine/runtime/config.h"

// The entry points for one process. Each starts the workers, blocks until they have ended, and
// returns the first failure of any of them, with its step and worker. Several runs may be under way
// in one process.

namespace headway {

class Worker;

// Runs a dataflow in this process, with options.worker_count threads (the caller's is one of them),
// until every source is done and every record has left, or until a graceful stop.
absl::Status RunMain(const Dataflow& dataflow, const RunOptions& options = {});

struct Config {
  int workers = 1;
  RunOptions run = {};
};

// Runs `program` on each of the workers (threads of this process; the caller's is worker 0),
// concurrently. A worker whose program has returned OK steps until its dataflows are complete. An
// error or an exception of a program ends the run.
//
// A graceful stop (config.run.stop) stops the sources at once. When the programs of all workers
// have returned, it ends the dataflows with sources as in RunMain. It does not end a program:
// prefer StepWhile([&] { return !stop.requested() && ...; }), which a stop wakes, in programs that
// run until they are told otherwise or wait for records of sources. Dataflows without sources run
// until their inputs are closed and all records have left.
absl::Status Execute(const Config& config, absl::FunctionRef<absl::Status(Worker&)> program);

}  // namespace headway

#endif  // HEADWAY_ENGINE_RUN_H_
