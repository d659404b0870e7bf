#ifndef HEADWAY_ENGINE_LAUNCH_SPAWNED_PROCESSES_H_
#define HEADWAY_ENGINE_LAUNCH_SPAWNED_PROCESSES_H_

#include "absl/status/status.h"
#include "engine/placement.h"

namespace headway::internal {

// Processes of this machine that the calling process forks and supervises.
class SpawnedProcesses final : public Placement {
 public:
  // Requests of a command line: see ChildProcessesOptions.
  struct Command {
    int stop_descriptor = -1;
    bool end_by_sigpipe = false;
  };

  SpawnedProcesses(int process_count, int workers_per_process)
      : SpawnedProcesses(process_count, workers_per_process, Command{}) {}
  SpawnedProcesses(int process_count, int workers_per_process, Command command)
      : process_count_(process_count), workers_(workers_per_process), command_(command) {}

  int workers_per_process() const override { return workers_; }

  // Calls `part` in each child.
  absl::Status Place(const RunOptions& options, ProcessPart part) const override;

 private:
  const int process_count_;
  const int workers_;
  const Command command_;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_LAUNCH_SPAWNED_PROCESSES_H_
