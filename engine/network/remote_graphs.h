#ifndef HEADWAY_ENGINE_NETWORK_REMOTE_GRAPHS_H_
#define HEADWAY_ENGINE_NETWORK_REMOTE_GRAPHS_H_

#include <cstdint>
#include <vector>

#include "comm/wire/transport.h"
#include "engine/network/peers.h"

namespace headway::internal {

// Compares the graphs that other processes announce with those of this process. A process announces
// its dataflows in the order of their numbers, each before the first frame about it.
//
// Thread safety: none; the holder of the pump's lock uses it.
class RemoteGraphs {
 public:
  // `peers` outlives this.
  explicit RemoteGraphs(Peers& peers)
      : peers_(peers), announced_(static_cast<size_t>(peers.topology().process_count)) {}

  // Compares the graph in a frame, or refuses it. A difference fails the run.
  void Compare(int process, const IncomingFrame& frame);

  // Returns true if `process` has announced the dataflow.
  bool Knows(int process, uint32_t dataflow) const {
    return dataflow < announced_[static_cast<size_t>(process)];
  }

 private:
  Peers& peers_;
  std::vector<uint32_t> announced_;  // by process: the number of dataflows
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_NETWORK_REMOTE_GRAPHS_H_
