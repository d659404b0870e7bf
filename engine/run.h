#ifndef HEADWAY_ENGINE_RUN_H_
#define HEADWAY_ENGINE_RUN_H_

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "engine/dataflow.h"
#include "engine/runtime/config.h"
#include "engine/worker.h"

// The entry points. Each starts the workers, blocks until all is done, and returns the first
// failure of any of them: what happened, in which step, on which worker. Several runs may go on in
// one process.

namespace headway {

// Runs a dataflow in this process, with options.worker_count threads (the caller's is one of them),
// until every source is done and every record has left, or until a graceful stop.
absl::Status RunMain(const Dataflow& dataflow, const RunOptions& options = {});

struct Config {
  int workers = 1;
  RunOptions run = {};  // its worker_count is not used
};

// Runs `program` on each of the workers (threads of this process; the caller's is worker 0). A
// worker whose program has returned OK goes on until its dataflows are complete; a program that
// returns an error, or throws, ends the run. `program` runs concurrently.
//
// A graceful stop (config.run.stop) stops the sources at once, and ends the dataflows that have
// some as in RunMain when the programs of all workers have returned. It does not end a program: one
// that goes on until it is told otherwise, or waits for what sources send, looks at the StopHandle
// itself, as in StepWhile([&] { return !stop.requested() && ...; }), which a stop wakes. Dataflows
// that are only fed by hand go on until their inputs are closed and all records have left.
absl::Status Execute(const Config& config, absl::FunctionRef<absl::Status(Worker&)> program);

}  // namespace headway

#endif  // HEADWAY_ENGINE_RUN_H_
