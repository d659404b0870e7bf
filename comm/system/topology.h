#ifndef HEADWAY_COMM_SYSTEM_TOPOLOGY_H_
#define HEADWAY_COMM_SYSTEM_TOPOLOGY_H_

#include <cstdint>

namespace headway::internal {

// The workers of a run: process p has the workers p * n to (p + 1) * n - 1, counted through the
// cluster. Within its process a worker has a local index.
struct Topology {
  int process = 0;  // this one
  int process_count = 1;
  int workers_per_process = 1;

  int worker_count() const { return process_count * workers_per_process; }
  int first_worker() const { return process * workers_per_process; }
  int ProcessOf(int worker) const { return worker / workers_per_process; }
  int LocalIndex(int worker) const { return worker - first_worker(); }
  // Equals ProcessOf(worker) == process without the division: it is computed for each batch.
  bool IsLocal(int worker) const {
    return static_cast<uint32_t>(LocalIndex(worker)) < static_cast<uint32_t>(workers_per_process);
  }
};

// The largest number of workers of a run, since a block names its sender in 16 bits.
inline constexpr int kMaxWorkersOfRun = 1 << 16;

}  // namespace headway::internal

#endif  // HEADWAY_COMM_SYSTEM_TOPOLOGY_H_
