#ifndef HEADWAY_ENGINE_LAUNCH_CLUSTER_MEMBER_H_
#define HEADWAY_ENGINE_LAUNCH_CLUSTER_MEMBER_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "engine/placement.h"

namespace headway::internal {

// This process as a member of a cluster whose other processes are started elsewhere.
class ClusterMember final : public Placement {
 public:
  // `addresses` are those of all processes by number, and outlive the placement.
  ClusterMember(const std::vector<std::string>& addresses, int process, int workers_per_process)
      : addresses_(addresses), process_(process), workers_(workers_per_process) {}

  int workers_per_process() const override { return workers_; }

  // Connects this process to all others, and calls `part` in it. OK, without a call, if a stop is
  // requested before all are connected.
  absl::Status Place(const RunOptions& options, ProcessPart part) const override;

 private:
  const std::vector<std::string>& addresses_;
  const int process_;
  const int workers_;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_LAUNCH_CLUSTER_MEMBER_H_
