#include "engine/launch/cluster.h"

#include "engine/launch/cluster_member.h"
#include "engine/launch/spawned_processes.h"
#include "engine/program.h"
#include "engine/run_program.h"

namespace headway {
namespace {

internal::ClusterMember PlacementOf(const ClusterOptions& options) {
  return {options.addresses, options.proc_id, options.worker_count_per_proc};
}

internal::SpawnedProcesses PlacementOf(const SpawnOptions& options) {
  return {options.proc_count, options.worker_count_per_proc};
}

}  // namespace

absl::Status ClusterMain(const Dataflow& dataflow, const ClusterOptions& options) {
  return internal::Run(internal::DataflowProgram(dataflow), PlacementOf(options), options.run);
}

absl::Status ExecuteCluster(const ClusterOptions& options,
                            absl::FunctionRef<absl::Status(Worker&)> program) {
  return internal::Run(internal::HostProgram(program), PlacementOf(options), options.run);
}

absl::Status SpawnCluster(const Dataflow& dataflow, const SpawnOptions& options) {
  return internal::Run(internal::DataflowProgram(dataflow), PlacementOf(options), options.run);
}

absl::Status ExecuteSpawned(const SpawnOptions& options,
                            absl::FunctionRef<absl::Status(Worker&)> program) {
  return internal::Run(internal::HostProgram(program), PlacementOf(options), options.run);
}

}  // namespace headway
