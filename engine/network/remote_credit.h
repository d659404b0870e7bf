#ifndef HEADWAY_ENGINE_NETWORK_REMOTE_CREDIT_H_
#define HEADWAY_ENGINE_NETWORK_REMOTE_CREDIT_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "comm/local/flow_control.h"
#include "comm/system/topology.h"

namespace headway::internal {

// Counts the bytes in flight between this process and each other one, in both directions, by the
// frames of the connections. Flow control is the sender's part; here the receiver checks it, so
// that no process can make this one hold memory without limit.
//
// Thread safety: none; the holder of the pump's lock uses it.
class RemoteCredit {
 public:
  // `max_bytes_in_flight` is the limit of the run.
  RemoteCredit(const Topology& topology, int64_t max_bytes_in_flight)
      : exclusive_bytes_(kExclusiveBytes * topology.workers_per_process),
        shared_bytes_(2 * max_bytes_in_flight + kActivationBytes * topology.workers_per_process),
        of_process_(static_cast<size_t>(topology.process_count)) {}

  // Returns the bytes that one process may have in flight to this one. `channels` is the number of
  // channels of the dataflows that this process has built, or more.
  //
  // A process that keeps the rules stays below its share of max_bytes_in_flight, twice that in a
  // cycle, and the exclusive bytes of each channel and worker. An activation that emits much may
  // exceed them, so the limit is far above. A process that does not return credit, or takes more,
  // reaches it.
  int64_t Limit(size_t channels) const {
    return shared_bytes_ + exclusive_bytes_ * static_cast<int64_t>(channels);
  }

  // Counts a batch of `process` that has arrived. Returns its bytes in flight to this process.
  int64_t AddReceived(int process, int64_t bytes) { return Of(process).theirs += bytes; }
  // Counts bytes of `process` that workers of this process have taken.
  void AddTaken(int process, int64_t bytes) { Of(process).theirs -= bytes; }

  // Counts a batch that was sent to `process`.
  void AddSent(int process, int64_t bytes) { Of(process).ours += bytes; }
  // Counts bytes that `process` has returned. Returns false, and counts nothing, if it was sent
  // less.
  [[nodiscard]] bool AddReturned(int process, uint64_t bytes) {
    int64_t& ours = Of(process).ours;
    if (bytes > static_cast<uint64_t>(ours)) return false;
    ours -= static_cast<int64_t>(bytes);
    return true;
  }

 private:
  // The room for an activation of each worker that emits more than there is credit for, such as all
  // counts at the end of the input.
  static constexpr int64_t kActivationBytes = int64_t{1} << 30;

  struct InFlight {
    int64_t theirs = 0;  // from the process to this one
    int64_t ours = 0;    // from this process to it
  };
  InFlight& Of(int process) { return of_process_[static_cast<size_t>(process)]; }

  const int64_t exclusive_bytes_;
  const int64_t shared_bytes_;
  std::vector<InFlight> of_process_;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_NETWORK_REMOTE_CREDIT_H_
