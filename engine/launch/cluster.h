#ifndef HEADWAY_ENGINE_LAUNCH_CLUSTER_H_
#define HEADWAY_ENGINE_LAUNCH_CLUSTER_H_

#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "engine/dataflow.h"
#include "engine/runtime/config.h"

// The entry points for several processes: a cluster that is put together by hand, and processes of
// this machine.

namespace headway {

class Worker;

struct ClusterOptions {
  // "host:port" or "[ipv6]:port" of every process, by its proc_id.
  std::vector<std::string> addresses;
  int proc_id = 0;  // of this process
  int worker_count_per_proc = 1;
  RunOptions run = {};
};

// Runs this process of a cluster that is put together by hand. Every process is started with the
// same dataflow and options but for its proc_id, in any order; there is no coordinator. Blocks
// until the dataflow is complete on all processes. A stop that is requested before all processes
// are connected ends this one with OK, and those connected to it with Cancelled. A thread that
// looks up a host may outlive the call, until the system has answered it.
//
// Errors, which name the process:
//   InvalidArgument     invalid options; the processes build different dataflows
//   Unavailable         this process's address is in use; another process cannot be reached within
//                       run.cluster.connect_timeout, or is lost later
//   PermissionDenied    within run.cluster.connect_timeout, another process did not prove that it
//                       has the secret; or it has one, and this process has none
//   FailedPrecondition  the processes differ in version, counts, the cluster's name or the list of
//                       addresses; two have the same proc_id; a standard descriptor is closed
//   any                 the first failure of any worker of any process
absl::Status ClusterMain(const Dataflow& dataflow, const ClusterOptions& options);

// The same for a program that drives each worker of the process by itself, as with Execute.
absl::Status ExecuteCluster(const ClusterOptions& options,
                            absl::FunctionRef<absl::Status(Worker&)> program);

struct SpawnOptions {
  int proc_count = 1;
  int worker_count_per_proc = 1;
  RunOptions run = {};
};

// Runs a dataflow on processes of this machine, which it forks. Blocks until all have ended, and
// returns the first failure of any of them, with its process and step. Records that sinks collect
// in memory stay in the child processes. No child outlives the call, or this process.
//
// REQUIRES: the process has no other threads, but for one of jemalloc. Call it before the program
// allocates much.
//
// Errors: those of ClusterMain; Unavailable also for a child that was killed; FailedPrecondition
// also if the process has other threads.
absl::Status SpawnCluster(const Dataflow& dataflow, const SpawnOptions& options);

// The same for a program that drives each worker of each process by itself, as with Execute.
absl::Status ExecuteSpawned(const SpawnOptions& options,
                            absl::FunctionRef<absl::Status(Worker&)> program);

}  // namespace headway

#endif  // HEADWAY_ENGINE_LAUNCH_CLUSTER_H_
