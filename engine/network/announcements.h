#ifndef HEADWAY_ENGINE_NETWORK_ANNOUNCEMENTS_H_
#define HEADWAY_ENGINE_NETWORK_ANNOUNCEMENTS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "engine/network/dataflow_table.h"
#include "engine/network/peers.h"

namespace headway::internal {

// The announcements that workers make, off the hot path: dataflows that were built or removed. They
// wait here for the next pump.
//
// Thread safety: all methods. The holder of the pump's lock calls those that take the table.
class Announcements {
 public:
  // `peers` outlives the announcements.
  explicit Announcements(Peers& peers) : peers_(peers) {}

  // A dataflow was built, and its steps are to be compared with those of the other processes. Each
  // worker calls it, before its first round of progress; the first call counts.
  void AddDataflow(uint32_t dataflow, ProgressLayout layout, const std::vector<std::string>& steps);
  // A worker has removed a dataflow, after its last round of progress.
  void RemoveDataflow(uint32_t dataflow);

  // Returns true if something waits.
  bool waiting() const { return waiting_.load(); }
  // Changes the table, and sends the frames to all processes.
  void Send(DataflowTable& table);
  // Adds the new dataflows, and sends the frames. A frame about a dataflow goes behind its graph,
  // so this precedes the first one.
  void Build(DataflowTable& table);

 private:
  struct NewDataflow {
    uint32_t id;
    ProgressLayout layout;
  };

  void BuildAndSendLocked(DataflowTable& table);

  Peers& peers_;
  std::atomic<bool> waiting_{false};
  std::mutex mutex_;  // guards the members below
  std::vector<std::vector<std::byte>> frames_;
  std::vector<NewDataflow> new_dataflows_;
  std::vector<uint32_t> removals_;
  std::vector<bool> announced_;  // by dataflow
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_NETWORK_ANNOUNCEMENTS_H_
