#ifndef HEADWAY_ENGINE_LAUNCH_CLUSTER_H_
#define HEADWAY_ENGINE_LAUNCH_CLUSTER_H_

#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "engine/dataflow.h"
#include "engine/runtime/config.h"
#include "engine/worker.h"

namespace headway {

struct ClusterOptions {
  // Of every process, by its id: "host:port", "[ipv6]:port".
  std::vector<std::string> addresses;
  int proc_id = 0;  // of this process
  int worker_count_per_proc = 1;
  RunOptions run = {};  // its worker_count is not used
};

// Runs this process of a cluster that was put together by hand: every process is started with the
// same dataflow and options but for its proc_id, in any order, and nothing coordinates them. Blocks
// until the dataflow is complete on all processes. A stop that is requested before all are there
// ends it, with OK, and those that it has found, with Cancelled. A thread that looks for a host may
// outlive the call, until the system has answered it.
//
// Errors: InvalidArgument for options that are wrong, and when the processes build different
// dataflows; Unavailable when this process's address is in use, and when another one cannot be
// reached within run.cluster.connect_timeout, or is lost later; PermissionDenied when a process
// proves a wrong secret or none; FailedPrecondition when the processes differ in version, counts,
// the name of the cluster or the list of addresses, when two have the same proc_id, and when a
// standard descriptor is closed; the first failure of any worker of any process. The message names
// the process.
absl::Status ClusterMain(const Dataflow& dataflow, const ClusterOptions& options);

// The same for a program that drives each worker of the process by itself, as with Execute.
absl::Status ExecuteCluster(const ClusterOptions& options,
                            absl::FunctionRef<absl::Status(Worker&)> program);

struct SpawnOptions {
  int proc_count = 1;
  int worker_count_per_proc = 1;
  RunOptions run = {};  // its worker_count is not used
};

// Runs a dataflow on processes of this machine, which it forks. Blocks until all have ended and
// returns the first failure of any of them, with its process and step. What the dataflow's sinks
// collect in memory stays in the child processes.
//
// Call it before the program starts threads or allocates much: FailedPrecondition if it has other
// threads. No child outlives the call, or this process. Other errors are those of ClusterMain;
// Unavailable also for a child that was killed.
absl::Status SpawnCluster(const Dataflow& dataflow, const SpawnOptions& options);

// The same for a program that drives each worker of each process by itself, as with Execute.
absl::Status ExecuteSpawned(const SpawnOptions& options,
                            absl::FunctionRef<absl::Status(Worker&)> program);

}  // namespace headway

#endif  // HEADWAY_ENGINE_LAUNCH_CLUSTER_H_
