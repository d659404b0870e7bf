#ifndef HEADWAY_TESTS_ENGINE_THREAD_CLUSTER_H_
#define HEADWAY_TESTS_ENGINE_THREAD_CLUSTER_H_

#include <memory>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "comm/wire/transport.h"
#include "headway.h"

namespace headway {

// How many workers, and where.
struct Shape {
  int processes;
  int workers;  // of each
  int total() const { return processes * workers; }
};

// The shapes in which steps are tested.
inline constexpr Shape kShapes[] = {{1, 1}, {1, 2}, {1, 3}, {1, 4}, {1, 8}, {2, 1}, {2, 2}, {4, 1}};

// Connected transports of `processes` processes that are threads of this one, by process. Frames
// are copied from the memory of one to that of the other.
std::vector<std::unique_ptr<internal::Transport>> MemoryMesh(int processes);

// The same over pairs of real sockets.
std::vector<std::unique_ptr<internal::Transport>> SocketMesh(int processes,
                                                             int workers_per_process);

// Runs each process of a cluster in a thread of its own, with `options_of(process)`. Returns their
// statuses, by process.
std::vector<absl::Status> RunInThreads(std::vector<std::unique_ptr<internal::Transport>> transports,
                                       const Dataflow& dataflow, int workers_per_process,
                                       absl::FunctionRef<RunOptions(int)> options_of);

// Runs the dataflow in this shape, over sockets, and returns the first failure of any process. The
// shape decides the number of workers, not `options`.
absl::Status RunInShape(const Dataflow& dataflow, Shape shape, const RunOptions& options = {});

}  // namespace headway

#endif  // HEADWAY_TESTS_ENGINE_THREAD_CLUSTER_H_
