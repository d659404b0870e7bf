#ifndef HEADWAY_ENGINE_NETWORK_OUTGOING_PROGRESS_H_
#define HEADWAY_ENGINE_NETWORK_OUTGOING_PROGRESS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "comm/wire/wire.h"
#include "engine/network/dataflow_table.h"
#include "engine/network/peers.h"
#include "progress/compact_rounds.h"

namespace headway::internal {

// Sums the rounds of progress that workers of this process publish, and sends the sums to all other
// processes, which see one sender. ProcessSum says when a sum is due.
//
// Thread safety: none; the holder of the pump's lock uses it.
class OutgoingProgress {
 public:
  // Both outlive this.
  OutgoingProgress(Peers& peers, DataflowTable& table) : peers_(peers), table_(table) {}

  // Adds a round of a worker. REQUIRES: the dataflow is built.
  void Add(uint32_t dataflow, std::span<const std::byte> round);
  // Sends the sums that are due. While the connections are backed up it sends none, and compacts
  // the sums.
  void Send();

  // Returns true if sums wait for room in the connections.
  bool waiting() const { return !with_news_.empty(); }
  // Returns true if some connection has no room for progress.
  bool BackedUp() const;

 private:
  void SendFrame();

  Peers& peers_;
  DataflowTable& table_;
  std::vector<uint32_t> with_news_;  // dataflows whose sums changed since the last Send
  CompactRounds rounds_;             // scratch of Send
  FrameEncoder encoder_;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_NETWORK_OUTGOING_PROGRESS_H_
